"""WebSocket routes: the same dependencies, refused before they are accepted."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from oidcbridge import ConfigurationError
from oidcbridge.fastapi import (
    CurrentPrincipal,
    Dependencies,
    OptionalPrincipal,
    SessionId,
    UserId,
    protect,
    require_any_role,
    require_roles,
    require_scopes,
)
from oidcbridge.testing import FakeIssuer, auth_header
from tests.asgi.kit import ask_websocket, bearer
from tests.fastapi.kit import protected


def add_sockets(app: FastAPI) -> FastAPI:
    @app.websocket("/mine")
    async def mine(
        websocket: WebSocket,
        principal: CurrentPrincipal,
        user_id: UserId,
        session_id: SessionId,
        dependencies: Dependencies,
    ) -> None:
        await websocket.accept()
        assert dependencies is websocket.state.dependencies
        assert principal.user_id == user_id
        await websocket.send_json({"user_id": user_id, "session_id": session_id, "dependencies": dependencies})
        await websocket.close()

    @app.websocket("/maybe")
    async def maybe(websocket: WebSocket, principal: OptionalPrincipal) -> None:
        await websocket.accept()
        await websocket.send_json({"user_id": principal.user_id if principal else None})
        await websocket.close()

    rights = {"/scoped": require_scopes("a", "b"), "/role": require_roles("r"), "/any": require_any_role("r", "s")}
    for path, right in rights.items():

        @app.websocket(path, dependencies=[right])
        async def limited(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_json({"user_id": websocket.state.user_id})
            await websocket.close()

    return app


@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("mounted", [True, False])
def test_a_websocket_route_knows_its_caller_and_refuses_nobody_before_accept(
    issuer: FakeIssuer, middleware: bool, mounted: bool
) -> None:
    app = protected(issuer, middleware=middleware, dependencies_claims=["email"])
    prefix = ""
    if mounted:
        prefix, sub = "/m", FastAPI()
        app.mount(prefix, add_sockets(sub))
    else:
        add_sockets(app)
    token = issuer.mint("ada", claims={"sid": "s", "email": "e"})
    with TestClient(app).websocket_connect(f"{prefix}/mine", headers=auth_header(token)) as socket:
        assert socket.receive_json() == {"user_id": "ada", "session_id": "s", "dependencies": {"email": "e"}}
    for denial in (True, False):
        sent = {401: [], 400: bearer("a b")} | ({401: bearer(issuer.mint(audience="x"))} if denial else {})
        for status, headers in sent.items():
            answer = ask_websocket(app, f"{prefix}/mine", headers=headers, denial=denial)
            assert "websocket.accept" not in [message["type"] for message in answer.messages]
            assert (answer.status, answer.close_code) == ((status, None) if denial else (0, 1008))


@pytest.mark.parametrize("middleware", [True, False])
def test_a_missing_right_is_a_403_or_a_closed_door(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_sockets(protected(issuer, middleware=middleware))
    rights = {"scope": "a b", "claims": {"roles": ["r"]}}
    for path in ("/scoped", "/role", "/any"):
        good = ask_websocket(app, path, headers=bearer(issuer.mint("ada", **rights)))  # type: ignore[arg-type]
        assert (good.status, good.json()["user_id"]) == (101, "ada")
        refused = ask_websocket(app, path, headers=bearer(issuer.mint("ada", scope="a")))
        assert (refused.status, refused.json()["error"]) == (403, "insufficient_scope")
        closed = ask_websocket(app, path, headers=bearer(issuer.mint("ada", scope="a")), denial=False)
        assert closed.close_code == 1008
        assert ask_websocket(app, path).status == 401
    scoped = ask_websocket(app, "/scoped", headers=bearer(issuer.mint("ada", scope="a")))
    assert scoped.header("www-authenticate") == 'Bearer error="insufficient_scope", scope="a b"'


@pytest.mark.parametrize("middleware", [True, False])
def test_an_optional_caller_on_a_websocket(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_sockets(protected(issuer, middleware=middleware, require_authentication=False))
    assert ask_websocket(app, "/maybe").json() == {"user_id": None}
    assert ask_websocket(app, "/maybe", headers=bearer(issuer.mint("ada"))).json() == {"user_id": "ada"}
    assert ask_websocket(app, "/maybe", headers=bearer("abc")).status == 401


@pytest.mark.parametrize("middleware", [True, False])
def test_an_outage_on_a_websocket_asks_to_come_back(frail_issuer: FakeIssuer, middleware: bool) -> None:
    app = add_sockets(protected(frail_issuer, middleware=middleware))
    headers = bearer(frail_issuer.mint("ada"))
    with frail_issuer.outage():
        assert ask_websocket(app, "/mine", headers=headers).status == 503
        assert ask_websocket(app, "/mine", headers=headers, denial=False).close_code == 1013


def test_a_websocket_route_without_a_verifier_is_an_error_that_names_protect(issuer: FakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match="protect"):
        ask_websocket(add_sockets(FastAPI()), "/mine", headers=bearer(issuer.mint("ada")))


def test_a_token_that_comes_later_can_be_verified_and_refused_by_closing(issuer: FakeIssuer) -> None:
    app = protected(issuer, excluded_route_paths=["/*"])

    @app.websocket("/chat/{when}")
    async def chat(websocket: WebSocket, when: str) -> None:
        verifier = websocket.app.state.oidcbridge
        if when == "accepted":
            await websocket.accept()
        token = websocket.query_params["ticket"]
        if when == "closed":
            await websocket.accept()
            await websocket.close(1000)
        principal = await verifier.verify(token)
        if when == "before":
            await websocket.accept()
        await websocket.send_json({"user_id": principal.user_id})
        await websocket.close()

    client, good, bad = TestClient(app), issuer.mint("ada"), issuer.mint("ada", expires_in=-100)
    for when in ("accepted", "before"):
        with client.websocket_connect(f"/chat/{when}", params={"ticket": good}) as socket:
            assert socket.receive_json() == {"user_id": "ada"}
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/chat/before", params={"ticket": bad}),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["code"]) == (401, "token_expired")
    with client.websocket_connect("/chat/accepted", params={"ticket": bad}) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert (closed.value.code, closed.value.reason) == (1008, "The token has expired")
    query = f"ticket={bad}".encode()
    assert ask_websocket(app, "/chat/before", query_string=query, denial=False).close_code == 1008
    ended = ask_websocket(app, "/chat/closed", query_string=query)
    assert [message["type"] for message in ended.messages] == ["websocket.accept", "websocket.close"]


def test_an_app_under_static_keys_serves_websockets_too(issuer: FakeIssuer) -> None:
    app = add_sockets(protect(FastAPI(), verification_keys=issuer.signing_key().public_pem(), algorithm="ES256"))
    assert ask_websocket(app, "/mine", headers=bearer(issuer.mint("ada"))).json()["user_id"] == "ada"
    assert ask_websocket(app, "/mine", headers=bearer("a.b.c")).status == 401
