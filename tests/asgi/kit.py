"""What the tests of the HTTP surface share: an app that says what it found, and raw ASGI connections to it.

The driver speaks ASGI itself where a test client would tidy up: it sends repeated headers, odd paths and WebSockets
of servers without the denial response extension exactly as they are written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge import OIDCMiddleware
from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.core.strict_json import thaw
from oidcbridge.testing import FakeIssuer

Headers = Iterable[tuple[str, str]]
DENIAL: dict[str, dict[str, object]] = {"websocket.http.response": {}}
"""The extensions of a server that can refuse a WebSocket with an HTTP answer."""
STATE = ("user_id", "session_id", "dependencies", "session_state", "scopes", "claims", "token", "authenticated")


class Probe:
    """A bare ASGI app: answers with what it found on the state, and remembers every scope it was called with."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.headers = headers
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await serve_lifespan(receive, send)
            return
        self.scopes.append(scope)
        if scope["type"] == "http":
            await JSONResponse(face(scope), headers=self.headers)(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(face(scope))})
        await send({"type": "websocket.close", "code": 1000})

    @property
    def state(self) -> dict[str, Any]:
        """The state of the last call."""
        state: dict[str, Any] = self.scopes[-1]["state"]
        return state


async def serve_lifespan(receive: Receive, send: Send) -> None:
    """Start and stop, as an app does that has nothing to prepare."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def face(scope: Scope) -> dict[str, Any]:
    """The state as JSON, and nothing where it is not set."""
    state = scope.get("state", {})
    return {name: thaw(state[name]) for name in STATE if name in state}


def guarded(issuer: FakeIssuer, app: ASGIApp | None = None, **arguments: Unpack[MiddlewareArguments]) -> OIDCMiddleware:
    """An app behind the middleware, for tokens of ``issuer``."""
    ours: MiddlewareArguments = {"issuer_url": issuer.issuer_url, "audience": issuer.audience}
    return OIDCMiddleware(Probe() if app is None else app, **(ours | arguments))


@dataclass
class Answer:
    """What came back. A WebSocket that was accepted has status 101; one that was closed before, ``close_code``."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    close_code: int | None = None
    messages: list[Message] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """All values of a header, joined; None where it is absent."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The body's JSON; of a WebSocket, the first frame's."""
        return json.loads(self.body)


def http_scope(path: str = "/x", *, method: str = "GET", headers: Headers = (), **more: Any) -> Scope:
    """A request as a server hands it over. ``more`` adds to the scope or replaces members."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50000),
        "state": {},
        **more,
    }


def websocket_scope(path: str = "/x", *, headers: Headers = (), denial: bool = True, **more: Any) -> Scope:
    """A WebSocket handshake as a server hands it over; ``denial``: the server can answer it with HTTP."""
    scope = http_scope(path, headers=headers, scheme="ws", type="websocket", subprotocols=[])
    del scope["method"]
    return {**scope, "extensions": DENIAL if denial else {}, **more}


async def deliver(app: ASGIApp, scope: Scope) -> Answer:
    """Hand one connection to ``app`` and collect what it sends."""
    answer = Answer()
    first: dict[str, Message] = {
        "http": {"type": "http.request", "body": b"", "more_body": False},
        "websocket": {"type": "websocket.connect"},
    }
    inbox = [first[scope["type"]]]

    async def receive() -> Message:
        return inbox.pop(0) if inbox else {"type": f"{scope['type']}.disconnect"}

    async def send(message: Message) -> None:
        answer.messages.append(message)
        kind = message["type"].removeprefix("websocket.")
        if kind == "http.response.start":
            answer.status = message["status"]
            pairs = message["headers"]
            answer.headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]
        elif kind == "http.response.body":
            answer.body += message.get("body", b"")
        elif kind == "accept":
            answer.status = 101
        elif kind == "send":
            answer.body = message["text"].encode()
        elif kind == "close" and answer.status == 0:
            answer.close_code = message["code"]

    await app(scope, receive, send)
    return answer


def ask(app: ASGIApp, path: str = "/x", *, method: str = "GET", headers: Headers = (), **more: Any) -> Answer:
    """One HTTP request."""
    return asyncio.run(deliver(app, http_scope(path, method=method, headers=headers, **more)))


def ask_websocket(app: ASGIApp, path: str = "/x", *, headers: Headers = (), denial: bool = True, **more: Any) -> Answer:
    """One WebSocket handshake."""
    return asyncio.run(deliver(app, websocket_scope(path, headers=headers, denial=denial, **more)))


def bearer(token: str, name: str = "Authorization") -> list[tuple[str, str]]:
    """The header that carries ``token``."""
    return [(name, f"Bearer {token}")]


def cookie(token: str, name: str = "access_token") -> list[tuple[str, str]]:
    """The cookie that carries ``token``."""
    return [("Cookie", f"{name}={token}")]
