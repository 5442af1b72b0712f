"""The house keeps its plan: which room may use which, what the pure core stays clear of, and how large things grow.

The rules are in `house_rules`; each is shown a tree that breaks it, and one that does not.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import oidcbridge
from tests.house_rules import (
    BY_NEED,
    CHECKS,
    Check,
    foreign_imports,
    imports,
    impure_core,
    long_functions,
    long_modules,
    upward_imports,
)

ROOT = Path(oidcbridge.__file__).parent

#: Check -> a module, a line that breaks the rule there, and one like it that does not.
BROKEN: list[tuple[Check, str, str, str]] = [
    (upward_imports, "core/x.py", "import oidcbridge.verifier", "import oidcbridge.errors"),
    (upward_imports, "core/x.py", "from oidcbridge import profiles", "from oidcbridge import errors"),
    (upward_imports, "core/x.py", "from .. import settings", "from . import keys"),
    (upward_imports, "core/x.py", "from ..remote import http", "from .keys import KeySet"),
    (upward_imports, "core/x.py", "from oidcbridge import Verifier", "from oidcbridge.core import keys"),
    (
        upward_imports,
        "core/x.py",
        "def f():\n    import oidcbridge.remote.http",
        "def f():\n    import oidcbridge.errors",
    ),
    (
        upward_imports,
        "core/x.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from oidcbridge.verifier import Verifier",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from oidcbridge.core.keys import KeySet",
    ),
    (upward_imports, "errors.py", "import oidcbridge.core.keys", "import json"),
    (upward_imports, "profiles.py", "import oidcbridge.settings", "import oidcbridge.core.claims"),
    (upward_imports, "remote/x.py", "import oidcbridge.settings", "import oidcbridge.core.keys"),
    (upward_imports, "settings.py", "import oidcbridge.verifier", "import oidcbridge.profiles"),
    (upward_imports, "settings.py", "import oidcbridge.token_cache", "import oidcbridge.environment"),
    (upward_imports, "verifier.py", "import oidcbridge.asgi.middleware", "import oidcbridge.settings"),
    (upward_imports, "asgi/x.py", "import oidcbridge.fastapi", "import oidcbridge.verifier"),
    (upward_imports, "fastapi/x.py", "import oidcbridge.agentos", "import oidcbridge.asgi.middleware"),
    (upward_imports, "verifier.py", "import oidcbridge.testing", "import oidcbridge.remote.jwks"),
    (upward_imports, "testing/x.py", "import oidcbridge.cli.app", "import oidcbridge.core.policy"),
    (upward_imports, "testing/x.py", "import oidcbridge.verifier", "import oidcbridge.errors"),
    (
        upward_imports,
        "testing/fake_issuer.py",
        "from oidcbridge.remote.http import serve_in_process",
        "def f():\n    from oidcbridge.remote.http import serve_in_process",
    ),
    (upward_imports, "__init__.py", "import oidcbridge.errors", "import importlib"),
    (upward_imports, "attic.py", "", ""),
    (foreign_imports, "remote/jwks.py", "import httpx2", "import json"),
    (foreign_imports, "remote/jwks.py", "def f():\n    from httpx2 import get", "def f():\n    from json import loads"),
    (foreign_imports, "testing/in_process.py", "import httpx2", "def f():\n    import httpx2"),
    (foreign_imports, "cli/demo.py", "import authlib.jose", "import typer"),
    (foreign_imports, "verifier.py", "import fastapi", "import asyncio"),
    (foreign_imports, "asgi/x.py", "from fastapi import Depends", "from starlette.types import Scope"),
    (impure_core, "core/x.py", "import socket", "import re"),
    (impure_core, "core/x.py", "import logging", "import math"),
    (impure_core, "core/x.py", "from os import environ", "from sys import intern"),
    (impure_core, "core/x.py", "import urllib.request", "import urllib.parse"),
    (impure_core, "core/x.py", "from http import HTTPStatus", "from html import escape"),
    (impure_core, "core/x.py", "import httpx2", "import joserfc.jwk"),
    (impure_core, "core/x.py", "import anyio", "import cryptography.x509"),
    (impure_core, "core/x.py", "from time import time", "from datetime import UTC"),
    (impure_core, "core/x.py", "import time\nnow = time.time", "import datetime\nday = datetime.timedelta(1)"),
    (
        impure_core,
        "core/policy.py",
        "import time\ndef now():\n    return time.time()",
        "import time\nclass Clock:\n    def time(self):\n        return time.time()",
    ),
    (
        impure_core,
        "core/x.py",
        "class Clock:\n    def time(self):\n        return time.time()",
        "class Clock:\n    pass",
    ),
    (impure_core, "core/x.py", "from datetime import datetime\ndatetime.now()", "from datetime import datetime"),
    (impure_core, "core/x.py", "open('/etc/passwd')", "len('/etc/passwd')"),
    (long_modules, "core/x.py", "\n" * 300, "\n" * 299),
    (long_functions, "core/x.py", "def f():\n" + "    1\n" * 39, "def f():\n" + "    1\n" * 38),
    (long_functions, "core/x.py", "class A:\n    async def f():\n" + "        1\n" * 39, "class A:\n" + "    1\n" * 99),
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_house_keeps_its_plan(check: Check) -> None:
    assert check(ROOT) == []


@pytest.mark.parametrize(("check", "file", "bad", "good"), BROKEN)
def test_each_check_sees_what_breaks_it_and_nothing_else(
    tmp_path: Path, check: Check, file: str, bad: str, good: str
) -> None:
    root = tmp_path / "oidcbridge"
    for name in ("__init__", "errors", "settings", "profiles", "verifier", "remote/http", "core/keys"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").touch()
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(bad)
    assert len(check(root)) == 1
    if file != "attic.py":
        (root / file).write_text(good)
        assert check(root) == []


def test_every_exception_in_the_table_is_still_needed() -> None:
    taken = {(one.importer, one.imported) for one in imports(ROOT)}
    assert taken >= BY_NEED.keys()


def test_every_public_name_resolves_and_comes_from_where_it_lives() -> None:
    for name in oidcbridge.__all__:
        value = getattr(oidcbridge, name)
        assert getattr(oidcbridge, name) is value
        home = getattr(value, "__module__", "oidcbridge._version")
        assert getattr(importlib.import_module(home), name) is value
    assert sorted(oidcbridge.__all__) == oidcbridge.__all__ == dir(oidcbridge)
    with pytest.raises(AttributeError, match="no attribute 'Verifire'"):
        oidcbridge.Verifire  # noqa: B018


def test_importing_the_front_door_loads_no_framework_and_none_of_the_rooms() -> None:
    program = "import sys; before = set(sys.modules); import oidcbridge; print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert "oidcbridge" in loaded
    assert [name for name in loaded if name.partition(".")[0] not in {*sys.stdlib_module_names, "oidcbridge"}] == []
    assert [name for name in loaded if name.startswith("oidcbridge.")] == []
