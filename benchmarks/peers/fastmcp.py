"""fastmcp: its ``JWTVerifier``, and the middleware that it puts before an MCP server, before our app instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
from fastmcp.server.auth.providers.jwt import JWTVerifier  # type: ignore[import-not-found, unused-ignore]
from mcp.server.auth.middleware.bearer_auth import (  # type: ignore[import-not-found, unused-ignore]
    RequireAuthMiddleware,
)
from starlette.types import ASGIApp

from benchmarks.harness import AUDIENCE, ISSUER_URL
from benchmarks.in_process import agent_app
from benchmarks.peers import Keys


def verifier(keys: Keys, alg: str) -> Callable[[str], Awaitable[object]]:
    """Keys are fetched by the first call, and kept for an hour."""
    made = _verifier(keys, alg)

    async def verify(token: str) -> object:
        verified = await made.verify_token(token)
        if verified is None:
            raise ValueError("refused")
        return verified

    return verify


def protected(keys: Keys) -> ASGIApp:
    """In the order of fastmcp's own HTTP app: authentication first, what requires it last."""
    app = agent_app()
    app.add_middleware(RequireAuthMiddleware, required_scopes=[])
    for middleware in reversed(_verifier(keys, "RS256").get_middleware()):
        app.add_middleware(middleware.cls, *middleware.args, **middleware.kwargs)
    return app


def _verifier(keys: Keys, alg: str) -> JWTVerifier:
    client = httpx2.AsyncClient(transport=keys.issuer.transport())
    return JWTVerifier(
        jwks_uri=keys.discovery["jwks_uri"], issuer=ISSUER_URL, audience=AUDIENCE, algorithm=alg, http_client=client
    )
