"""Static keys instead of an identity provider: tokens that your own backend signs, as AgentOS's users know them.

    AGENT_SECRET=$(openssl rand -hex 32) .venv/bin/uvicorn --app-dir examples static_keys:app

A shared secret (HS256) must be as long as its hash, 32 bytes; for a public key write ``algorithm="RS256"`` and the
PEM text. ``exp`` is always checked; ``iss`` and ``aud`` where they are given.
"""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from oidcbridge import OIDCMiddleware


async def whoami(request: Request) -> JSONResponse:
    state = request.state
    return JSONResponse({"user_id": state.user_id, "session_id": state.session_id, "dependencies": state.dependencies})


app = Starlette(
    routes=[Route("/whoami", whoami), Route("/health", lambda _request: JSONResponse({"status": "ok"}))],
    middleware=[
        Middleware(
            OIDCMiddleware,
            verification_keys=[os.environ["AGENT_SECRET"]],
            algorithm="HS256",
            audience="agents",
            session_id_claim="session_id",
            dependencies_claims=["name", "email"],
            excluded_route_paths=["/health"],
        )
    ],
)
