"""FastAPI: one line protects an app, and typed dependencies say who is calling.

::

    from oidcbridge.fastapi import CurrentPrincipal, protect, require_scopes

    app = protect(FastAPI(), issuer_url="https://id.example.com/realms/acme", audience="agent-api")

    @app.post("/runs", dependencies=[require_scopes("agents:run")])
    async def run(principal: CurrentPrincipal) -> str:
        return principal.user_id
"""

from fastapi.security import SecurityScopes

from oidcbridge.fastapi.dependencies import (
    CurrentPrincipal,
    Dependencies,
    OptionalPrincipal,
    SessionId,
    SessionState,
    UserId,
    current_dependencies,
    current_principal,
    current_session_id,
    current_session_state,
    current_user_id,
    optional_principal,
    require_any_role,
    require_permissions,
    require_roles,
    require_scopes,
)
from oidcbridge.fastapi.protection import protect

__all__ = [
    "CurrentPrincipal",
    "Dependencies",
    "OptionalPrincipal",
    "SecurityScopes",
    "SessionId",
    "SessionState",
    "UserId",
    "current_dependencies",
    "current_principal",
    "current_session_id",
    "current_session_state",
    "current_user_id",
    "optional_principal",
    "protect",
    "require_any_role",
    "require_permissions",
    "require_roles",
    "require_scopes",
]
