"""A WebSocket is refused before it is accepted, and carries the same state as a request."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from oidcbridge import OIDCMiddleware, TokenSource
from oidcbridge.testing import FakeIssuer, auth_header
from tests.asgi.kit import Headers, Probe, ask_websocket, bearer, cookie, guarded

BACKENDS = [("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})]


def test_a_refused_handshake_is_answered_and_never_accepted(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, token_source=TokenSource.BOTH)
    refused: dict[int, Headers] = {401: bearer(issuer.mint(audience="x")), 400: bearer("a b"), 403: cookie("a.b.c")}
    for status, headers in refused.items():
        answer = ask_websocket(app, headers=headers)
        assert answer.status == status
        assert [message["type"] for message in answer.messages] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        closed = ask_websocket(app, headers=headers, denial=False)
        assert [(message["type"], message["code"]) for message in closed.messages] == [("websocket.close", 1008)]
        assert closed.messages[0]["reason"] == answer.json()["detail"]
    assert probe.scopes == []


def test_an_accepted_websocket_finds_the_same_state_as_a_request(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, dependencies_claims=["email"])
    token = issuer.mint("ada", scope="agents:run", claims={"email": "e", "sid": "s"})
    for denial in (True, False):
        answer = ask_websocket(app, headers=bearer(token), denial=denial)
        assert answer.status == 101
        found = answer.json()
        assert (found["user_id"], found["session_id"], found["dependencies"]) == ("ada", "s", {"email": "e"})
        assert (found["scopes"], found["authenticated"]) == (["agents:run"], True)


def test_the_subprotocol_and_the_query_are_no_places_for_a_token(issuer: FakeIssuer) -> None:
    app = guarded(issuer, token_source=TokenSource.BOTH)
    token = issuer.mint("ada")
    headers = [("Sec-WebSocket-Protocol", f"bearer, {token}")]
    query = f"access_token={token}".encode()
    assert ask_websocket(app, headers=headers, query_string=query, subprotocols=["bearer", token]).status == 401


def test_an_anonymous_websocket_passes_where_authentication_is_not_required(issuer: FakeIssuer) -> None:
    app = guarded(issuer, require_authentication=False, token_source=TokenSource.BOTH)
    stranger = ("Origin", "https://evil.example")
    assert ask_websocket(app, headers=[stranger]).json()["authenticated"] is False
    assert ask_websocket(app, headers=[stranger, *cookie(issuer.mint("ada"))]).status == 403
    assert ask_websocket(app, headers=bearer("abc")).status == 401


def test_a_websocket_without_validation_shows_unverified_values(probe: Probe, issuer: FakeIssuer) -> None:
    app = OIDCMiddleware(probe, validate=False)
    assert ask_websocket(app).json()["user_id"] is None
    found = ask_websocket(app, headers=bearer(issuer.mint("ada", audience="x"))).json()
    assert (found["user_id"], found["authenticated"]) == ("ada", False)


@pytest.mark.parametrize(("backend", "options"), BACKENDS)
def test_requests_and_websockets_work_on_every_event_loop(
    frail_issuer: FakeIssuer, backend: str, options: dict[str, bool]
) -> None:
    token = frail_issuer.mint("ada")
    with TestClient(guarded(frail_issuer), backend=backend, backend_options=options) as client:  # type: ignore[arg-type]
        assert client.get("/x", headers=auth_header(token)).json()["user_id"] == "ada"
        assert client.get("/x", headers=auth_header("abc")).status_code == 401
        with client.websocket_connect("/x", headers=auth_header(token)) as socket:
            assert json.loads(socket.receive_text())["user_id"] == "ada"
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/x"):
            pass
        assert (refused.value.status_code, refused.value.headers["www-authenticate"]) == (401, "Bearer")
        frail_issuer.rotate()
        assert client.get("/x", headers=auth_header(frail_issuer.mint("bob"))).json()["user_id"] == "bob"
    assert frail_issuer.fetches["jwks"] == 2


@pytest.mark.parametrize(("backend", "options"), BACKENDS)
def test_an_outage_is_the_same_on_every_event_loop(
    frail_issuer: FakeIssuer, backend: str, options: dict[str, bool]
) -> None:
    app = guarded(frail_issuer)
    with frail_issuer.outage(), TestClient(app, backend=backend, backend_options=options) as client:  # type: ignore[arg-type]
        answer = client.get("/x", headers=auth_header(frail_issuer.mint("ada")))
        assert (answer.status_code, answer.headers["retry-after"].isdecimal()) == (503, True)
