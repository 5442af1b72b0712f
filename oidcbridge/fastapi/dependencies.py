"""Who is calling, as FastAPI dependencies: on HTTP and WebSocket routes, with and without the middleware.

The plain functions are for ``Security(current_principal, scopes=[…])`` and ``app.dependency_overrides``; the types for
everything else. An anonymous caller gets 401, one without the right 403 (RFC 6750 section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Security, WebSocketException, params
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.middleware import GATE
from oidcbridge.asgi.responses import OIDCHTTPException, can_answer, refusal_of
from oidcbridge.asgi.state import DECIDED, own_copy, set_anonymous
from oidcbridge.asgi.token_source import HttpSettings
from oidcbridge.core.principal import Principal
from oidcbridge.errors import (
    AccessDeniedError,
    ConfigurationError,
    MissingCredentialError,
    OIDCBridgeError,
)
from oidcbridge.verifier import Verifier

SCHEME_NAME = "oidcbridge"


class _Scheme(SecurityBase):
    """What puts routes that ask for a principal under a security scheme in the OpenAPI document."""

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT", description="An access token of the identity provider")
        self.scheme_name = SCHEME_NAME

    async def __call__(self) -> None:
        """Nothing to read here: the gate does."""


async def optional_principal(
    connection: HTTPConnection, _scheme: Annotated[None, Security(_Scheme())] = None
) -> Principal | None:
    """The caller, or None for a request without a credential. A bad credential is refused all the same."""
    state = connection.scope.setdefault("state", {})
    if not state.get(DECIDED):
        gate = _gate_of(connection)
        try:
            await gate.admit(connection.scope)
        except MissingCredentialError:
            set_anonymous(connection.scope)
        except OIDCBridgeError as error:
            gate.report(error, connection.scope)
            _refuse(connection, error)
    principal: Principal | None = state["principal"]
    return principal


async def current_principal(
    connection: HTTPConnection,
    security_scopes: SecurityScopes,
    principal: Annotated[Principal | None, Depends(optional_principal)],
) -> Principal:
    """The caller: 401 for nobody, 403 without one of the ``Security`` scopes."""
    if principal is None:
        _refuse(connection, MissingCredentialError("no credential"))
    _require(connection, principal.scopes, security_scopes.scopes, scopes=security_scopes.scopes)
    return principal


CurrentPrincipal = Annotated[Principal, Security(current_principal)]
OptionalPrincipal = Annotated[Principal | None, Depends(optional_principal)]


async def current_user_id(principal: CurrentPrincipal) -> str:
    """The caller's user id; never empty."""
    return principal.user_id


async def current_session_id(principal: CurrentPrincipal) -> str | None:
    """The login session's id, where the token carries one."""
    return principal.session_id


async def current_dependencies(connection: HTTPConnection, principal: CurrentPrincipal) -> dict[str, Any]:
    """This request's own ``dependencies``, the same dict as ``request.state.dependencies``."""
    return _own(connection, principal, "dependencies")


async def current_session_state(connection: HTTPConnection, principal: CurrentPrincipal) -> dict[str, Any]:
    """This request's own ``session_state``, the same dict as ``request.state.session_state``."""
    return _own(connection, principal, "session_state")


UserId = Annotated[str, Depends(current_user_id)]
SessionId = Annotated[str | None, Depends(current_session_id)]
Dependencies = Annotated[dict[str, Any], Depends(current_dependencies)]
SessionState = Annotated[dict[str, Any], Depends(current_session_state)]


def require_scopes(*scopes: str) -> params.Security:
    """All of ``scopes``, as a dependency: ``dependencies=[require_scopes("agents:run")]``."""
    _check_names(scopes, "require_scopes")
    return params.Security(dependency=current_principal, scopes=list(scopes))


def require_roles(*roles: str) -> params.Depends:
    """All of ``roles``, as a dependency."""
    _check_names(roles, "require_roles")

    async def has_roles(connection: HTTPConnection, principal: CurrentPrincipal) -> None:
        _require(connection, principal.roles, roles)

    return params.Depends(dependency=has_roles)


def require_permissions(*permissions: str) -> params.Depends:
    """All of ``permissions``, as a dependency (Auth0 with RBAC, Entra's app-only tokens). Scopes are none of them."""
    _check_names(permissions, "require_permissions")

    async def has_permissions(connection: HTTPConnection, principal: CurrentPrincipal) -> None:
        _require(connection, principal.permissions, permissions)

    return params.Depends(dependency=has_permissions)


def require_any_role(*roles: str) -> params.Depends:
    """One of ``roles`` at least, as a dependency."""
    _check_names(roles, "require_any_role")

    async def has_any_role(connection: HTTPConnection, principal: CurrentPrincipal) -> None:
        if set(principal.roles).isdisjoint(roles):
            _require(connection, principal.roles, roles)

    return params.Depends(dependency=has_any_role)


def _check_names(names: tuple[str, ...], function: str) -> None:
    if not names:
        raise ConfigurationError(f"{function}() names nothing to require; for any caller use CurrentPrincipal")
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f'{function}() takes each name by itself: {function}("first", "second")')
    if function == "require_scopes" and any(" " in name for name in names):
        # RFC 6749 section 3.3: a space parts two scopes, so no token ever holds one with a space in it.
        raise ConfigurationError(f'{function}() takes each scope by itself: {function}("first", "second")')


def _require(
    connection: HTTPConnection, has: Sequence[str], needs: Sequence[str], *, scopes: Sequence[str] = ()
) -> None:
    missing = [name for name in needs if name not in has]
    if missing:
        error = AccessDeniedError(f"the token lacks {missing}; it has {list(has)}", scopes=scopes)
        gate = connection.scope.get("state", {}).get(GATE)
        if isinstance(gate, Gate):
            gate.report(error, connection.scope)
        _refuse(connection, error)


def _own(connection: HTTPConnection, principal: Principal, name: str) -> dict[str, Any]:
    state = connection.scope.get("state", {})
    own: dict[str, Any] | None = state.get(name) if state.get("principal") is principal else None
    if own is not None:
        return own
    return own_copy(getattr(principal, name))  # put in by dependency_overrides, or a run's that AgentOS takes elsewhere


def _gate_of(connection: HTTPConnection) -> Gate:
    """The gate that ``protect`` or the middleware left; else one around a verifier at ``app.state.oidcbridge``."""
    gate = connection.scope.get("state", {}).get(GATE)
    if gate is None:
        app_state = getattr(connection.scope.get("app"), "state", None)
        gate = getattr(app_state, GATE, None)
        verifier = getattr(app_state, "oidcbridge", None)
        if gate is None and isinstance(verifier, Verifier):
            gate = Gate(verifier, HttpSettings())
    if not isinstance(gate, Gate):
        raise ConfigurationError(
            "this route asks for a principal, and the app has no verifier: write"
            ' oidcbridge.fastapi.protect(app, issuer_url="https://…", audience="…"), with middleware=False if only'
            " such routes are to be protected"
        )
    return gate


def _refuse(connection: HTTPConnection, error: OIDCBridgeError) -> NoReturn:
    gate = connection.scope.get("state", {}).get(GATE)
    refusal = refusal_of(error, gate.vary) if isinstance(gate, Gate) else refusal_of(error)
    if can_answer(connection.scope):
        raise OIDCHTTPException(refusal) from error
    raise WebSocketException(refusal.close_code, refusal.detail) from error
