"""One of examples/agentos_*.py as its page says to run it: in its own process, in the environment that has agno."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.e2e.agent_server import ROOT, AgentServer

_NOT_FOR_EXAMPLES = ("OIDCBRIDGE_", "OS_SECURITY_KEY", "JWT_", "AUTHORIZATION_ENABLED", "OPENAI_")


def agno_python() -> Path | None:
    """The interpreter of the environment that `make agentos` makes, or the one that AGENTOS_PYTHON names."""
    named, made = os.environ.get("AGENTOS_PYTHON"), ROOT / ".venv-agentos"
    if named:
        return Path(named)
    return made / "bin" / "python" if (made / ".ready-agentos").exists() else None


class ExampleServer(AgentServer):
    """A context manager: the example serves inside the ``with``; its database is in ``folder``, its log beside it."""

    def __init__(self, name: str, python: Path, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__("", folder / "log")
        self._folder = folder
        self._command = [
            *(str(python), "-m", "uvicorn", "--app-dir", str(ROOT / "examples"), f"{name}:app"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--no-access-log"),
        ]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_FOR_EXAMPLES)}
        ours = {"PYTHONPATH": str(ROOT), "AGNO_TELEMETRY": "false", "PUBLIC_URL": self.base_url}
        self._environment = {**inherited, **ours, **environment}

    def __enter__(self) -> Self:
        with chdir(self._folder):
            return super().__enter__()

    @property
    def socket_url(self) -> str:
        """Where workflows are run over a WebSocket."""
        return f"ws://127.0.0.1:{self.port}/workflows/ws"

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """POST ``body`` as JSON."""
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.post(f"{self.base_url}{path}", json=body, headers=dict(headers or {}))

    def run(self, agent: str, headers: Mapping[str, str] | None = None, **form: Any) -> httpx2.Response:
        """Run an agent and wait for its end; ``stream="true"``: its events are the answer."""
        with httpx2.Client(trust_env=False, timeout=60) as client:
            url, data = f"{self.base_url}/agents/{agent}/runs", {"message": "Who am I?", "stream": "false", **form}
            return client.post(url, data=data, headers=dict(headers or {}))
