"""The demo's agent service: a FastAPI app of the usual kind, and the one call that protects it. Copy it.

    app = protect(FastAPI(), issuer_url="https://id.example.com/realms/acme", audience="agent-api")

After that line every route needs an access token, and the types below say who is calling.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket

from oidcbridge import FetchOptions
from oidcbridge.fastapi import (
    CurrentPrincipal,
    Dependencies,
    SessionId,
    SessionState,
    UserId,
    protect,
    require_scopes,
)

routes = APIRouter()


@routes.post("/agents/{agent_id}/runs", dependencies=[require_scopes("agents:run")])
async def run(agent_id: str, user_id: UserId) -> dict[str, str]:
    """Run an agent; the token needs the scope ``agents:run``."""
    return {"agent": agent_id, "user_id": user_id, "reply": f"{agent_id} at your service"}


@routes.get("/me")
async def me(
    user_id: UserId, session_id: SessionId, dependencies: Dependencies, session_state: SessionState
) -> dict[str, Any]:
    """Show what an agent learns about its caller."""
    return {
        "user_id": user_id,
        "session_id": session_id,
        "dependencies": dependencies,
        "session_state": session_state,
    }


@routes.websocket("/agents/{agent_id}/chat")
async def chat(websocket: WebSocket, agent_id: str, principal: CurrentPrincipal) -> None:
    """Answer one message."""
    await websocket.accept()
    message = await websocket.receive_text()
    await websocket.send_json({"agent": agent_id, "user_id": principal.user_id, "reply": f"you said: {message}"})
    await websocket.close()


def build_agent_service(issuer_url: str, *, fetch: FetchOptions | None = None) -> FastAPI:
    """The app, protected. ``fetch`` says how keys are fetched and kept; an app of yours needs none."""
    app = FastAPI(title="Demo agent service")
    app.include_router(routes)
    return protect(
        app,
        issuer_url=issuer_url,
        audience="agent-api",
        dependencies_claims=["name", "email", "roles"],
        session_state_claims=["tenant", "locale"],
        fetch=fetch or FetchOptions(),
    )
