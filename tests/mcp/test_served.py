"""Over a real server on loopback, called by FastMCP's own client, on each transport that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx2
import pytest
from fastmcp import Client
from fastmcp.exceptions import McpError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge.testing import FakeIssuer, auth_header
from tests.asgi.test_servers import served
from tests.mcp.kit import server, token_verifier

Transport = Literal["http", "sse"]

pytestmark = pytest.mark.parametrize("transport", ["http", "sse"])

#: What FastMCP's client makes of an answer that is none of MCP's: over one transport, and over the other.
REFUSED = (McpError, httpx2.HTTPStatusError)


class Statuses:
    """An app, and how each HTTP request to it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.seen: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.seen.add(message["status"])
            await send(message)

        await self.app(scope, receive, noting)


class Served:
    """A server under way, and what FastMCP's client gets out of it."""

    def __init__(self, url: str, statuses: Statuses) -> None:
        self.url = url
        self.statuses = statuses

    def ask(self, token: str) -> object:
        """Who the server says is calling, in a session of its own; how that was answered is in ``statuses``."""
        self.statuses.seen.clear()

        async def asking() -> object:
            async with Client(self.url, auth=token) as client:
                return (await client.call_tool("whoami")).data

        return asyncio.run(asking())


@contextmanager
def serving(issuer: FakeIssuer, transport: Transport) -> Iterator[Served]:
    app = Statuses(server(token_verifier(issuer)).http_app(transport=transport))
    with served(app) as port:
        yield Served(f"http://127.0.0.1:{port}/{'mcp' if transport == 'http' else 'sse'}", app)


def test_the_client_calls_a_tool_and_a_token_for_another_api_does_not(issuer: FakeIssuer, transport: Transport) -> None:
    with serving(issuer, transport) as running:
        assert running.ask(issuer.mint("ada")) == "ada"
        with pytest.raises(REFUSED):
            running.ask(issuer.mint("ada", audience="billing-api"))
        assert running.statuses.seen == {401}


def test_a_rotation_passes_and_an_outage_is_503_until_it_is_over(
    frail_issuer: FakeIssuer, transport: Transport
) -> None:
    with serving(frail_issuer, transport) as running:
        assert running.ask(frail_issuer.mint("ada")) == "ada"
        frail_issuer.rotate()
        assert running.ask(frail_issuer.mint("bob")) == "bob"
        frail_issuer.rotate()
        with frail_issuer.outage(), pytest.raises(REFUSED):
            running.ask(frail_issuer.mint("ada"))
        assert running.statuses.seen == {503}


def test_what_one_user_has_begun_another_does_not_go_on_with(issuer: FakeIssuer, transport: Transport) -> None:
    ping = {"jsonrpc": "2.0", "id": 9, "method": "ping"}
    accept = {"accept": "application/json, text/event-stream"}
    with serving(issuer, transport) as running, begun(running, transport, issuer.mint("ada")) as (url, session):
        for user, expected in (("bob", 404), ("ada", 202 if transport == "sse" else 200), ("bob", 404)):
            headers = {**accept, **session, **auth_header(issuer.mint(user))}
            assert httpx2.post(url, json=ping, headers=headers).status_code == expected
        assert httpx2.post(url, json=ping, headers={**accept, **session}).status_code == 401


@contextmanager
def begun(running: Served, transport: Transport, token: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A session that ``token`` has begun: where its messages go, and the headers that name it."""
    headers = {"accept": "application/json, text/event-stream", **auth_header(token)}
    if transport == "http":
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        answer = httpx2.post(running.url, json=body, headers=headers)
        yield running.url, {"mcp-session-id": answer.headers["mcp-session-id"]}
        return
    with httpx2.stream("GET", running.url, headers=headers) as stream:
        lines = stream.iter_lines()  # which ends the session when it is let go
        where = next(line for line in lines if line.startswith("data:"))
        yield str(httpx2.URL(running.url).join(where.removeprefix("data:").strip())), {}
