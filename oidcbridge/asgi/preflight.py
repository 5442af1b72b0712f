"""CORS preflights: they carry no credential by design (Fetch standard, CORS-preflight fetch), so they pass without one.

Anybody can write the two headers that make a preflight, and an app may have handlers that never look at the method. So
what comes out of the app is an answer about CORS, or the refusal that any request without a credential gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Scope, Send

from oidcbridge.asgi.responses import Refusal, send_refusal


def is_preflight(scope: Mapping[str, Any]) -> bool:
    """Whether an HTTP request is a preflight."""
    if scope["method"] != "OPTIONS":
        return False
    names = {name for name, _ in scope["headers"]}
    return b"origin" in names and b"access-control-request-method" in names


def answering_cors_alone(send: Send, refusal: Refusal, scope: Scope) -> Send:
    """``send`` for the answer to a preflight: ``refusal`` stands in for one that allows nothing."""
    is_about_cors = False

    async def send_cors(message: Message) -> None:
        nonlocal is_about_cors
        if message["type"] == "http.response.start":
            names = [name.lower() for name, _ in message.get("headers", ())]
            is_about_cors = any(name.startswith(b"access-control-allow-") for name in names)
            if not is_about_cors:
                await send_refusal(refusal, scope, send)
        if is_about_cors:
            await send(message)

    return send_cors
