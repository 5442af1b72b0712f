"""A WebSocket behind an identity provider: refused with HTTP 401 before it is accepted, or it knows who is there.

    .venv/bin/oidcbridge serve-idp                        # a provider to try it with, in another terminal
    export OIDCBRIDGE_ISSUER_URL=http://127.0.0.1:8090 OIDCBRIDGE_AUDIENCE=agent-api
    .venv/bin/uvicorn --app-dir examples fastapi_websocket:app

Clients send the token in the Authorization header of the handshake. A browser cannot; it has the token in a cookie
(see cookie.py), which on WebSockets is only taken from our own or an allowed origin.
"""

from fastapi import FastAPI, WebSocket

from oidcbridge.fastapi import UserId, protect, require_any_role

app = protect(FastAPI(title="Agent chat"))


@app.websocket("/chat")
async def chat(websocket: WebSocket, user_id: UserId) -> None:
    await websocket.accept()
    await websocket.send_text(f"hello {user_id}")
    async for text in websocket.iter_text():
        await websocket.send_text(f"{user_id} said: {text}")


@app.websocket("/admin", dependencies=[require_any_role("agent-admin", "operator")])
async def admin(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("the admin console")
    await websocket.close()
