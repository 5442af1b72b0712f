"""OIDCMiddleware: plain ASGI, http and websocket in one ``__call__``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Unpack, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.arguments import HttpArguments, IssuerArguments, MiddlewareArguments, VerifierArguments
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.preflight import answering_cors_alone, is_preflight
from oidcbridge.asgi.private_answers import private
from oidcbridge.asgi.responses import refusal_of, send_refusal
from oidcbridge.asgi.state import set_anonymous, set_undecided
from oidcbridge.asgi.token_source import resolve_http
from oidcbridge.environment import HTTP_VARIABLES, VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError, MissingCredentialError, OIDCBridgeError
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
    """Lets a gate decide each connection; with ``decide`` False it is only made known to what lies below.

    Instead of a gate, the mistake that kept it from being built: it fails the startup, and every request where there
    is none.
    """

    def __init__(self, app: ASGIApp, gate: Gate | ConfigurationError, *, decide: bool = True) -> None:
        self.app = app
        self._gate = gate if isinstance(gate, Gate) else None
        self._mistake = None if isinstance(gate, Gate) else gate
        self._decide = decide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind, gate = scope["type"], self._gate
        if gate is None or kind not in ("http", "websocket"):
            await self._serve_other(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state[GATE] = gate
        if not self._decide:
            set_undecided(scope)
            if kind == "http":
                send = private(send, gate.settings.vary, unless_open=state)
        elif gate.is_public(scope):
            set_anonymous(scope)
        elif kind == "http" and is_preflight(scope):
            set_anonymous(scope)
            send = answering_cors_alone(send, refusal_of(MissingCredentialError("no credential"), gate.vary), scope)
        else:
            try:
                unfinished = gate.begin(scope)
                if unfinished is not None:  # as `admit`, without a coroutine where nothing is waited for
                    await gate.go_on(scope, unfinished)
            except OIDCBridgeError as error:
                gate.report(error, scope)
                await send_refusal(refusal_of(error, gate.vary), scope, send)
                return
            if kind == "http":
                send = private(send, gate.settings.vary)
        await self.app(scope, receive, send)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The lifespan, connections of a kind that nobody knows here, and everything where there is no gate."""
        kind = scope["type"]
        if self._mistake is not None and kind == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"oidcbridge: {self._mistake}"})
        elif self._mistake is not None:
            # Without its frames: the first ones hold the arguments, and each request would add its own to them.
            raise self._mistake.with_traceback(None)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._decide:
            raise ConfigurationError(f"connections of type {kind!r} cannot be protected; none passes unverified")
        else:
            await self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keys are fetched while the app starts, and never waited for: an app starts while its provider is down."""
        verifier = self._gate.verifier if self._gate is not None else None
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
        gate: Gate | ConfigurationError
        try:
            gate = build_gate(verifier, arguments)
        except ConfigurationError as error:
            gate = error
        super().__init__(app, gate)
