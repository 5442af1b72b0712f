"""agno keeps what this room stands on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from oidcbridge import ConfigurationError
from oidcbridge.agentos import surface
from oidcbridge.agentos.surface import SURFACES, Surface, check_surfaces, moved
from tests.agentos.kit import make_os


@pytest.mark.parametrize("one", SURFACES, ids=lambda one: one.path)
def test_agno_still_has_what_we_use(one: Surface) -> None:
    assert moved((one,)) == []


@pytest.mark.parametrize(
    "gone",
    [
        Surface("agno.os.middleware.jwt", "AuthMiddleware._decide", ("self",), "decides"),
        Surface("agno.os.middleware.jwt", "AuthMiddleware._dispatch", ("self", "scope"), "decides"),
        Surface("agno.os.nowhere", "Layer", None, "decides"),
    ],
)
def test_what_has_moved_is_named_and_nothing_is_protected_by_half(
    monkeypatch: pytest.MonkeyPatch, gone: Surface
) -> None:
    monkeypatch.setattr(surface, "SURFACES", (*SURFACES, gone))
    monkeypatch.setattr(surface.moved, "__defaults__", ((*SURFACES, gone),))
    with pytest.raises(ConfigurationError, match=rf"does not fit agno .*{gone.path} \(decides\)"):
        check_surfaces()


def test_an_agent_os_has_databases_listed_only_once_it_has_made_an_app(tmp_path: Path) -> None:
    agent_os = make_os(tmp_path).agent_os
    assert "dbs" not in vars(agent_os)  # how we know that get_app() has not been called
    agent_os.get_app()
    assert "dbs" in vars(agent_os)
