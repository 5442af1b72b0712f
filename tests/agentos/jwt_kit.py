"""What the tests of `JWTMiddleware` share: tokens as the documentation's examples sign them, and apps with it on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from httpx2 import Response
from joserfc.jwk import OctKey

from oidcbridge.agentos import JWTMiddleware
from oidcbridge.testing import FakeKey, auth_header
from tests.agentos.kit import Probe, make_os

SECRET, OTHER = "a-shared-secret-of-at-least-256-bits", "another-secret-of-at-least-256-bits!"
EVIL = {
    "user_id": "mallory",
    "session_id": "theirs",
    "dependencies": json.dumps({"name": "Root", "roles": ["admin"], "extra": "evil"}),
    "session_state": json.dumps({"tier": "evil"}),
    "metadata": json.dumps({"org": "evil"}),
}
NAMED: dict[str, Any] = {
    "dependencies_claims": ["name", "roles"],
    "session_state_claims": ["tier"],
    "metadata_claims": ["org"],
}
SOCKET = "/workflows/ws"
CLAIMS: dict[str, Any] = {"name": "Ada", "roles": ["reader"], "tier": "gold", "org": "acme", "session_id": "ours"}


def token(key: FakeKey | str = SECRET, **claims: Any) -> str:
    """A token for ``ada``, good for ten minutes; a claim that is None is left out."""
    said = {"sub": "ada", "exp": int(time.time()) + 600, **claims}
    payload = {name: value for name, value in said.items() if value is not None}
    if isinstance(key, str):
        return jwt.encode(payload, key, algorithm="HS256")
    return jwt.encode(payload, private_pem(key), algorithm=key.alg, headers={"kid": key.kid})


def private_pem(key: FakeKey) -> bytes:
    assert not isinstance(key.private_key, OctKey)
    return key.private_key.as_pem(private=True)


def having(*scopes: str, **claims: Any) -> dict[str, str]:
    """The header of a token with these scopes."""
    return auth_header(token(scopes=list(scopes), **claims))


def key_file(folder: Path, *keys: FakeKey) -> str:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [key.public_jwk() for key in keys]}))
    return str(path)


def client_of(**arguments: Any) -> TestClient:
    """A client of a small app of its own that says who is calling."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def whoami(request: Request) -> dict[str, object]:
        state = request.state
        return {"user": state.user_id, "session": state.session_id, "dependencies": state.dependencies}

    app.add_middleware(JWTMiddleware, **arguments)
    return TestClient(app)


def status(client: TestClient, bearer: str, path: str = "/me") -> int:
    return client.get(path, headers=auth_header(bearer)).status_code


def behind(probe: Probe, **arguments: Any) -> FastAPI:
    """The AgentOS's app with the layer on it, as the documentation adds it."""
    app = probe.agent_os.get_app()
    keys: dict[str, Any] = {} if "issuer_url" in arguments else {"secret_key": SECRET}
    app.add_middleware(JWTMiddleware, **keys, **arguments)
    return app


def based(folder: Path, *, os_arguments: dict[str, Any] | None = None, **arguments: Any) -> tuple[Probe, FastAPI]:
    """The same on the app that an AgentOS is based on."""
    base = FastAPI()
    base.add_middleware(JWTMiddleware, **{"secret_key": SECRET, **arguments})
    probe = make_os(folder, base_app=base, **(os_arguments or {}))
    return probe, probe.agent_os.get_app()


def frames(client: TestClient, bearer_token: str | None) -> tuple[bool, str, str]:
    """Whether the socket asks for a token, what it says to this one, and what comes of a run."""
    with client.websocket_connect(SOCKET) as socket:
        asks = socket.receive_json()["requires_auth"]
        answer = "-"
        if bearer_token is not None:
            socket.send_json({"action": "authenticate", "token": bearer_token})
            answer = socket.receive_json()["event"]
        socket.send_json({"action": "start-workflow", "workflow_id": "w1", "message": "hi", "user_id": "mallory"})
        while True:
            text = socket.receive_text()
            event = json.loads(text if text.startswith("{") else text.partition("data: ")[2])["event"]
            if event in ("WorkflowCompleted", "error", "auth_required"):
                return asks, answer, event


GOOD = (True, "authenticated", "WorkflowCompleted")


def mcp(client: TestClient, headers: dict[str, str], path: str = "/mcp") -> Response:
    """What MCP's first request comes to."""
    said = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    accepted = {"Accept": "application/json, text/event-stream", **headers}
    return client.post(path, json={**said, "params": asked}, headers=accepted)
