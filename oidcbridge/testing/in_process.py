"""Serving the fake issuer without a socket, to whatever takes an httpx2 transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

    from oidcbridge.testing.fake_issuer import FakeIssuer


def in_process_transport(issuer: FakeIssuer) -> httpx2.AsyncBaseTransport:
    """A transport that hands every request to ``issuer``, whatever host it names; ``ConnectError`` while it is down."""
    # Imported here: this package is imported by pytest before any test, and the HTTP client is not cheap.
    import httpx2  # noqa: PLC0415

    async def respond(request: httpx2.Request) -> httpx2.Response:
        target = request.url.raw_path.decode("ascii")
        issuer.record_arrival(target)
        if issuer.slow:
            await asyncio.sleep(issuer.slow)
        if issuer.down:
            raise httpx2.ConnectError("the fake issuer is down", request=request)
        answer = issuer.handle(request.method, target, request.headers, request.content)
        # As a stream, like a transport's: with `content=` the body would count as read, and could not be streamed.
        return httpx2.Response(answer.status, headers=dict(answer.headers), stream=httpx2.ByteStream(answer.body))

    return httpx2.MockTransport(respond)
