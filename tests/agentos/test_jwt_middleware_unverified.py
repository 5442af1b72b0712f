"""``validate=False``: for demonstrations over REST, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from agno.os.config import MCPConfig
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from oidcbridge import ConfigurationError
from oidcbridge.testing import auth_header
from tests.agentos.jwt_kit import CLAIMS, EVIL, NAMED, OTHER, SOCKET, behind, mcp, token
from tests.agentos.kit import EVERYTHING, Probe, make_os, run, serving


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Probe, TestClient]]:
    probe = make_os(tmp_path_factory.mktemp("demo"), mcp=True, internal_service_token="the-schedulers-own-token")
    with serving(behind(probe, validate=False, **NAMED), base_url="http://localhost") as client:
        yield probe, client


def test_unverified_claims_reach_the_run_and_nobody_is_authenticated(demo: tuple[Probe, TestClient]) -> None:
    probe, client = demo
    assert run(client, "/agents/a1", auth_header(token(key=OTHER, **CLAIMS)), **EVIL).status_code == 200
    assert (probe.last.user_id, probe.last.session_id) == ("ada", "ours")
    assert probe.last.dependencies == {"name": "Ada", "roles": ["reader"]}
    assert probe.last.session_state == {"tier": "gold"}
    assert (probe.last.metadata or {})["org"] == "acme"


def test_without_a_token_a_request_passes_and_supplies_nothing_that_a_token_would(
    demo: tuple[Probe, TestClient],
) -> None:
    probe, client = demo
    assert run(client, "/agents/a1", {}, **{**EVIL, "session_id": "anybodys"}).status_code == 200
    assert probe.last.dependencies == {"name": None, "roles": None}
    assert probe.last.session_state == {"tier": None}
    assert client.get("/agents").status_code == 200
    assert run(client, "/agents/a1", auth_header("no-token")).status_code == 401
    assert run(client, "/agents/a1", auth_header("the-schedulers-own-token"), user_id="ada").status_code == 200
    assert probe.last.user_id == "ada"
    made = {"session_id": "made", "agent_id": "a1", "session_state": {"tier": "evil", "kept": 1}}
    assert client.post("/sessions?type=agent", json=made).json()["session_state"] == {"kept": 1}


def test_unverified_nobody_comes_in_by_websocket_or_mcp(demo: tuple[Probe, TestClient]) -> None:
    _, client = demo
    forged = jwt.encode({"sub": "mallory", "scopes": [EVERYTHING]}, "", "none")
    for headers in ({}, auth_header(forged), auth_header(token(scopes=[EVERYTHING]))):
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(SOCKET, headers=headers):
            pass
        assert refused.value.status_code == 403
        for path in ("/mcp", "/mcp/", "/mcp/server/tools/any/run"):
            answer = mcp(client, headers, path)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    with pytest.raises(jwt.InvalidTokenError):
        client.app.state.jwt_validator.validate_token(token())  # type: ignore[attr-defined]


def test_unverified_is_refused_where_the_agent_os_isolates_users(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        TestClient(behind(make_os(tmp_path, user_isolation=True), validate=False)).get("/agents")


def test_unverified_mcp_is_refused_under_every_name_it_has(tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    config = MCPConfig(default_tools=True, path="/tools", path_aliases=["/also/tools"])
    client = TestClient(behind(make_os(tmp_path / "named", mcp=config), validate=False))
    for path in ("/tools", "/tools/", "/also/tools", "/tools/server-card", "/mcp"):
        assert mcp(client, {}, path).status_code == 403
    assert client.get("/agents").status_code == 200
    (tmp_path / "hosted").mkdir()
    config = MCPConfig(default_tools=True, root_host="mcp.test")
    client = TestClient(behind(make_os(tmp_path / "hosted", mcp=config), validate=False))
    with pytest.raises(ConfigurationError, match="root_host"):
        client.get("/agents")
