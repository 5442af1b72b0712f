"""What a developer's shell says is no part of a test. A conftest imports the fixture for its directory."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OIDCBRIDGE_*."""
    for name in [name for name in os.environ if name.startswith("OIDCBRIDGE_")]:
        monkeypatch.delenv(name)
