"""An agent's app, called in process: what a server would hand to it, without the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from hashlib import sha256
from itertools import cycle, islice
from typing import Any

from fastapi import FastAPI, params
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.harness import Timed
from oidcbridge import Principal

CHUNKS = 200


def agent_app(dependencies: Sequence[params.Depends] = ()) -> FastAPI:
    """A GET, and a stream of `CHUNKS` server-sent events."""
    app = FastAPI(dependencies=dependencies)

    @app.get("/agents")
    async def agents() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(CHUNKS):
                yield b"data: %d\n\n" % number

        return StreamingResponse(chunks(), media_type="text/event-stream")

    return app


class BareMiddleware:
    """An ASGI wrapper that does the bare work and nothing else."""

    def __init__(self, app: ASGIApp, verify: Callable[[str], object]) -> None:
        self.app, self.verify = app, verify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
        scope["claims"] = self.verify(token)
        await self.app(scope, receive, send)


class LeastMiddleware:
    """The least that remembering costs: a SHA-256, a look-up, names on the state and two headers on the answer.

    Nobody could use it: it asks nothing of the token's times and keys, of the path or of a second header. What it adds
    is what the bars for a token seen before have to be read against.
    """

    def __init__(self, app: ASGIApp, principals: Mapping[bytes, Principal]) -> None:
        self.app, self.principals = app, principals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"])[b"authorization"].removeprefix(b"Bearer ")
        principal = self.principals[sha256(token).digest()]
        state = scope["state"] = {"principal": principal, "user_id": principal.user_id, "token": token.decode()}
        state |= {"session_id": principal.session_id, "scopes": list(principal.scopes), "claims": principal.claims}
        state |= {"dependencies": {}, "session_state": {}, "authenticated": True}

        def send_private(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] += [(b"vary", b"Authorization"), (b"cache-control", b"no-store")]
            return send(message)

        await self.app(scope, receive, send_private)


def requests(app: ASGIApp, path: str, tokens: Sequence[str], *, status: int = 200) -> Timed:
    """Requests with each of ``tokens`` in turn. Raises `RuntimeError` for an answer of another ``status``.

    The header's bytes are new for every request, as a server's are: nothing may be gained from an object seen before.
    """
    following = cycle([token.encode() for token in tokens])

    async def receive() -> MutableMapping[str, Any]:
        return await asyncio.Future()  # a client that has sent everything and stays connected

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != status:
            raise RuntimeError(f"GET {path} was answered {message['status']}, not {status}")

    async def main(calls: int) -> float:
        scopes = [_scope(path, b"Bearer " + token) for token in islice(following, calls)]
        begin = time.process_time()
        for scope in scopes:
            await app(scope, receive, send)
        return time.process_time() - begin

    return lambda calls: asyncio.run(main(calls))


def _scope(path: str, authorization: bytes) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"agents.example.com"), (b"accept", b"*/*"), (b"authorization", authorization)],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
    }
