"""Error -> answer: the one place where a branch of the tree becomes a status, a challenge and a body.

=======================  ======  =============================  =========================================
error                    status  WWW-Authenticate               body ``error`` / ``code``
=======================  ======  =============================  =========================================
MissingCredentialError   401     Bearer                         missing_credential
MalformedRequestError    400     error="invalid_request"        invalid_request
ExpiredTokenError        401     error="invalid_token"          invalid_token / token_expired
other TokenError         401     error="invalid_token"          invalid_token, the same for all
AccessDeniedError        403     error="insufficient_scope"     insufficient_scope
CrossSiteRequestError    403                                    cross_site_request
ProviderError            503     (Retry-After)                  temporarily_unavailable
=======================  ======  =============================  =========================================

The log says which fault it was; the client does not learn it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import Send
from starlette.websockets import WebSocket, WebSocketState

from oidcbridge.core.bearer import challenge
from oidcbridge.errors import (
    AccessDeniedError,
    CrossSiteRequestError,
    ExpiredTokenError,
    MalformedRequestError,
    MissingCredentialError,
    OIDCBridgeError,
    ProviderError,
    TokenError,
)

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


@dataclass(frozen=True)
class Refusal:
    """How one error is answered, on HTTP and on a WebSocket that is not accepted yet."""

    status: int
    detail: str
    error: str
    code: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, str]:
        """The JSON body."""
        return {"detail": self.detail, "error": self.error, "code": self.code}

    @property
    def close_code(self) -> int:
        """The WebSocket close code where the server knows no denial response."""
        return TRY_AGAIN_LATER if self.status == 503 else POLICY_VIOLATION


def refusal_of(error: OIDCBridgeError, vary: str = "Authorization") -> Refusal:
    """The answer to ``error``. One that has no place in the table is raised again: a bug is a 500."""
    headers = {"Cache-Control": "no-store", "Vary": vary}
    code = error.public_code
    match error:
        case MissingCredentialError():
            headers["WWW-Authenticate"] = challenge()
            return Refusal(401, "Not authenticated", "missing_credential", code, headers)
        case MalformedRequestError():
            headers["WWW-Authenticate"] = challenge("invalid_request")
            return Refusal(400, "The request's credential is malformed", "invalid_request", code, headers)
        case TokenError():
            detail = "The token has expired" if isinstance(error, ExpiredTokenError) else "The token is not valid"
            headers["WWW-Authenticate"] = challenge("invalid_token", description=detail)
            return Refusal(401, detail, "invalid_token", code, headers)
        case AccessDeniedError():
            headers["WWW-Authenticate"] = challenge("insufficient_scope", scopes=error.scopes)
            return Refusal(403, "The token lacks a right that this needs", "insufficient_scope", code, headers)
        case CrossSiteRequestError():
            return Refusal(403, "A cookie from another site is not accepted here", "cross_site_request", code, headers)
        case ProviderError():
            headers["Retry-After"] = str(error.retry_after)
            return Refusal(
                503, "The identity provider cannot be reached; try again", "temporarily_unavailable", code, headers
            )
    raise error


def can_answer(scope: Mapping[str, Any]) -> bool:
    """Whether an HTTP answer can be sent: not to a WebSocket on a server without the denial response extension."""
    return scope["type"] != "websocket" or "websocket.http.response" in scope.get("extensions", {})


async def send_refusal(refusal: Refusal, scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer an HTTP request, or refuse a WebSocket before it is accepted."""
    if not can_answer(scope):
        await send({"type": "websocket.close", "code": refusal.close_code, "reason": refusal.detail})
        return
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps(refusal.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": f"{prefix}.start", "status": refusal.status, "headers": raw})
    empty = scope.get("method") == "HEAD"
    await send({"type": f"{prefix}.body", "body": b"" if empty else body})


class OIDCHTTPException(HTTPException):
    """What a dependency raises: right in mounted apps and on WebSockets with nothing installed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.detail, refusal.headers)
        self.refusal = refusal


async def answer_error(connection: HTTPConnection, error: Exception) -> Any:
    """The exception handler that `protect` registers: the whole body, as the middleware sends it.

    For what dependencies raise, and for errors of the tree that an endpoint lets through (``await verifier.verify``).
    Gives the response; None for a WebSocket that can only be closed, since it has been accepted.
    """
    if isinstance(error, OIDCHTTPException):
        refusal = error.refusal
    elif isinstance(error, OIDCBridgeError):
        refusal = refusal_of(error)
    else:
        raise error
    if isinstance(connection, WebSocket):
        state = connection.application_state
        if state is not WebSocketState.CONNECTING or not can_answer(connection.scope):
            if state is not WebSocketState.DISCONNECTED:
                await connection.close(refusal.close_code, refusal.detail)
            return None
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
