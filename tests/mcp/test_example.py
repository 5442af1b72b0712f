"""The example does what its page says: run as written, against a fake issuer."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidcbridge.testing import FakeIssuer
from tests.mcp.kit import Caller, calling

EXAMPLE = Path(__file__).parents[2] / "examples" / "mcp_server.py"


@pytest.fixture
def caller(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.setenv("OIDCBRIDGE_ISSUER_URL", issuer.issuer_url)
    monkeypatch.setenv("OIDCBRIDGE_AUDIENCE", issuer.audience)
    with calling(runpy.run_path(str(EXAMPLE))["server"]) as caller:
        yield caller


def test_the_example_says_who_calls(caller: Caller, issuer: FakeIssuer) -> None:
    assert caller.begin(None).status_code == 401
    known = caller.ask(issuer.mint("ada", scope="agents:read", claims={"roles": ["operator"]}))
    assert known == {"user_id": "ada", "scopes": ["agents:read"], "roles": ["operator"]}


def test_the_example_shows_a_tool_to_those_who_may_use_it(caller: Caller, issuer: FakeIssuer) -> None:
    def listed(token: str) -> set[str]:
        answer = caller.post("tools/list", {}, token=token, mcp_session_id=caller.session(token))
        return {tool["name"] for tool in answer.json()["result"]["tools"]}

    def run(token: str) -> object:
        asked = {"name": "run", "arguments": {"agent_id": "a1"}}
        return caller.post("tools/call", asked, token=token, mcp_session_id=caller.session(token)).json()

    reader, runner = issuer.mint("bob", scope="agents:read"), issuer.mint("ada", scope="agents:run")
    assert listed(reader) == {"whoami"}
    assert listed(runner) == {"whoami", "run"}
    assert "a1, started by ada" in str(run(runner))
    assert "started by" not in str(run(reader))
