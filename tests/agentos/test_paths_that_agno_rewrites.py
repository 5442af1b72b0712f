"""AgentOS rewrites paths behind a layer that was added to its app: what we decide on is what it will route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agno.os.config import MCPConfig
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Router
from starlette.websockets import WebSocketDisconnect

from oidcbridge import ConfigurationError
from oidcbridge.agentos import JWTMiddleware
from oidcbridge.testing import FakeIssuer
from tests.agentos.jwt_kit import SECRET, based, behind, having
from tests.agentos.kit import EVERYTHING, bearer, make_os, secure, serving

SESSION = {"agent_id": "a1", "session_id": "s1", "session_state": {"tier": "evil", "mine": 1}}
CARD = MCPConfig(default_tools=True, root_host="mcp.test", allowed_hosts=["mcp.test"])


@pytest.mark.parametrize("path", ["/config", "/metrics", "/sessions?type=agent"])
def test_a_slash_at_the_end_needs_the_same_scopes(tmp_path: Path, path: str) -> None:
    with serving(behind(make_os(tmp_path), authorization=True)) as client:
        bare, _, query = path.partition("?")
        for spelling in (f"{bare}?{query}", f"{bare}/?{query}", f"{bare}//?{query}"):
            assert client.get(spelling, headers=having("openid")).status_code == 403, spelling
            assert client.get(spelling).status_code == 401, spelling
        for spelling in (f"{bare}?{query}", f"{bare}/?{query}"):
            assert client.get(spelling, headers=having(EVERYTHING)).status_code == 200, spelling


def test_a_slash_at_the_end_supplies_no_claim(tmp_path: Path) -> None:
    with serving(behind(make_os(tmp_path), session_state_claims=["tier"])) as client:
        made = client.post("/sessions/?type=agent", json=SESSION, headers=having("x"))
        assert (made.status_code, made.json()["session_state"]) == (201, {"mine": 1})


def test_an_exclusion_is_of_the_path_that_is_routed(tmp_path: Path) -> None:
    excluded = ["/health", "/config/*"]
    with serving(behind(make_os(tmp_path), authorization=True, excluded_route_paths=excluded)) as client:
        assert [client.get(path).status_code for path in ("/config", "/config/", "/health", "/health/")] == [
            401,
            401,
            200,
            200,
        ]


def test_a_host_whose_root_is_mcp_is_refused_where_it_would_be_public(tmp_path: Path) -> None:
    app = behind(make_os(tmp_path, mcp=CARD), authorization=True)
    with pytest.raises(ConfigurationError, match="root_host"):
        TestClient(app, base_url="http://mcp.test").post("/")


def test_on_the_base_app_a_host_whose_root_is_mcp_is_protected(tmp_path: Path) -> None:
    _, app = based(tmp_path, os_arguments={"mcp": CARD}, authorization=True)
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    with serving(app, base_url="http://mcp.test") as client:
        assert client.post("/", json=hello).status_code == 401


@pytest.mark.parametrize("arguments", [{"secret_key": SECRET, "authorization": True}, {"validate": False}])
@pytest.mark.parametrize("wrapped", ["plain", "in another app", "in a router", "behind a middleware"])
def test_an_agentos_mounted_below_the_layer_is_refused(tmp_path: Path, arguments: dict[str, Any], wrapped: str) -> None:
    inner = make_os(tmp_path).agent_os.get_app()
    below: dict[str, Any] = {
        "plain": inner,
        "in another app": Starlette(routes=[Mount("/deep", inner)]),
        "in a router": Router([Mount("/deep", inner)]),
        "behind a middleware": GZipMiddleware(inner),
    }
    outer = FastAPI()
    outer.add_middleware(JWTMiddleware, **arguments)
    outer.mount("/os", below[wrapped])
    with pytest.raises(ConfigurationError, match="mounted below JWTMiddleware"):
        TestClient(outer).get("/os/config", headers=having("openid"))


def test_a_protected_agentos_may_be_mounted(tmp_path: Path, issuer: FakeIssuer) -> None:
    outer = FastAPI()
    outer.mount("/os", secure(make_os(tmp_path), issuer))
    client = TestClient(outer)
    poor, good = bearer(issuer, scope="openid"), bearer(issuer, scope=EVERYTHING)
    for path in ("/os/config", "/os/config/"):
        assert [client.get(path, headers=headers).status_code for headers in ({}, poor, good)] == [401, 403, 200]


def test_an_apps_own_handlers_at_agentos_public_paths_need_a_token(tmp_path: Path, issuer: FakeIssuer) -> None:
    base = FastAPI()

    @base.post("/health")
    def health() -> str:
        return "ran"

    @base.websocket("/info")
    async def info(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("ran")
        await websocket.close()

    good = bearer(issuer, scope=EVERYTHING)
    with serving(secure(make_os(tmp_path, base_app=base), issuer)) as client:
        assert client.post("/health").status_code == 401
        assert client.post("/health", headers=good).json() == "ran"
        assert client.get("/health").status_code == client.get("/info").status_code == 200
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/info"):
            pass
        with client.websocket_connect("/info", headers=good) as socket:
            assert socket.receive_text() == "ran"
