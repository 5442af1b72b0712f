"""The token in a cookie: for pages that call their own backend, and for browsers' WebSockets.

    .venv/bin/oidcbridge serve-idp                        # a provider to try it with, in another terminal
    export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api
    .venv/bin/uvicorn --app-dir examples cookie:app

A browser sends a cookie with every request, also with one that another site's page makes. So a cookie is taken for
unsafe methods and WebSockets only from our own origin, or from one that ``allowed_origins`` names.
"""

from typing import Annotated

from fastapi import Body, FastAPI, Response

from oidcbridge import TokenSource, Verifier
from oidcbridge.fastapi import UserId, protect

verifier = Verifier()  # from OIDCBRIDGE_*

app = protect(
    FastAPI(title="Agents, by cookie"),
    verifier,
    token_source=TokenSource.BOTH,  # a header decides alone where there is one
    cookie_name="agent_token",
    allowed_origins=["https://ui.example.com"],
    excluded_route_paths=["/auth/*"],
)


@app.post("/auth/session")
async def log_in(access_token: Annotated[str, Body(embed=True)], response: Response) -> dict[str, str]:
    """Put a verified token into a cookie that scripts cannot read. A bad one raises, and is answered 401."""
    principal = await verifier.verify(access_token)
    response.set_cookie("agent_token", access_token, httponly=True, secure=True, samesite="strict", path="/")
    return {"user_id": principal.user_id}


@app.delete("/auth/session")
async def log_out(response: Response) -> None:
    response.delete_cookie("agent_token", httponly=True, secure=True, samesite="strict", path="/")


@app.post("/agents/{agent_id}/runs")
async def run(agent_id: str, user_id: UserId) -> dict[str, str]:
    return {"agent": agent_id, "started_by": user_id}
