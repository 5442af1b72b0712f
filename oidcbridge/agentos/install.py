"""``protect``: one line that puts an AgentOS behind an identity provider.

AgentOS installs its own layer with a key that verifies nothing, and that layer's class and validator are then replaced
in place: whatever AgentOS decides by its layer's being there, and by where it stands, holds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Unpack, cast

from agno.os import AgentOS
from agno.os.middleware.jwt import AuthMiddleware
from agno.os.scopes import get_default_scope_mappings, get_required_scopes_for_route
from fastapi import FastAPI
from starlette.middleware import Middleware

from oidcbridge.agentos.callers import Callers
from oidcbridge.agentos.control_plane import control_plane_verifier
from oidcbridge.agentos.injection import read_injection
from oidcbridge.agentos.layer import AgentOSLayer, Wiring
from oidcbridge.agentos.own_settings import own_config, refuse_doubled, refuse_other_keys
from oidcbridge.agentos.resource import ProtectedResource
from oidcbridge.agentos.scopes import Grants, ScopesFrom
from oidcbridge.agentos.surface import check_surfaces
from oidcbridge.agentos.tools import warn_of_fillable_arguments
from oidcbridge.agentos.validator import TokenValidator
from oidcbridge.arguments import ClaimNames, MiddlewareArguments
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.middleware import GATE, build_gate
from oidcbridge.asgi.paths import compile_exclusions
from oidcbridge.asgi.responses import OIDCHTTPException, answer_error
from oidcbridge.errors import ConfigurationError, OIDCBridgeError
from oidcbridge.fastapi.openapi import install_openapi
from oidcbridge.verifier import Verifier

logger = logging.getLogger("oidcbridge.agentos")


def protect(
    agent_os: AgentOS,
    verifier: Verifier | None = None,
    *,
    authorization: bool = True,
    user_isolation: bool = True,
    scopes_from: ScopesFrom | None = None,
    metadata_claims: ClaimNames = (),
    control_plane_key: str | bytes | None = None,
    public_url: str | None = None,
    swagger_client_id: str | None = None,
    **arguments: Unpack[MiddlewareArguments],
) -> FastAPI:
    """Protect ``agent_os`` and return its app; ``get_app()`` and ``get_routes()`` give the same from now on.

    ``authorization``: AgentOS's scopes are needed (``agents:run``); False: who can log in may use everything.
    ``scopes_from``: what grants them, ``{"roles:agent-user": ["agents:run"]}``, also by ``groups:``, ``permissions:``
    and ``scope:``. ``user_isolation``: users see their own sessions alone; never weaker than the AgentOS says.
    ``metadata_claims``: claims copied into a run's ``metadata``. ``control_plane_key``: the PEM key of AgentOS's hosted
    control plane, whose tokens are accepted too. ``public_url``: where clients find the MCP endpoint (RFC 9728).
    ``swagger_client_id``: the public client that ``/docs`` logs in with. The other arguments are those of
    `oidcbridge.OIDCMiddleware`; a token's session becomes AgentOS's only where ``session_id_claim`` is written, here or
    to the ``verifier``.

    It makes no network call. Raises `ConfigurationError` on this line for what contradicts itself, and where something
    else would decide beside us: an app made before, another layer, a key that AgentOS was given by itself.
    """
    asked = _Asked(authorization, user_isolation, scopes_from, metadata_claims, control_plane_key, public_url)
    _refuse_unfit(agent_os, asked)
    gate = _gate(verifier, arguments)
    app, gate = _install(agent_os, gate, asked)
    _finish(app, gate, swagger_client_id)
    warn_of_fillable_arguments([*(agent_os.agents or ()), *(agent_os.teams or ()), *(agent_os.workflows or ())])
    return app


class _Asked(NamedTuple):
    """What a user wrote beside the middleware's arguments."""

    authorization: bool
    user_isolation: bool
    scopes_from: ScopesFrom | None
    metadata_claims: ClaimNames
    control_plane_key: str | bytes | None
    public_url: str | None


def _refuse_unfit(agent_os: AgentOS, asked: _Asked) -> None:
    """Raises `ConfigurationError` before anything is touched."""
    check_surfaces()
    if not isinstance(agent_os, AgentOS):
        raise ConfigurationError("this protect() takes an AgentOS; for an app there is oidcbridge.fastapi.protect")
    refuse_doubled(agent_os)
    refuse_other_keys(agent_os, asked.control_plane_key)
    if agent_os.authorization and not asked.authorization:
        raise ConfigurationError("AgentOS says authorization=…, and protect() says authorization=False: leave one out")


def _gate(verifier: Verifier | None, arguments: MiddlewareArguments) -> Gate:
    """The gate, before AgentOS has said which paths are public."""
    for name in ("validate", "require_authentication"):
        if arguments.get(name, True) is not True:
            raise ConfigurationError(
                f"{name}=False: AgentOS takes every request that reaches it for one that may; leave it out"
            )
    return build_gate(verifier, arguments)


def _verifier_of(gate: Gate) -> Verifier:
    return cast(Verifier, gate.verifier)  # validate=False was refused


def _install(agent_os: AgentOS, gate: Gate, asked: _Asked) -> tuple[FastAPI, Gate]:
    """The app with our layer in it, and the gate as it is now. Mistakes are refused before the AgentOS changes."""
    verifier = _verifier_of(gate)
    grants, injection = Grants(asked.scopes_from), read_injection(verifier, asked.metadata_claims)
    control_plane = _control_plane(asked.control_plane_key, agent_os, verifier)
    resource = None if asked.public_url is None else ProtectedResource(agent_os, asked.public_url, verifier)
    app, entry = _app_with_layer(agent_os, isolated=asked.user_isolation)
    gate = _with_exclusions(gate, entry)
    callers = Callers(
        gate=gate,
        verifier=verifier,
        control_gate=Gate(control_plane, gate.settings) if control_plane is not None else None,
        grants=grants,
        injection=injection,
    )
    _swap(agent_os, app, entry, callers, resource, authorization=asked.authorization)
    return app, gate


def _control_plane(key: str | bytes | None, agent_os: AgentOS, verifier: Verifier) -> Verifier | None:
    if key is None:
        return None
    if not verifier.issuer_urls and verifier.settings.dynamic is None:
        raise ConfigurationError(
            "control_plane_key= beside verification keys without an issuer: no token would tell whose it is; write"
            " issuer_url="
        )
    return control_plane_verifier(key, str(agent_os.id), verifier.settings.clock)


def _app_with_layer(agent_os: AgentOS, *, isolated: bool) -> tuple[FastAPI, Middleware]:
    """AgentOS's app with its own layer in it, which lets nobody in yet. Raises `ConfigurationError`."""
    agent_os.user_isolation = agent_os.user_isolation or isolated
    agent_os.authorization_config = own_config(agent_os, isolated=isolated)
    agent_os.authorization = True
    agent_os._initialize_agents()  # whose file systems are told about isolation
    app = agent_os.get_app()
    layers = [
        entry for entry in app.user_middleware if isinstance(entry.cls, type) and issubclass(entry.cls, AuthMiddleware)
    ]
    if len(layers) != 1 or app.middleware_stack is not None:
        raise ConfigurationError(
            f"AgentOS has installed {len(layers)} layers where one was to be replaced, or its app has started already;"
            " nothing is served"
        )
    return app, layers[0]


def _with_exclusions(gate: Gate, entry: Middleware) -> Gate:
    """The gate with AgentOS's public paths beside the user's."""
    pages = AuthMiddleware._get_default_excluded_routes(cast(AuthMiddleware, None))
    paths = cast(Sequence[str] | None, entry.kwargs.get("excluded_route_paths"))
    paths = pages if paths is None else paths
    others = compile_exclusions([path for path in paths if path not in pages])
    patterns = [compiled.pattern for compiled in (gate.settings.excluded, others) if compiled]
    settings = replace(
        gate.settings,
        excluded=re.compile("|".join(patterns)) if patterns else None,
        docs=gate.settings.docs | frozenset(pages).intersection(paths),  # base_app may have others of these names
    )
    return Gate(gate.verifier, settings)


def _swap(
    agent_os: AgentOS,
    app: FastAPI,
    entry: Middleware,
    callers: Callers,
    resource: ProtectedResource | None,
    *,
    authorization: bool,
) -> None:
    """Our class and validator in place of AgentOS's, wherever it keeps one."""
    validator = TokenValidator(callers)
    layer: Any = type(
        "AgentOSLayer", (AgentOSLayer, cast(type, entry.cls)), {}
    )  # agno's own subclass knows the routes' live scopes
    wiring = Wiring(callers, validator, has_mcp_provider=agent_os.mcp_auth is not None, resource=resource)
    ours = Middleware(layer, **{**entry.kwargs, "authorization": authorization, "wiring": wiring})
    app.user_middleware[app.user_middleware.index(entry)] = ours
    needed = get_required_scopes_for_route(get_default_scope_mappings(), "POST", "/workflows/_/runs")
    app.state.jwt_validator = validator if authorization else TokenValidator(callers, tuple(needed))
    app.state.jwt_verify_audience, app.state.jwt_audience = False, None
    for provider in getattr(agent_os._get_mcp_auth_provider(), "verifiers", ()):
        if hasattr(provider, "_validator"):
            provider._validator, provider._authorization = validator, authorization
    agent_os.get_app = lambda: app  # type: ignore[method-assign]


def _finish(app: FastAPI, gate: Gate, swagger_client_id: str | None) -> None:
    """What dependencies, error answers and ``/docs`` need."""
    app.state.oidcbridge = gate.verifier
    setattr(app.state, GATE, gate)
    for kind in (OIDCHTTPException, OIDCBridgeError):
        app.add_exception_handler(kind, answer_error)
    install_openapi(app, gate, every_route=True)
    login: dict[str, object] = {"usePkceWithAuthorizationCodeGrant": True, "scopes": "openid"}
    if swagger_client_id is not None:
        login["clientId"] = swagger_client_id
    app.swagger_ui_init_oauth = {**login, **(app.swagger_ui_init_oauth or {})}
