"""Where a table was measured: enough to compare by, nothing that names the machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("oidcbridge", "cryptography", "fastapi", "starlette", "uvicorn")


def describe() -> dict[str, str]:
    """Date, processor, Python and the versions that matter."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """Linux tells the model in a file; elsewhere ``platform`` knows a name, if a vague one."""
    source = Path("/proc/cpuinfo")
    lines = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"
