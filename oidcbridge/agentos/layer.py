"""The layer that stands where agno's own stood: plain ASGI, our verification, agno's decisions.

How a request walks through::

    a public path            anonymous, without a look at its credential
    agno's own credentials   (service accounts, the scheduler) agno's ``_dispatch`` verifies them
    everything else          our `Gate` verifies, then ``_dispatch`` decides: user directory, RBAC, audit
    let in                   what agno reads from ``request.state`` is written, then the app is called

``_dispatch`` is run up to the point where it would call the app, which is then called in the same request scope: agno's
`BaseHTTPMiddleware` costs more than all that is decided in it.
"""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from agno.os.authz._request_scope import request_scope
from agno.os.middleware.jwt import AuthMiddleware, is_reserved_principal
from agno.os.service_accounts import TOKEN_PREFIX
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.agentos.bodies import guarded
from oidcbridge.agentos.callers import SCOPES, SESSION_ID, USER_ID, Callers, ProvenToken, without_ours
from oidcbridge.agentos.refusals import Denials, as_refusal, readable_by_origin, with_challenge
from oidcbridge.agentos.resource import ProtectedResource
from oidcbridge.agentos.socket import PATH, WorkflowSocket, cookie_of
from oidcbridge.agentos.stored_state import claim_in_stored_state, claims_standing
from oidcbridge.agentos.validator import TokenValidator
from oidcbridge.asgi.middleware import GATE
from oidcbridge.asgi.paths import route_path
from oidcbridge.asgi.preflight import answering_cors_alone, is_preflight
from oidcbridge.asgi.private_answers import private
from oidcbridge.asgi.responses import refusal_of, send_refusal
from oidcbridge.asgi.state import set_anonymous
from oidcbridge.asgi.token_source import read_credential
from oidcbridge.core.bearer import read_usual_token
from oidcbridge.core.principal import Principal
from oidcbridge.errors import (
    ConfigurationError,
    MalformedTokenError,
    MissingCredentialError,
    OIDCBridgeError,
    ProviderError,
)

_TOKEN = "oidcbridge.token"  # noqa: S105 - the name in the scope under which agno finds the request's token
_PASSED = Response()


def _set_nobody(scope: Scope) -> None:
    """Nobody is known to us; claims are a plain dict, since agno writes them down as JSON."""
    set_anonymous(scope)
    scope["state"]["claims"] = {}


async def _pass(_request: Request) -> Response:
    """Stands for the app while agno decides."""
    return _PASSED


@dataclass(frozen=True)
class Wiring:
    """What the layer of one AgentOS is given beside agno's own arguments."""

    callers: Callers
    validator: TokenValidator
    has_mcp_provider: bool
    """Whether ``/mcp`` is public to us, since a provider of its own verifies the tokens there; they may be ours."""
    resource: ProtectedResource | None = None
    entrance: str = "protect()"
    """What the user has written to have this layer, for the log."""


class AgentOSLayer(AuthMiddleware):
    """agno's ``AuthMiddleware`` for its decisions alone; see the module."""

    def __init__(self, app: ASGIApp, *, wiring: Wiring, **arguments: Any) -> None:
        super().__init__(app, **arguments)
        self._callers = wiring.callers
        claim_in_stored_state(wiring.callers.injection.session_state)
        self._gate = wiring.callers.gate
        self._has_mcp_provider = wiring.has_mcp_provider
        self._resource = wiring.resource
        self._denials = Denials(wiring.callers.grants, wiring.entrance)
        self.validator = wiring.validator  # type: ignore[assignment]
        self.validate, self._jwt_configured = True, True
        self.verify_audience, self.audience, self.security_key = False, None, None
        self.user_id_claim, self.session_id_claim, self.scopes_claim = USER_ID, SESSION_ID, SCOPES
        self.dependencies_claims: list[str] = []  # it would log their values
        self.session_state_claims: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http":
            await self._serve_http(scope, receive, readable_by_origin(send, scope, self))
        elif kind == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._serve_lifespan(scope, receive, send)
        else:
            raise ConfigurationError(f"connections of type {kind!r} cannot be protected; none passes unverified")

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate, document = self._gate, None
        scope.setdefault("state", {})[GATE] = gate
        if self._resource is not None:
            document, send = self._resource.route_for(scope), self._resource.named_in_challenge(send, scope)
        try:
            if document is not None:
                await document(scope, receive, send)
            elif gate.is_public(scope):
                await self._serve_public(scope, receive, send)
            elif is_preflight(scope):
                set_anonymous(scope)
                alone = answering_cors_alone(
                    send, refusal_of(MissingCredentialError("no credential"), gate.vary), scope
                )
                await self.app(scope, receive, alone)
            else:
                await self._serve_caller(scope, receive, send)
        except _RefusedError as refused:
            gate.report(refused.error, scope)
            await send_refusal(refusal_of(refused.error, gate.vary), scope, send)

    async def _serve_public(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._has_mcp_provider and route_path(scope).startswith("/mcp"):
            await self._fetch_keys(scope)
        _set_nobody(scope)
        self._callers.injection.write(scope["state"], None)
        await self._run(scope, receive, send, None)

    async def _run(self, scope: Scope, receive: Receive, send: Send, principal: Principal | None) -> None:
        """Call the app, with nothing in the way of what the token says. Raises `_RefusedError`."""
        injection = self._callers.injection
        try:
            receive = await guarded(scope, receive, injection, principal)
        except OIDCBridgeError as error:
            raise _RefusedError(error) from None
        with claims_standing(scope):
            await self.app(scope, receive, send)

    async def _fetch_keys(self, scope: Scope) -> None:
        """For a verifier behind us that could only call an outage a bad token."""
        try:
            credential = read_credential(scope, self._gate.settings)
            if credential is not None:
                await self._callers.verifier_of(credential.token).verify(credential.token)
        except ProviderError as error:
            raise _RefusedError(error) from None
        except OIDCBridgeError:
            return  # not for us to judge here

    async def _serve_caller(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = await self._admit(scope)
        with request_scope():
            answer = await self._dispatch(Request(scope, receive), _pass)
            if answer is not _PASSED:
                self._denials.report(answer.status_code, scope)
                await answer(scope, receive, send)
                return
            if scope["state"].get("accessible_resource_ids") == set():
                # A list of what the caller may see: agno's route refuses an empty one.
                self._denials.report(403, scope)
                send = with_challenge(send, scope["state"]["required_scopes"])
            self._hand_over(scope, principal)
            await self._run(scope, receive, private(send, self._gate.settings.vary), principal)

    async def _admit(self, scope: Scope) -> Principal | None:
        """The caller, with the token handed to agno; None for agno's own credentials, which it verifies itself."""
        token = self._gate.usual_token(scope)
        if token is None or not self._gate.recognise(scope, token):
            own = self._credential_of_agno(scope)
            if own is not None:
                _set_nobody(scope)
                scope[_TOKEN] = own
                return None
            try:
                await self._callers.admit_unknown(scope)
            except OIDCBridgeError as error:
                raise _RefusedError(error) from None
        state = scope["state"]
        principal: Principal = state["principal"]
        scope[_TOKEN] = ProvenToken.of(state["token"], self._callers.claims_of(principal))
        return principal

    def _credential_of_agno(self, scope: Scope) -> str | None:
        """A service account's token or the scheduler's, which stand in the usual header wherever ours are read."""
        token = read_usual_token(scope["headers"], b"authorization")
        if token is None:
            return None
        internal = getattr(scope["app"].state, "internal_service_token", None)
        is_internal = internal and hmac.compare_digest(token.encode("latin-1"), internal.encode())
        return token if is_internal or token.startswith(TOKEN_PREFIX) else None

    def _hand_over(self, scope: Scope, principal: Principal | None) -> None:
        """Leave on the state what agno's routes and the app's own are to find there."""
        state: MutableMapping[str, Any] = scope["state"]
        token = scope.pop(_TOKEN)
        if isinstance(token, ProvenToken):
            state["token"] = str.__str__(token)
            state["claims"] = without_ours(token.claims)
        self._callers.injection.write(state, principal)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/workflows/ws`` has its own protocol; every other socket is refused before it is accepted."""
        scope.setdefault("state", {})[GATE] = self._gate
        principal = None
        try:
            if route_path(scope) == PATH:
                socket = WorkflowSocket(self._callers, scope, receive, send, cookie_of(self._callers, scope))
                receive, send = socket.receive, socket.send
                set_anonymous(scope)
            elif self._gate.is_public(scope):
                set_anonymous(scope)
            else:
                principal = await self._callers.admit(scope)
                if is_reserved_principal(principal.user_id):
                    raise MalformedTokenError("the token claims a subject that AgentOS keeps for itself")
        except OIDCBridgeError as error:
            self._gate.report(error, scope)
            await send_refusal(refusal_of(error, self._gate.vary), scope, send)
            return
        self._callers.injection.write(scope["state"], principal)
        await self.app(scope, receive, send)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keys are fetched while the app starts, and never waited for: an app starts while its provider is down."""
        self._callers.verifier.start_warming()
        try:
            await self.app(scope, receive, send)
        finally:
            self._callers.verifier.pause()

    def _extract_token(self, request: Request) -> str | None:
        """The token that was verified; agno would read headers by other rules than ours."""
        token: str | None = request.scope.get(_TOKEN)
        return token

    def _is_route_excluded(self, path: str) -> bool:
        """Never here: a public path does not come this far."""
        return False

    def _create_error_response(
        self,
        status_code: int,
        detail: str,
        origin: str | None = None,
        cors_allowed_origins: list[str] | None = None,
        required_scopes: list[str] | None = None,
    ) -> JSONResponse:
        """agno's refusals as those of RFC 6750: with a challenge, and never stored."""
        return as_refusal(status_code, detail, required_scopes or (), self._gate.vary)


class _RefusedError(Exception):
    """Ends a request with our answer; no error of the app's own can be taken for one."""

    def __init__(self, error: OIDCBridgeError) -> None:
        super().__init__()
        self.error = error
