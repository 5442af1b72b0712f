"""A protected request against the unprotected app, called in process: FastAPI GET, and an SSE answer of 200 chunks.

python benchmarks/middleware.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from itertools import cycle
from typing import Any

from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.harness import AUDIENCE, ISSUER_URL, bare_work, keycloak_token, medians, print_table
from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.testing import FakeIssuer


def agent_app() -> FastAPI:
    app = FastAPI()

    @app.get("/agents")
    async def agents() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(200):
                yield b"data: %d\n\n" % number

        return StreamingResponse(chunks(), media_type="text/event-stream")

    return app


class BareMiddleware:
    """An ASGI wrapper that does the bare RS256 work and nothing else."""

    def __init__(self, app: ASGIApp, verify: Callable[[str], object]) -> None:
        self.app, self.verify = app, verify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
        scope["claims"] = self.verify(token)
        await self.app(scope, receive, send)


def requests(app: ASGIApp, path: str, tokens: Sequence[str]) -> Callable[[int], object]:
    """``calls`` requests in process, each with the next of ``tokens``."""
    following = cycle(tokens)

    async def receive() -> MutableMapping[str, Any]:
        return await asyncio.Future()  # a client that has sent everything and stays connected

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"answered {message['status']}")

    async def main(calls: int) -> None:
        for _ in range(calls):
            scope = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "headers": [(b"host", b"test"), (b"authorization", f"Bearer {next(following)}".encode())],
                "client": ("127.0.0.1", 1),
                "server": ("127.0.0.1", 80),
            }
            await app(scope, receive, send)

    return lambda calls: asyncio.run(main(calls))


def main() -> None:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        tokens = [keycloak_token(issuer, "RS256") for _ in range(400)]
        verifier = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE)
        uncached = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=0)
        for path, calls in (("/agents", 300), ("/stream", 40)):
            measured = medians(
                {
                    "unprotected": requests(agent_app(), path, tokens[:1]),
                    "bare RS256 work in an ASGI wrapper": requests(
                        BareMiddleware(agent_app(), bare_work(issuer, "RS256")), path, tokens
                    ),
                    "OIDCMiddleware, token seen before": requests(
                        OIDCMiddleware(agent_app(), verifier=verifier), path, tokens[:1]
                    ),
                    "OIDCMiddleware, new token": requests(OIDCMiddleware(agent_app(), verifier=uncached), path, tokens),
                },
                calls=calls,
            )
            print_table(f"GET {path}", measured, "unprotected")


if __name__ == "__main__":
    main()
