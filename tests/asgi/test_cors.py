"""Preflights pass, and a browser on another origin can read our 401 through a CORSMiddleware outside."""

from __future__ import annotations

from itertools import product

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge import TokenSource
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Headers, Probe, ask, ask_websocket, bearer, guarded

UI = ("Origin", "https://ui.example.com")
ASKED = ("Access-Control-Request-Method", "POST")
METHODS = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "TRACE", "options", "CONNECT")


class AllowingAll:
    """An app that answers preflights, and whatever else comes, with a word on CORS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_allowing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"Access-Control-Allow-Origin", b"*")]
            await send(message)

        await self.app(scope, receive, send_allowing)


@pytest.mark.parametrize("source", list(TokenSource))
def test_a_preflight_alone_passes_without_a_credential(issuer: FakeIssuer, probe: Probe, source: TokenSource) -> None:
    app = guarded(issuer, AllowingAll(probe), token_source=source)
    for method, origin, asked in product(METHODS, (False, True), (False, True)):
        probe.scopes.clear()
        headers = [UI] * origin + [ASKED] * asked
        is_preflight = method == "OPTIONS" and origin and asked
        answer = ask(app, method=method, headers=headers)
        assert answer.status == (200 if is_preflight else 401), (method, headers)
        assert len(probe.scopes) == is_preflight
        if is_preflight:
            assert (probe.state["authenticated"], probe.state["user_id"]) == (False, None)


def test_a_preflight_reads_no_credential(issuer: FakeIssuer, probe: Probe) -> None:
    sent: list[Headers] = [bearer(issuer.mint("ada")), bearer("abc"), bearer("a b")]
    for headers in sent:
        assert ask(guarded(issuer, AllowingAll(probe)), method="OPTIONS", headers=[UI, ASKED, *headers]).status == 200
        assert probe.state["user_id"] is None


def test_options_without_a_preflights_headers_needs_a_token(issuer: FakeIssuer) -> None:
    app = guarded(issuer)
    assert ask(app, method="OPTIONS").status == 401
    assert ask(app, method="OPTIONS", headers=bearer(issuer.mint("ada"))).status == 200


def test_a_websocket_is_never_a_preflight(issuer: FakeIssuer) -> None:
    headers = [UI, ASKED]
    assert ask_websocket(guarded(issuer), headers=headers).status == 401
    assert ask_websocket(guarded(issuer), headers=headers, method="OPTIONS").status == 401


def test_with_cors_outside_a_browser_can_read_refusals_and_answers(issuer: FakeIssuer, probe: Probe) -> None:
    app = CORSMiddleware(
        guarded(issuer, probe),
        allow_origins=[UI[1]],
        allow_methods=["POST"],
        expose_headers=["WWW-Authenticate"],
        allow_headers=["authorization"],
    )
    sent: dict[int, Headers] = {401: [UI], 400: [UI, *bearer("a b")], 200: [UI, *bearer(issuer.mint("ada"))]}
    for status, headers in sent.items():
        answer = ask(app, headers=headers)
        assert answer.status == status
        assert answer.header("access-control-allow-origin") == UI[1]
        assert answer.header("access-control-expose-headers") == "WWW-Authenticate"
        assert set((answer.header("vary") or "").split(", ")) == {"Authorization", "Origin"}
    probe.scopes.clear()
    preflight = ask(app, method="OPTIONS", headers=[UI, ASKED, ("Access-Control-Request-Headers", "authorization")])
    assert (preflight.status, preflight.header("access-control-allow-origin")) == (200, UI[1])
    assert probe.scopes == []
    stranger = ask(app, headers=[("Origin", "https://evil.example")])
    assert (stranger.status, stranger.header("access-control-allow-origin")) == (401, None)


def test_with_cors_inside_the_preflight_still_works(issuer: FakeIssuer) -> None:
    app = guarded(issuer, CORSMiddleware(Probe(), allow_origins=[UI[1]], allow_methods=["POST"]))
    preflight = ask(app, method="OPTIONS", headers=[UI, ASKED])
    assert (preflight.status, preflight.header("access-control-allow-origin")) == (200, UI[1])
