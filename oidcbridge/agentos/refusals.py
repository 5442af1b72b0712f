"""agno's refusals in the shape of ours, readable by the pages that may, and a log line for the one that needs words."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

from oidcbridge.agentos.scopes import Grants
from oidcbridge.core.bearer import challenge
from oidcbridge.core.principal import Principal

logger = logging.getLogger("oidcbridge.agentos")

#: Status -> the error of RFC 6750 section 3.1, for what agno refuses by itself.
_ERRORS = {401: "invalid_token", 403: "insufficient_scope", 503: "temporarily_unavailable"}


def as_refusal(status: int, detail: str, scopes: Sequence[str], vary: str) -> JSONResponse:
    """What agno answers, with a challenge (RFC 6750 section 3) and what our own refusals carry."""
    if scopes:
        detail = f"Insufficient permissions. Required scope(s): {', '.join(scopes)}"
    headers = {"Cache-Control": "no-store", "Vary": vary}
    if status == 401 or scopes:
        headers["WWW-Authenticate"] = challenge(_ERRORS[status], scopes=scopes)
    if status == 503:
        headers["Retry-After"] = "5"
    code = _ERRORS.get(status, "refused") if scopes or status != 403 else "forbidden"
    return JSONResponse({"detail": detail, "error": code, "code": code}, status, headers)


def with_challenge(send: Send, scopes: Sequence[str]) -> Send:
    """``send`` with the challenge of `as_refusal` on a 403 that a route of agno's answers by itself, for ``scopes``."""

    def send_challenge(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and message["status"] == 403:
            headers = list(message.get("headers", ()))
            if not any(name.lower() == b"www-authenticate" for name, _ in headers):
                headers.append((b"www-authenticate", challenge(_ERRORS[403], scopes=scopes).encode("ascii")))
            message = {**message, "headers": headers}
        return send(message)

    return send_challenge


class OriginRule(Protocol):
    """agno's layer, which knows the allowed origins."""

    def _is_origin_allowed(self, origin: str, cors_allowed_origins: list[str] | None = None) -> bool: ...


def readable_by_origin(send: Send, scope: Scope, rule: OriginRule) -> Send:
    """``send`` with CORS headers on errors: in some versions of agno its ``CORSMiddleware`` stands inside of us."""
    origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
    if origin is None:
        return send
    allowed = getattr(scope["app"].state, "cors_allowed_origins", None)
    if not rule._is_origin_allowed(origin.decode("latin-1"), allowed):
        return send

    def send_readable(message: Message) -> Awaitable[None]:  # no coroutine of its own: a stream pays it by the chunk
        if message["type"] == "http.response.start" and message["status"] >= 400:
            message = {**message, "headers": _cors_headers(message.get("headers", ()), origin)}
        return send(message)

    return send_readable


def _cors_headers(headers: Iterable[tuple[bytes, bytes]], origin: bytes) -> list[tuple[bytes, bytes]]:
    present = list(headers)
    names = {name.lower() for name, _ in present}
    if b"access-control-allow-origin" in names:
        return present
    added = [(b"access-control-allow-origin", origin), (b"access-control-allow-credentials", b"true")]
    merged = [(name, value + b", Origin") if name.lower() == b"vary" else (name, value) for name, value in present]
    return merged + added + ([] if b"vary" in names else [(b"vary", b"Origin")])


class Denials:
    """Says what a refused token lacks. The first denial of each kind is a warning, the rest are for who listens."""

    def __init__(self, grants: Grants, entrance: str) -> None:
        self._grants = grants
        self._entrance = entrance
        self._told: set[tuple[str, ...]] = set()

    def report(self, status: int, scope: Mapping[str, Any]) -> None:
        """Log a 403 for want of a scope."""
        state = scope["state"]
        needed, principal = tuple(state.get("required_scopes") or ()), state.get("principal")
        if status != 403 or not needed or not isinstance(principal, Principal):
            return
        level = logging.INFO if needed in self._told else logging.WARNING
        self._told.add(needed)
        logger.log(
            level,
            "refused %s %s to %a: it takes %s, and the token has the scopes %s, the roles %s and the groups %s. %s",
            scope["method"],
            ascii(scope["path"])[:200],
            principal.user_id,
            ", ".join(needed),
            _shown(principal.scopes),
            _shown(principal.roles),
            _shown(principal.groups),
            self._advice(needed, principal),
        )

    def _advice(self, needed: tuple[str, ...], principal: Principal) -> str:
        role = next(iter(principal.roles), "agent-user")
        rule = f'scopes_from={{"roles:{role}": {list(needed)}}}'
        more = "add a rule to" if self._grants else "say who may, in"
        return (
            f"To allow it, {more} {self._entrance}: {rule} (groups:, permissions: and scope: work alike); where all who"
            " can log in may use everything: authorization=False"
        )


def _shown(names: Sequence[str]) -> str:
    """Names for the log, where a user may be in thousands of groups."""
    return ascii(list(names))[:300]
