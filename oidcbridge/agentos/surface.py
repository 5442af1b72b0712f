"""The private surfaces of agno that this room stands on, in one list.

agno promises nothing about them. `check_surfaces` runs when an AgentOS is protected: where one has moved, nothing
starts, which is better than an open door. tests/agentos asks it at the oldest and at the newest agno we support.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version
from typing import Any, NamedTuple

from oidcbridge.errors import ConfigurationError


class Surface(NamedTuple):
    """A name of agno's, the parameters we give it (None: it is no function), and what we do with it."""

    module: str
    path: str
    parameters: tuple[str, ...] | None
    why: str


_JWT, _APP = "agno.os.middleware.jwt", "agno.os.app"
_STATE = ("session", "session_state")
_A_TICKET = ("queue_worker", "run_id", "continue_payload")
SURFACES = (
    Surface(_JWT, "AuthMiddleware._dispatch", ("self", "request", "call_next"), "decides once the token is verified"),
    Surface(_JWT, "AuthMiddleware._extract_token", ("self", "request"), "gives it the token that was verified"),
    Surface(
        _JWT,
        "AuthMiddleware._create_error_response",
        ("self", "status_code", "detail", "origin", "cors_allowed_origins", "required_scopes"),
        "its refusals become those of RFC 6750",
    ),
    Surface(_JWT, "AuthMiddleware._is_route_excluded", ("self", "path"), "exclusions are decided by us alone"),
    Surface(_JWT, "AuthMiddleware._is_origin_allowed", ("self", "origin", "cors_allowed_origins"), "CORS on refusals"),
    Surface(_JWT, "AuthMiddleware._get_default_excluded_routes", ("self",), "its own public routes"),
    Surface(_JWT, "JWTValidator.validate_token", ("self", "token", "expected_audience"), "our validator stands in"),
    Surface(_JWT, "JWTValidator.extract_claims", ("self", "payload"), "our validator stands in"),
    Surface("agno.os.service_accounts", "TOKEN_PREFIX", None, "its service accounts' tokens are not ours to verify"),
    Surface(_JWT, "is_reserved_principal", ("user_id",), "subjects that no token may claim"),
    Surface("agno.os.authz._request_scope", "request_scope", (), "a policy is read once a request"),
    Surface("agno.os.scopes", "get_default_scope_mappings", (), "what the WebSocket demands"),
    Surface("agno.os.scopes", "get_required_scopes_for_route", ("scope_mappings", "method", "path"), "the same"),
    Surface("agno.os.utils", "resolve_ws_jwt_config", ("app",), "finds our validator on app.state"),
    Surface(_APP, "AgentOS.get_app", ("self",), "builds the app that is protected, once"),
    Surface(_APP, "AgentOS.get_routes", ("self",), "asks get_app"),
    Surface(_APP, "AgentOS._initialize_agents", ("self",), "tells agents of user isolation"),
    Surface(_APP, "AgentOS._add_auth_middleware", ("self", "fastapi_app", "security_key"), "installs what we replace"),
    Surface(
        _APP, "AgentOS._get_mcp_auth_provider", ("self",), "an MCP provider of its own, with agno's verifier in it"
    ),
    Surface("agno.os.mcp_auth", "JWTBearerTokenVerifier.verify_token", ("self", "token"), "REST's tokens at /mcp"),
    Surface(_JWT, "_AUTH_COMPLETE_ATTR", None, "what a layer further out decided decides nothing here"),
    Surface(_JWT, "jwt_kwargs_have_key_source", ("kwargs",), "by which AgentOS sees that a layer verifies"),
    Surface("agno.os.middleware.mcp_routing", "MCPRoutingMiddleware", None, "the paths that lead to MCP"),
    Surface(_APP, "AgentOS._seed_user_directory", ("self", "fastapi_app"), "app.state.user_store, the directory"),
    Surface("agno.os.authz.user_directory", "UserDirectory.ais_disabled", ("self", "id"), "who may open no socket"),
    Surface("agno.agent._storage", "load_session_state", ("agent", *_STATE), "claims stand over what is stored"),
    Surface("agno.team._storage", "_load_session_state", ("team", *_STATE), "the same"),
    Surface("agno.workflow", "Workflow._load_session_state", ("self", *_STATE), "the same"),
    Surface("agno.session", "WorkflowSession.from_dict", ("data",), "the same, where a workflow is continued"),
    Surface("agno.os.job_queue", "QueueWorker._execute_claimed", ("self", "job"), "the same, where a worker executes"),
    *(
        Surface(f"agno.os.routers.{kind}.router", "acontinue_via_queue", _A_TICKET, "claims go with a queued job")
        for kind in ("agents", "teams", "workflows")
    ),
    Surface(
        "agno.os.middleware.trailing_slash", "TrailingSlashMiddleware", None, "the path that it makes is decided on"
    ),
)
#: Needed only where AgentOS serves MCP, whose package may not be installed.
_OPTIONAL = frozenset({"agno.os.mcp_auth"})


def moved(surfaces: tuple[Surface, ...] = SURFACES) -> list[str]:
    """The surfaces that are not where, or not what, they were."""
    return [f"{one.module}.{one.path} ({one.why})" for one in surfaces if not _is_there(one)]


def check_surfaces() -> None:
    """Raises `ConfigurationError` where agno has moved one."""
    gone = moved()
    if gone:
        raise ConfigurationError(
            f"oidcbridge does not fit agno {version('agno')}, which has changed {'; '.join(gone)}."
            " Nothing would be protected: use an agno that this version of oidcbridge was tested with"
        )


def _is_there(surface: Surface) -> bool:
    try:
        found: Any = importlib.import_module(surface.module)
    except ImportError:
        return surface.module in _OPTIONAL
    for name in surface.path.split("."):
        found = getattr(found, name, None)
    if found is None or surface.parameters is None:
        return found is not None
    return callable(found) and tuple(inspect.signature(found).parameters)[: len(surface.parameters)] == (
        surface.parameters
    )
