"""``/workflows/ws``: agno's protocol, our verification; nothing on it waits for a provider but its own caller."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from oidcbridge import TokenSource
from oidcbridge.fastapi import CurrentPrincipal
from oidcbridge.testing import Clock, FakeIssuer, FakeKey, auth_header
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, secure, serving

SOCKET = "/workflows/ws"


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("socket"))


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(probe, issuer)) as client:
        yield client


def read(socket: WebSocketTestSession) -> dict[str, Any]:
    """The next frame; a run's events come as server-sent events."""
    text = socket.receive_text()
    if text.startswith("{"):
        frame: dict[str, Any] = json.loads(text)
        return frame
    event: dict[str, Any] = json.loads(text.partition("data: ")[2])
    return event


def until(socket: WebSocketTestSession, *events: str) -> dict[str, Any]:
    """The first frame of one of these events; agno says twice that it has authenticated, the second time whom."""
    while True:
        frame = read(socket)
        if frame.get("event") in events and (frame["event"] != "authenticated" or "user_id" in frame):
            return frame


def authenticate(socket: WebSocketTestSession, token: str) -> dict[str, Any]:
    """What the socket answers to a token."""
    socket.send_json({"action": "authenticate", "token": token})
    return until(socket, "authenticated", "auth_error")


def start(socket: WebSocketTestSession, **said: object) -> dict[str, Any]:
    """What comes of starting the workflow."""
    socket.send_json({"action": "start-workflow", "workflow_id": "w1", "message": "hi", **said})
    return until(socket, "WorkflowCompleted", "error", "auth_required", "auth_error")


def test_a_workflow_runs_for_who_has_authenticated_and_as_nobody_else(
    client: TestClient, probe: Probe, issuer: FakeIssuer
) -> None:
    with client.websocket_connect(SOCKET) as socket:
        assert read(socket)["requires_auth"] is True
        assert start(socket)["event"] == "auth_required"
        assert authenticate(socket, issuer.mint("ada", scope="workflows:run"))["event"] == "authenticated"
        assert start(socket, user_id="mallory")["event"] == "WorkflowCompleted"
    assert probe.last.user_id == "ada"


def test_a_token_first_seen_on_the_socket_is_known_by_a_key_first_seen_on_it(
    tmp_path_factory: pytest.TempPathFactory, frail_issuer: FakeIssuer
) -> None:
    app = secure(make_os(tmp_path_factory.mktemp("new-key")), frail_issuer)
    with serving(app) as client, client.websocket_connect(SOCKET) as socket:
        assert authenticate(socket, frail_issuer.mint("ada", scope=EVERYTHING))["event"] == "authenticated"
        frail_issuer.rotate()
        assert authenticate(socket, frail_issuer.mint("ada", scope=EVERYTHING))["event"] == "authenticated"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"key": FakeKey.generate("ES256")}, "invalid_token"),
        ({"audience": "another-api"}, "invalid_token"),
        ({"expires_in": -600}, "expired"),
        ({"sub": "sa:robot"}, "invalid_token"),
        ({"sub": "__scheduler__"}, "invalid_token"),
    ],
)
def test_a_bad_token_opens_nothing(
    client: TestClient, probe: Probe, issuer: FakeIssuer, claims: dict[str, Any], kind: str
) -> None:
    before = len(probe.seen)
    with client.websocket_connect(SOCKET) as socket:
        answer = authenticate(socket, issuer.mint(**{"sub": "ada", "scope": EVERYTHING, **claims}))
        assert (answer["event"], answer["error_type"]) == ("auth_error", kind)
        assert start(socket)["event"] == "auth_required"
    assert len(probe.seen) == before


def test_a_token_without_the_scope_runs_nothing(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    before = len(probe.seen)
    with client.websocket_connect(SOCKET) as socket:
        assert authenticate(socket, issuer.mint("ada", scope="openid agents:run"))["event"] == "authenticated"
        assert start(socket)["error"] == "Insufficient permissions to run this workflow"
    assert len(probe.seen) == before


def test_with_authorization_off_a_login_is_enough_here_too(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path_factory.mktemp("no-scopes"))
    with serving(secure(probe, issuer, authorization=False)) as client, client.websocket_connect(SOCKET) as socket:
        assert start(socket)["event"] == "auth_required"
        assert authenticate(socket, issuer.mint("ada", scope="openid"))["event"] == "authenticated"
        assert start(socket)["event"] == "WorkflowCompleted"
    assert probe.last.user_id == "ada"


def test_after_the_token_has_expired_the_next_action_is_refused_until_a_fresh_one_comes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clock = Clock()
    with FakeIssuer("https://clock-agentos.idp.test", clock=clock).impersonate() as issuer:
        probe = make_os(tmp_path_factory.mktemp("expiry"))
        with (
            serving(secure(probe, issuer, clock=clock, leeway=5)) as client,
            client.websocket_connect(SOCKET) as socket,
        ):
            assert authenticate(socket, issuer.mint("ada", scope=EVERYTHING, expires_in=60))["event"] == "authenticated"
            clock.advance(62)
            assert start(socket)["event"] == "WorkflowCompleted"  # within the leeway
            clock.advance(10)
            answer = start(socket)
            assert (answer["event"], answer["error_type"]) == ("auth_error", "expired")
            assert len(probe.seen) == 1
            assert authenticate(socket, issuer.mint("ada", scope=EVERYTHING))["event"] == "authenticated"
            assert start(socket)["event"] == "WorkflowCompleted"


def test_an_outage_is_said_as_one_and_a_known_key_goes_on(
    tmp_path_factory: pytest.TempPathFactory, frail_issuer: FakeIssuer
) -> None:
    app = secure(make_os(tmp_path_factory.mktemp("outage")), frail_issuer)
    with serving(app) as client, client.websocket_connect(SOCKET) as socket:
        assert authenticate(socket, frail_issuer.mint("ada", scope=EVERYTHING))["event"] == "authenticated"
        fresh = frail_issuer.mint("ada", scope=EVERYTHING)
        frail_issuer.rotate("RS256")
        with frail_issuer.outage():
            answer = authenticate(socket, frail_issuer.mint("ada", scope=EVERYTHING, alg="RS256"))
            assert (answer["event"], answer["error_type"]) == ("auth_error", "server_error")
            assert "cannot be reached" in answer["error"]
            assert authenticate(socket, fresh)["event"] == "authenticated"
            assert start(socket)["event"] == "WorkflowCompleted"


def test_a_slow_provider_holds_up_nobody_else(
    tmp_path_factory: pytest.TempPathFactory, frail_issuer: FakeIssuer
) -> None:
    app = secure(make_os(tmp_path_factory.mktemp("slow")), frail_issuer)
    with serving(app) as client, client.websocket_connect(SOCKET) as socket:
        assert client.get("/health").status_code == 200
        frail_issuer.slow = 1.5
        frail_issuer.rotate()
        answers: list[str] = []
        asking = threading.Thread(
            target=lambda: answers.append(authenticate(socket, frail_issuer.mint("ada", scope=EVERYTHING))["event"])
        )
        asking.start()
        time.sleep(0.3)
        begun = time.monotonic()
        assert client.get("/health").status_code == 200
        took = time.monotonic() - begun
        assert asking.is_alive()  # it waits still
        assert took < 1.0
        asking.join(20)
        assert answers == ["authenticated"]


def test_the_tokens_session_counts_here_too_where_its_claim_is_written(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path_factory.mktemp("ws-session"))
    app = secure(probe, issuer, session_id_claim="chat")
    with serving(app) as client, client.websocket_connect(SOCKET) as socket:
        authenticate(socket, issuer.mint("ada", scope=EVERYTHING, claims={"chat": "of-the-token"}))
        assert start(socket, session_id="of-the-client")["event"] == "WorkflowCompleted"
    assert probe.last.session_id == "of-the-token"


def test_the_handshakes_cookie_authenticates_the_socket_for_our_own_pages_alone(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path_factory.mktemp("cookie"))
    app = secure(probe, issuer, token_source=TokenSource.COOKIE, allowed_origins=["https://ui.test"])
    token = issuer.mint("ada", scope=EVERYTHING)
    with serving(app, cookies={"access_token": token}) as client:
        for origin in ("http://testserver", "https://ui.test"):
            with client.websocket_connect(SOCKET, headers={"Origin": origin}) as socket:
                assert until(socket, "authenticated", "auth_error")["event"] == "authenticated"
                assert start(socket)["event"] == "WorkflowCompleted"
        assert probe.last.user_id == "ada"
        for headers in ({"Origin": "https://evil.test"}, {}):
            with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(SOCKET, headers=headers):
                pass
            assert refused.value.status_code == 403
    with serving(app) as client, client.websocket_connect(SOCKET, headers={"Origin": "https://evil.test"}) as socket:
        assert start(socket)["event"] == "auth_required"  # without the cookie there is nothing to steal


def test_a_cookie_that_is_no_good_authenticates_nothing(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    app = secure(make_os(tmp_path_factory.mktemp("bad-cookie")), issuer, token_source=TokenSource.BOTH)
    expired = {"access_token": issuer.mint("ada", scope=EVERYTHING, expires_in=-600)}
    ours = {"Origin": "http://testserver"}
    with serving(app, cookies=expired) as client, client.websocket_connect(SOCKET, headers=ours) as socket:
        assert until(socket, "authenticated", "auth_error")["error_type"] == "expired"
        assert start(socket)["event"] == "auth_required"


def test_every_other_socket_is_refused_before_it_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    base = FastAPI()

    @base.websocket("/own")
    async def own(websocket: WebSocket, principal: CurrentPrincipal) -> None:
        await websocket.accept()
        await websocket.send_text(principal.user_id)

    app = secure(make_os(tmp_path_factory.mktemp("own-socket"), base_app=base), issuer)
    with serving(app) as client:
        for headers in ({}, auth_header("a.b.c"), bearer(issuer, "sa:robot")):
            with (
                pytest.raises((WebSocketDenialResponse, WebSocketDisconnect)),
                client.websocket_connect("/own", headers=headers),
            ):
                pass
        with client.websocket_connect("/own", headers=bearer(issuer)) as socket:
            assert socket.receive_text() == "ada"


def test_a_frame_without_a_token_ends_nothing(client: TestClient, issuer: FakeIssuer) -> None:
    with client.websocket_connect(SOCKET) as socket:
        authenticate(socket, issuer.mint("ada", scope=EVERYTHING))
        for frame in ({"action": "authenticate"}, {"action": "authenticate", "token": 7}):
            socket.send_json(frame)
            assert until(socket, "auth_error")
        socket.send_json({"action": "ping"})
        assert until(socket, "pong")


def test_a_frame_too_deep_to_be_read_is_answered_and_the_socket_goes_on(client: TestClient, issuer: FakeIssuer) -> None:
    with client.websocket_connect("/workflows/ws") as socket:
        socket.receive_json()
        socket.send_text('{"action": "ping", "deep": ' + "[" * 100_000)
        assert read(socket)["event"] == "auth_error"
        assert authenticate(socket, bearer(issuer, scope=EVERYTHING)["Authorization"].removeprefix("Bearer "))[
            "event"
        ] == ("authenticated")
