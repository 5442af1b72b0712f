"""What is made once for many answers stays as it was made, whoever writes into what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge.asgi.responses import OIDCHTTPException
from oidcbridge.core.bearer import MAX_HEADER_BYTES
from oidcbridge.fastapi import CurrentPrincipal, protect
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Probe, ask, ask_websocket, bearer, guarded

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
CHUNKS: list[Message] = [
    {"type": "http.response.body", "body": b"one", "more_body": True},
    {"type": "http.response.body", "body": b"two", "more_body": False},
]


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that sends the very same objects each time."""
    for message in (START, *CHUNKS):
        await send(message)


def test_an_app_may_send_constants_and_on_a_public_path_they_are_not_private(issuer: FakeIssuer) -> None:
    app = guarded(issuer, constant, excluded_route_paths=["/public"])
    for _ in range(2):
        private = ask(app, headers=bearer(issuer.mint("ada")))
        assert private.headers == [
            ("content-type", "text/plain"),
            ("vary", "Authorization"),
            ("cache-control", "no-store"),
        ]
        assert ask(app, "/public").headers == [("content-type", "text/plain")]
    assert START["headers"] == [(b"content-type", b"text/plain")]


def test_the_chunks_of_a_stream_go_out_as_they_are(issuer: FakeIssuer) -> None:
    answer = ask(guarded(issuer, constant), headers=bearer(issuer.mint("ada")))
    assert answer.messages[1:] == CHUNKS
    assert all(sent is chunk for sent, chunk in zip(answer.messages[1:], CHUNKS, strict=True))


def stamping(app: ASGIApp) -> ASGIApp:
    """A middleware further out that writes into the headers it passes on, as Starlette's own do."""

    async def stamped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_stamped(message: Message) -> None:
            if message["type"].endswith("response.start"):
                message["headers"].append((b"x-stamp", b"1"))
                message["headers"].remove(next(pair for pair in message["headers"] if pair[0] == b"cache-control"))
            await send(message)

        await app(scope, receive, send_stamped)

    return stamped


@pytest.mark.parametrize("headers", [[], bearer("abc"), bearer("a b")])
def test_what_a_middleware_writes_into_one_refusal_is_in_no_other(issuer: FakeIssuer, headers: Any) -> None:
    app = guarded(issuer, Probe())
    for send in (ask, ask_websocket):
        first = send(stamping(app), headers=headers)
        assert (first.header("x-stamp"), first.header("cache-control")) == ("1", None)
        second = send(app, headers=headers)
        assert (second.header("x-stamp"), second.header("cache-control")) == (None, "no-store")


def test_what_a_handler_writes_into_one_refusal_is_in_no_other(issuer: FakeIssuer) -> None:
    app = protect(FastAPI(), issuer_url=issuer.issuer_url, audience=issuer.audience, middleware=False)
    seen: list[dict[str, str]] = []

    @app.exception_handler(OIDCHTTPException)
    async def handle(request: Request, error: OIDCHTTPException) -> JSONResponse:
        assert isinstance(error.headers, dict)
        seen.append(dict(error.headers))
        error.headers["X-Caller"] = "ada"
        return JSONResponse({}, error.status_code, error.headers)

    @app.get("/mine")
    async def mine(principal: CurrentPrincipal) -> None:
        raise AssertionError("nobody gets here")

    client = TestClient(app)
    assert client.get("/mine").headers["x-caller"] == "ada"
    assert client.get("/mine").status_code == 401
    assert len(seen) == 2
    assert "X-Caller" not in seen[1]


def test_a_header_that_is_longer_than_any_token_is_refused_as_a_bad_token(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe)
    for text in ("x" * 10_000_000, "x" * MAX_HEADER_BYTES + " y"):
        answer = ask(app, headers=bearer(text))
        assert (answer.status, answer.json()["code"]) == (401, "invalid_token")
    assert ask(app, headers=[("Authorization", "Bearer" + " " * 10_000_000)]).status == 400
    assert ask(app, headers=[("Authorization", "Basic " + "x" * 10_000_000)]).json()["code"] == "missing_credential"
    assert probe.scopes == []
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200
