"""OIDCMiddleware: plain ASGI, http and websocket in one ``__call__``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Unpack, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge.arguments import HttpArguments, IssuerArguments, MiddlewareArguments, VerifierArguments
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.paths import is_excluded
from oidcbridge.asgi.responses import refusal_of, send_refusal
from oidcbridge.asgi.state import DECIDED, set_anonymous, set_undecided
from oidcbridge.asgi.token_source import resolve_http
from oidcbridge.environment import HTTP_VARIABLES, VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError, OIDCBridgeError
from oidcbridge.settings import names_a_source, unverified_mapping
from oidcbridge.verifier import Verifier

#: Where the gate lies on ``scope["state"]`` for dependencies of apps mounted anywhere below.
GATE = "oidcbridge_gate"


def build_gate(verifier: Verifier | None, arguments: MiddlewareArguments, docs: Sequence[str] = ()) -> Gate:
    """The gate for a middleware's arguments; ``docs`` are pages of the app's own that anybody may read.

    Raises `ConfigurationError`; `TypeError` for an unknown argument.
    """
    for name in arguments:
        if name not in MiddlewareArguments.__annotations__:
            raise TypeError(f"got an unexpected keyword argument {name!r}")
    http = {name: value for name, value in arguments.items() if name in HttpArguments.__annotations__}
    rest = cast(VerifierArguments, {name: value for name, value in arguments.items() if name not in http})
    if verifier is not None and not isinstance(verifier, Verifier):
        raise ConfigurationError('verifier= is a Verifier(…); for an issuer write issuer_url="https://…"')
    if verifier is not None and rest:
        raise ConfigurationError(f"verifier= and {min(rest)}= exclude each other; give it to Verifier(…)")
    if verifier is None and not names_a_source(rest):
        http = {**read_environment(HTTP_VARIABLES, os.environ), **http}
    settings = resolve_http(cast(HttpArguments, http), docs)
    if settings.validate:
        return Gate(verifier or Verifier(**rest), settings)
    if verifier is not None:
        raise ConfigurationError("verifier= and validate=False exclude each other: nothing would be verified")
    if not names_a_source(rest):
        rest = cast(VerifierArguments, {**read_environment(VERIFIER_VARIABLES, os.environ), **rest})
    return Gate(None, settings, unverified_mapping(cast(IssuerArguments, rest)))


class GateMiddleware:
    """Lets a gate decide each connection; with ``decide`` False it is only made known to what lies below."""

    def __init__(self, app: ASGIApp, gate: Gate, *, decide: bool = True) -> None:
        self.app = app
        self._gate = gate
        self._decide = decide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind, gate = scope["type"], self._gate
        if kind == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            if self._decide:
                raise ConfigurationError(f"connections of type {kind!r} cannot be protected; none passes unverified")
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state[GATE] = gate
        vary = gate.settings.vary
        if not self._decide:
            set_undecided(scope)
            await self.app(scope, receive, _private(send, vary, unless_open=state) if kind == "http" else send)
            return
        if _is_preflight(scope) or is_excluded(scope, gate.settings.excluded, gate.settings.docs):
            set_anonymous(scope)
            await self.app(scope, receive, send)
            return
        try:
            await gate.admit(scope)
        except OIDCBridgeError as error:
            gate.report(error, scope)
            await send_refusal(refusal_of(error, gate.vary), scope, send)
            return
        await self.app(scope, receive, _private(send, vary) if kind == "http" else send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keys are fetched while the app starts, and never waited for: an app starts while its provider is down."""
        verifier = self._gate.verifier
        if verifier is not None:
            verifier.start_warming()
        try:
            await self.app(scope, receive, send)
        finally:
            if verifier is not None:
                verifier.pause()


class OIDCMiddleware(GateMiddleware):
    """Lets verified requests through with `Principal` on ``request.state``, and answers the others (RFC 6750).

    Give it a ``verifier``, or the arguments of one; the README's table says what each means. Frameworks build their
    middleware late, so a `ConfigurationError` is kept: it fails the startup, and every request where there is none.
    """

    def __init__(
        self, app: ASGIApp, verifier: Verifier | None = None, **arguments: Unpack[MiddlewareArguments]
    ) -> None:
        self._error: ConfigurationError | None = None
        self.app = app
        try:
            super().__init__(app, build_gate(verifier, arguments))
        except ConfigurationError as error:
            self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or fail with the mistake in the arguments."""
        if self._error is None:
            await super().__call__(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"oidcbridge: {self._error}"})
        else:
            # Without its frames: the first ones hold the arguments, and each request would add its own to them.
            raise self._error.with_traceback(None)


def _is_preflight(scope: Scope) -> bool:
    """A CORS preflight carries no credential by design (Fetch standard, CORS-preflight fetch)."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    names = {name for name, _ in scope["headers"]}
    return b"origin" in names and b"access-control-request-method" in names


def _private(send: Send, vary: bytes, unless_open: Mapping[str, Any] | None = None) -> Send:
    """``send`` for an answer that depends on the token: not to be stored unless the app says so (RFC 6750 5.3).

    With the state of a connection that nobody decided beforehand: only if a route has asked who is calling.
    """

    def send_private(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and (unless_open is None or DECIDED in unless_open):
            message = {**message, "headers": private_headers(message.get("headers", ()), vary)}
        return send(message)

    return send_private


def private_headers(headers: Iterable[tuple[bytes, bytes]], vary: bytes) -> list[tuple[bytes, bytes]]:
    """``headers`` with ``Cache-Control: no-store`` where none is set, and ``Vary`` merged into what is there."""
    merged, listed, cached = [], [], False
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"vary":
            listed += [part for part in value.split(b",") if part.strip()]
            continue
        cached = cached or lowered == b"cache-control"
        merged.append((name, value))
    named = {part.strip().lower() for part in listed}
    if b"*" not in named:
        listed += [part for part in vary.split(b",") if part.strip().lower() not in named]
    merged.append((b"vary", b", ".join(part.strip() for part in listed)))
    if not cached:
        merged.append((b"cache-control", b"no-store"))
    return merged
