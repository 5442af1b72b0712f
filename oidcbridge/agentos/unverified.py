"""``JWTMiddleware(validate=False)``: claims as the client writes them, for demonstrations. Nobody is authenticated.

==============================  =======================================================================================
without a token                 passes, as the documentation's page says
with one                        its claims reach the run, and nobody has vouched for them
a token of agno's own           passes on to agno's routes, which verify it
text that is no token           401
WebSocket, MCP                  refused: a forged ``agent_os:admin`` would be one there
==============================  =======================================================================================
"""

from __future__ import annotations

import hmac

import jwt
from agno.os.middleware.jwt import is_reserved_principal
from agno.os.service_accounts import TOKEN_PREFIX
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.agentos.bodies import guarded
from oidcbridge.agentos.injection import ClaimedState, Injection
from oidcbridge.agentos.neighbours import mcp_config
from oidcbridge.agentos.stored_state import claim_in_stored_state, claims_standing
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.middleware import GATE
from oidcbridge.asgi.paths import route_path
from oidcbridge.asgi.preflight import answering_cors_alone, is_preflight
from oidcbridge.asgi.private_answers import private
from oidcbridge.asgi.responses import Refusal, refusal_of, send_refusal
from oidcbridge.asgi.state import own_copy, set_anonymous
from oidcbridge.core.bearer import read_usual_token
from oidcbridge.core.claims import read_path
from oidcbridge.core.strict_json import thaw
from oidcbridge.errors import ConfigurationError, MalformedTokenError, MissingCredentialError, OIDCBridgeError

_DETAIL = "Tokens are not verified here (validate=False), so there is no WebSocket and no MCP"
_NOT_HERE = Refusal(403, _DETAIL, "forbidden", "forbidden", {"Cache-Control": "no-store"})


class NoValidator:
    """Stands where agno would find the WebSocket's validator, and accepts nothing."""

    def validate_token(self, token: str, expected_audience: object = None) -> dict[str, object]:
        """Raises PyJWT's ``InvalidTokenError``."""
        raise jwt.InvalidTokenError(_DETAIL)

    def extract_claims(self, payload: dict[str, object]) -> dict[str, object]:
        """Never reached."""
        raise jwt.InvalidTokenError(_DETAIL)


class UnverifiedLayer:
    """Plain ASGI; see the module. Raises `ConfigurationError` where MCP could not be told from REST."""

    def __init__(self, app: ASGIApp, gate: Gate, injection: Injection, owner: Starlette) -> None:
        self.app = app
        self._gate = gate
        self._injection = injection
        self._mcp_paths = _mcp_paths(owner)
        claim_in_stored_state(injection.session_state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http":
            await self._serve_http(scope, receive, send)
        elif kind == "websocket":
            await send_refusal(_NOT_HERE, scope, send)
        elif kind == "lifespan":
            await self.app(scope, receive, send)
        else:
            raise ConfigurationError(f"connections of type {kind!r} cannot be protected; none passes unverified")

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate = self._gate
        scope.setdefault("state", {})[GATE] = gate
        set_anonymous(scope)
        try:
            if is_preflight(scope):
                nobody = refusal_of(MissingCredentialError("no credential"), gate.vary)
                await self.app(scope, receive, answering_cors_alone(send, nobody, scope))
                return
            if not gate.is_public(scope):
                if self._is_mcp(scope):
                    await send_refusal(_NOT_HERE, scope, send)
                    return
                await self._read(scope)
                send = private(send, gate.settings.vary)
            self._inject(scope)
            receive = await guarded(scope, receive, self._injection, None)
        except OIDCBridgeError as error:
            gate.report(error, scope)
            await send_refusal(refusal_of(error, gate.vary), scope, send)
            return
        with claims_standing(scope):
            await self.app(scope, receive, send)

    async def _read(self, scope: Scope) -> None:
        """The claims, if there are any, onto the state."""
        token = read_usual_token(scope["headers"], b"authorization")
        internal = getattr(scope["app"].state, "internal_service_token", None)
        is_internal = token and internal and hmac.compare_digest(token.encode("latin-1"), internal.encode())
        if is_internal or (token and token.startswith(TOKEN_PREFIX)):
            return
        await self._gate.admit(scope)
        state = scope["state"]
        if is_reserved_principal(state["user_id"]):
            raise MalformedTokenError("the token claims a subject that AgentOS keeps for itself")
        state["claims"] = own_copy(state["claims"])

    def _inject(self, scope: Scope) -> None:
        """What no claim says is None: a form field never stands in for it."""
        state, names = scope["state"], self._injection
        state["dependencies"] = {**dict.fromkeys(names.dependencies), **state["dependencies"]}
        session_state = {**dict.fromkeys(names.session_state), **state["session_state"]}
        state["session_state"] = ClaimedState.of(session_state) if names.session_state else None
        claims = state["claims"]
        metadata = {name: thaw(read_path(claims, path)) for name, path in names.metadata.items()}
        state["metadata"] = metadata or None

    def _is_mcp(self, scope: Scope) -> bool:
        path = route_path(scope)
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._mcp_paths)


def _mcp_paths(owner: Starlette) -> tuple[str, ...]:
    """Where MCP is served, if it is, under whatever names."""
    config = mcp_config(owner)
    if config is None:
        return ("/mcp",)
    if config.root_host is not None:
        raise ConfigurationError("validate=False and MCPConfig(root_host=…): MCP is not served unverified")
    return ("/mcp", config.path, *config.path_aliases)
