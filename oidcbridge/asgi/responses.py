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

Status, error code and challenge are those of RFC 6750 sections 3 and 3.1: a request without a credential gets no error
code, and whatever is wrong with a token is ``invalid_token`` (RFC 9068 section 4), in one answer for every fault of
signature, key and claims. The log says which it was; the client does not learn it (OWASP ASVS 16.5.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

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
    """How one error is answered, on HTTP and on a WebSocket that is not accepted yet. Shared, so never changed."""

    status: int
    detail: str
    error: str
    code: str
    headers: Mapping[str, str]

    @property
    def body(self) -> dict[str, str]:
        """The JSON body."""
        return {"detail": self.detail, "error": self.error, "code": self.code}

    @property
    def close_code(self) -> int:
        """The WebSocket close code where the server knows no denial response."""
        return TRY_AGAIN_LATER if self.status == 503 else POLICY_VIOLATION

    @cached_property
    def as_sent(self) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
        """Headers and body as they go to the server."""
        body = json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()), body


class _Row(NamedTuple):
    """A row of the table above; ``challenge`` where it is the same for every error of the kind."""

    status: int
    error: str
    detail: str
    challenge: str | None = None


def _invalid_token(detail: str) -> _Row:
    return _Row(401, "invalid_token", detail, challenge("invalid_token", description=detail))


_ROWS: tuple[tuple[type[OIDCBridgeError], _Row], ...] = (
    (MissingCredentialError, _Row(401, "missing_credential", "Not authenticated", challenge())),
    (
        MalformedRequestError,
        _Row(400, "invalid_request", "The request's credential is malformed", challenge("invalid_request")),
    ),
    (ExpiredTokenError, _invalid_token("The token has expired")),
    (TokenError, _invalid_token("The token is not valid")),
    (AccessDeniedError, _Row(403, "insufficient_scope", "The token lacks a right that this needs")),
    (CrossSiteRequestError, _Row(403, "cross_site_request", "A cookie from another site is not accepted here")),
    (ProviderError, _Row(503, "temporarily_unavailable", "The identity provider cannot be reached; try again")),
)


def refusal_of(error: OIDCBridgeError, vary: str = "Authorization") -> Refusal:
    """The answer to ``error``. One that has no place in the table is raised again: a bug is a 500."""
    row = _row_of(error)
    if isinstance(error, AccessDeniedError):
        row = row._replace(challenge=challenge(row.error, scopes=error.scopes))
    retry_after = error.retry_after if isinstance(error, ProviderError) else None
    return _refusal(row, error.public_code, vary, retry_after)


def _row_of(error: OIDCBridgeError) -> _Row:
    for kind, row in _ROWS:
        if isinstance(error, kind):
            return row
    raise error


@lru_cache(maxsize=256)  # strangers can ask for a refusal as often as they like
def _refusal(row: _Row, code: str, vary: str, retry_after: int | None) -> Refusal:
    headers = {"Cache-Control": "no-store", "Vary": vary}
    told = {"WWW-Authenticate": row.challenge, "Retry-After": retry_after}
    for name, value in told.items():
        if value is not None:
            headers[name] = str(value)
            headers["Access-Control-Expose-Headers"] = name  # to pages of allowed origins (RFC 9449 section 7.1)
    return Refusal(row.status, row.detail, row.error, code, MappingProxyType(headers))


def can_answer(scope: Mapping[str, Any]) -> bool:
    """Whether an HTTP answer can be sent: not to a WebSocket on a server without the denial response extension."""
    return scope["type"] != "websocket" or "websocket.http.response" in scope.get("extensions", {})


async def send_refusal(refusal: Refusal, scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer an HTTP request, or refuse a WebSocket before it is accepted."""
    if not can_answer(scope):
        await send({"type": "websocket.close", "code": refusal.close_code, "reason": refusal.detail})
        return
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers, body = refusal.as_sent
    # A list of its own: a middleware further out, as for CORS, may write into it.
    await send({"type": f"{prefix}.start", "status": refusal.status, "headers": list(headers)})
    empty = scope.get("method") == "HEAD"
    await send({"type": f"{prefix}.body", "body": b"" if empty else body})


class OIDCHTTPException(HTTPException):
    """What a dependency raises: right in mounted apps and on WebSockets with nothing installed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.detail, dict(refusal.headers))
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
