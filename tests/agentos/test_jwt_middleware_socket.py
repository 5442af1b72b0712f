"""`JWTMiddleware` covers the WebSocket from the first connection on, every other socket, and MCP."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from fastapi import WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from oidcbridge.agentos import TokenSource
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.jwt_kit import GOOD, OTHER, SECRET, SOCKET, based, behind, frames, mcp, token
from tests.agentos.kit import EVERYTHING, make_os, serving


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


@pytest.mark.parametrize("placed", ["on AgentOS's app", "on the app it is based on"])
def test_the_first_connection_to_the_socket_is_protected_whether_or_not_a_lifespan_ran(
    tmp_path: Path, placed: str
) -> None:
    if placed == "on AgentOS's app":
        probe = make_os(tmp_path)
        app = behind(probe)
    else:
        probe, app = based(tmp_path)
    assert app.state.__dict__.get("_state", {}).get("jwt_validator") is None
    client = TestClient(app)  # nobody starts it
    assert frames(client, None) == (True, "-", "auth_required")
    assert frames(client, token(key=OTHER, scopes=["workflows:run"]))[1:] == ("auth_error", "auth_required")
    forged = jwt.encode({"sub": "mallory", "scopes": [EVERYTHING], "exp": int(time.time()) + 60}, "", "none")
    assert frames(client, forged)[1:] == ("auth_error", "auth_required")
    assert frames(client, token(exp=int(time.time()) - 600))[1:] == ("auth_error", "auth_required")
    assert probe.seen == []
    assert frames(client, token(scopes=["workflows:run"])) == GOOD
    assert probe.last.user_id == "ada"
    assert frames(client, token(scopes=["agents:run"])) == (True, "authenticated", "error")


def test_a_key_first_seen_on_the_socket_passes(tmp_path: Path, frail_issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    app = behind(probe, issuer_url=frail_issuer.issuer_url, audience=frail_issuer.audience)
    client = TestClient(app)
    assert frames(client, frail_issuer.mint("ada", scope="workflows:run")) == GOOD
    frail_issuer.rotate()
    assert frames(client, frail_issuer.mint("ada", scope="workflows:run")) == GOOD
    assert frames(client, token(scopes=["workflows:run"]))[1:] == ("auth_error", "auth_required")


def test_the_handshakes_cookie_authenticates_our_own_pages(tmp_path: Path) -> None:
    app = behind(make_os(tmp_path), token_source=TokenSource.COOKIE)
    with serving(app, cookies={"access_token": token(scopes=["workflows:run"])}) as client:
        with client.websocket_connect(SOCKET, headers={"Origin": "http://testserver"}) as socket:
            assert [socket.receive_json()["event"] for _ in range(2)] == ["connected", "authenticated"]
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect(SOCKET, headers={"Origin": "https://evil.test"}),
        ):
            pass
        assert refused.value.status_code == 403


def test_every_other_socket_needs_a_token_in_its_handshake(tmp_path: Path) -> None:
    probe, app = based(tmp_path)

    @app.websocket("/own")
    async def own(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.state.user_id)

    app.router.routes.insert(0, app.router.routes.pop())
    client = TestClient(app)
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/own"):
        pass
    assert refused.value.status_code == 401
    with client.websocket_connect("/own", headers=auth_header(token())) as socket:
        assert socket.receive_text() == "ada"
    assert probe.seen == []


def test_mcp_asks_for_a_token(tmp_path: Path) -> None:
    _, app = based(tmp_path, os_arguments={"mcp": True}, secret_key=None, verification_keys=[SECRET], algorithm="HS256")
    with serving(app) as client:
        assert mcp(client, {}).status_code == 401
        assert mcp(client, auth_header(token(key=OTHER))).status_code == 401
        assert mcp(client, auth_header(token())).status_code == 200
