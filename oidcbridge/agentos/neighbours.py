"""The layers beside `JWTMiddleware` on its app: those that would decide otherwise are refused, AgentOS's own gives way.

==========================================  ===========================================================================
a layer with keys in its arguments          refused: two layers would believe different tokens
one that demands scopes, and we do not      refused: the one further out decides for both
any that verifies, beside validate=False    refused
one that AgentOS made of its environment    inside of us it finds the request decided; outside it lets tokens pass to us
``/mcp`` left to a provider (``mcp_auth``)  refused where the environment holds a key: AgentOS would let its tokens in
==========================================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from agno.os.config import MCPConfig
from agno.os.middleware.jwt import AuthMiddleware, jwt_kwargs_have_key_source
from agno.os.middleware.mcp_routing import MCPRoutingMiddleware
from agno.os.middleware.trailing_slash import TrailingSlashMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Host, Mount, Router

from oidcbridge.agentos.layer import AgentOSLayer
from oidcbridge.agentos.own_settings import INERT_KEY
from oidcbridge.asgi.gate import Gate
from oidcbridge.errors import ConfigurationError


def layers_of(app: Starlette) -> Iterator[tuple[type[AuthMiddleware], Middleware]]:
    """agno's layers and ours on ``app``, each with its class."""
    for entry in app.user_middleware:
        if isinstance(entry.cls, type) and issubclass(entry.cls, AuthMiddleware):
            yield entry.cls, entry


def refuse_neighbours(app: Starlette, ours: type[AuthMiddleware], *, verifies: bool, authorizes: bool) -> None:
    """Raises `ConfigurationError` for a layer that cannot stand beside one of ``ours``."""
    if getattr(app.state, "public_route_policy", None) is not None:
        raise ConfigurationError("AgentOS(public=…) decides by rules of its own who needs no token; leave it out")
    layers = list(layers_of(app))
    if sum(issubclass(kind, ours) for kind, _ in layers) > 1:
        raise ConfigurationError("JWTMiddleware stands twice on this app; for several issuers write issuers=[…] in one")
    for kind, entry in layers:
        if issubclass(kind, ours):
            continue
        if issubclass(kind, AgentOSLayer):
            raise ConfigurationError("protect() has protected this AgentOS already; take JWTMiddleware out")
        if jwt_kwargs_have_key_source(dict(entry.kwargs)):
            raise ConfigurationError(
                f"this app has {kind.__name__} with keys of its own beside JWTMiddleware: take it out, or the keys out"
                " of AgentOS(authorization_config=…), and say authorization=True to JWTMiddleware"
            )
        if not verifies:
            raise ConfigurationError(
                "validate=False beside an AgentOS that verifies: unset JWT_VERIFICATION_KEY, JWT_JWKS_FILE and"
                " OS_SECURITY_KEY, or leave validate=False out"
            )
        if entry.kwargs.get("authorization") and not authorizes:
            raise ConfigurationError("AgentOS says authorization=True: say authorization=True to JWTMiddleware too")


def refuse_other_paths(app: Starlette, ours: type[AuthMiddleware]) -> None:
    """Raises `ConfigurationError` where a request's path is another for us than for the AgentOS that serves it."""
    config = mcp_config(app)
    kinds = [entry.cls for entry in app.user_middleware if isinstance(entry.cls, type)]
    outermost = next((kind for kind in kinds if issubclass(kind, (ours, MCPRoutingMiddleware))), None)
    if config is not None and config.root_host is not None and issubclass(outermost or object, ours):
        raise ConfigurationError(
            'MCPConfig(root_host=…) inside of JWTMiddleware: "/" is public here, and MCP there. Add JWTMiddleware to'
            " the AgentOS's base_app, or use protect(agent_os, …)"
        )
    for below in _apps_below(app):
        if getattr(below.state, "agent_os_id", None) is not None and not any(layers_of(below)):
            raise ConfigurationError(
                "an AgentOS is mounted below JWTMiddleware, which knows AgentOS's scopes, sessions and sockets by their"
                " paths: add it to the AgentOS's own app, agent_os.get_app().add_middleware(…), and mount that"
            )


def _apps_below(app: object) -> Iterator[Starlette]:
    """The apps mounted below ``app``, however deep, also behind a middleware of their own."""
    for route in getattr(app, "routes", None) or ():
        below: object = route.app if isinstance(route, Mount | Host) else None
        while below is not None and not isinstance(below, Starlette | Router):
            below = getattr(below, "app", None)
        if isinstance(below, Starlette):
            yield below
        yield from _apps_below(below)


def strips_slashes(app: object) -> bool:
    """Whether AgentOS takes the slashes off a path's end on ``app``."""
    kinds: list[object] = [entry.cls for entry in app.user_middleware] if isinstance(app, Starlette) else []
    return TrailingSlashMiddleware in kinds


def mcp_config(app: Starlette) -> MCPConfig | None:
    """How AgentOS serves MCP on ``app``; None where it does not."""
    for entry in app.user_middleware:
        if isinstance(entry.cls, type) and issubclass(entry.cls, MCPRoutingMiddleware):
            config: MCPConfig = cast(Any, entry.kwargs["config"])
            return config
    return None


def refuse_other_keys_for_mcp(app: Starlette, gate: Gate, environ: Mapping[str, str]) -> None:
    """Raises `ConfigurationError` where AgentOS would add the keys of its environment to a provider of MCP's own."""
    if gate.settings.excluded is None or not gate.settings.excluded.match("/mcp") or mcp_config(app) is None:
        return
    for variable in ("JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"):
        if environ.get(variable):
            raise ConfigurationError(
                f"{variable} is set and /mcp is excluded: with mcp_auth, AgentOS would let that key's tokens into /mcp,"
                " also those without an end. Unset it, and give the key itself: verification_keys=[…], jwks_file="
            )


def let_pass(app: Starlette, ours: AuthMiddleware) -> None:
    """Have AgentOS's own layers outside of ``ours`` look at service accounts' tokens alone: we verify the others."""
    layer: object = app.middleware_stack
    while layer is not None and layer is not ours:
        if isinstance(layer, AuthMiddleware):
            layer._jwt_configured, layer.security_key = False, None
        layer = getattr(layer, "app", None)


def say_that_we_verify(app: Starlette, ours: type[AuthMiddleware]) -> None:
    """AgentOS reads from a layer's arguments whether tokens are verified (``/info``), and knows no issuers."""
    for kind, entry in layers_of(app):
        if issubclass(kind, ours) and not jwt_kwargs_have_key_source(dict(entry.kwargs)):
            entry.kwargs["verification_keys"] = [INERT_KEY]
