"""Starting and stopping: keys are fetched ahead, nothing waits for them, and mistakes fail the start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge import ConfigurationError, OIDCMiddleware, Verifier
from oidcbridge.testing import FakeIssuer, auth_header
from tests.asgi.kit import Probe, ask, ask_websocket, bearer, guarded, serve_lifespan


def run_lifespan(app: OIDCMiddleware, events: tuple[str, ...] = ("startup", "shutdown")) -> list[Message]:
    """Start and stop ``app`` as a server does; what it sent."""
    sent: list[Message] = []
    inbox: list[Message] = [{"type": f"lifespan.{event}"} for event in events]

    async def receive() -> Message:
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    return sent


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait for something that happens on another thread."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.005)
    return True


def test_keys_are_fetched_before_anybody_asks(frail_issuer: FakeIssuer) -> None:
    with TestClient(guarded(frail_issuer)) as client:
        assert eventually(lambda: frail_issuer.fetches["jwks"] == 1)
        assert client.get("/x", headers=auth_header(frail_issuer.mint("ada"))).status_code == 200
    assert frail_issuer.fetches["jwks"] == 1


def started_in(make: Callable[[], ASGIApp]) -> float:
    """Seconds from the start to startup.complete of an app that is new each time, the best of three."""
    durations = []
    for _ in range(3):
        app, begun = make(), time.perf_counter()
        with TestClient(app):
            durations.append(time.perf_counter() - begun)
    return min(durations)


def test_an_app_starts_while_its_provider_hangs_or_is_down(frail_issuer: FakeIssuer) -> None:
    bare = started_in(Probe)
    frail_issuer.slow = 1.0
    assert started_in(lambda: guarded(frail_issuer)) - bare < 0.1
    frail_issuer.slow, frail_issuer.down = 0.0, True
    assert started_in(lambda: guarded(frail_issuer)) - bare < 0.1
    with TestClient(guarded(frail_issuer)) as client:
        token = frail_issuer.mint("ada")
        assert client.get("/x", headers=auth_header(token)).status_code == 503
        frail_issuer.down = False
        assert eventually(lambda: client.get("/x", headers=auth_header(token)).status_code == 200)


def test_two_test_clients_on_one_app_one_after_another_both_work(frail_issuer: FakeIssuer) -> None:
    app = guarded(frail_issuer)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/x", headers=auth_header(frail_issuer.mint("ada"))).status_code == 200
            frail_issuer.rotate()
            assert client.get("/x", headers=auth_header(frail_issuer.mint("ada"))).status_code == 200
    assert ask(app, headers=bearer(frail_issuer.mint("ada"))).status == 200, "and without any lifespan"


class WatchedVerifier(Verifier):
    """Notes what the lifespan asks of it."""

    asked: list[str]

    def start_warming(self) -> None:
        self.asked.append("start_warming")
        super().start_warming()

    def pause(self) -> None:
        self.asked.append("pause")
        super().pause()


def watched(issuer: FakeIssuer) -> WatchedVerifier:
    verifier = WatchedVerifier(issuer_url=issuer.issuer_url, audience=issuer.audience)
    verifier.asked = []
    return verifier


def test_refreshing_pauses_when_the_app_stops_also_where_it_failed_to_start(issuer: FakeIssuer) -> None:
    verifier = watched(issuer)
    assert [message["type"] for message in run_lifespan(OIDCMiddleware(Probe(), verifier))] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert verifier.asked == ["start_warming", "pause"]

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no database")

    verifier.asked.clear()
    with pytest.raises(LookupError, match="no database"):
        run_lifespan(OIDCMiddleware(broken, verifier))
    assert verifier.asked == ["start_warming", "pause"]


def test_the_apps_own_lifespan_runs_and_hands_its_state_on(issuer: FakeIssuer) -> None:
    events = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        events.append("up")
        yield {"database": "open"}
        events.append("down")

    async def look(request: Request) -> JSONResponse:
        return JSONResponse({"database": request.state.database, "user_id": request.state.user_id})

    app = Starlette(routes=[Route("/look", look)], lifespan=lifespan)
    app.add_middleware(OIDCMiddleware, issuer_url=issuer.issuer_url, audience=issuer.audience)
    with TestClient(app) as client:
        found = [client.get("/look", headers=auth_header(issuer.mint(who))).json() for who in ("ada", "bob")]
    assert found == [{"database": "open", "user_id": "ada"}, {"database": "open", "user_id": "bob"}]
    assert events == ["up", "down"]


def test_a_mistake_in_the_arguments_fails_the_start_with_its_text_and_every_request(probe: Probe) -> None:
    app = OIDCMiddleware(probe, issuer_url="https://idp.test")
    (failed,) = run_lifespan(app, events=("startup",))
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"].startswith("oidcbridge: audience is missing")
    for send in (ask, ask_websocket):
        with pytest.raises(ConfigurationError, match="audience is missing"):
            send(app, headers=bearer("a.b.c"))
    assert probe.scopes == []


def test_starlette_shows_the_mistake_too(issuer: FakeIssuer) -> None:
    app = Starlette()
    app.add_middleware(OIDCMiddleware, issuer_url=issuer.issuer_url)
    with pytest.raises(ConfigurationError, match="audience is missing"):
        TestClient(app).get("/")


def test_without_validation_there_is_nothing_to_fetch_and_the_app_starts() -> None:
    with TestClient(OIDCMiddleware(Probe(), validate=False)) as client:
        assert client.get("/x").status_code == 200


def test_a_lifespan_that_fails_in_the_app_keeps_its_own_word(issuer: FakeIssuer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    assert run_lifespan(guarded(issuer, app)) == [{"type": "lifespan.startup.failed", "message": "no database"}]
    assert len(run_lifespan(guarded(issuer, serve_only_lifespan))) == 2


async def serve_only_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await serve_lifespan(receive, send)
