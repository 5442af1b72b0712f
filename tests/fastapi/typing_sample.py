"""A user's module, as mypy --strict sees it: every type, function and argument, used right. Nothing runs it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware

from oidcbridge import FetchOptions, Issuer, OIDCMiddleware, Principal, TokenSource, Verifier
from oidcbridge.fastapi import (
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
    protect,
    require_any_role,
    require_roles,
    require_scopes,
)


class OwnApp(FastAPI):
    """An app of the user's own class."""


app: OwnApp = protect(
    OwnApp(),
    issuer_url="https://id.example.com/realms/acme",
    audience="agent-api",
    client_ids=["agent-ui"],
    provider="keycloak",
    algorithms=["RS256", "ES256"],
    user_id_claim="sub",
    session_id_claim=["sid"],
    scopes_claim="scope",
    roles_claim="realm_access.roles",
    groups_claim="groups",
    permissions_claim="permissions",
    tenant_claim="organization",
    tenants=["acme"],
    dependencies_claims={"mail": "email"},
    session_state_claims=["tier"],
    leeway=30,
    token_type="at+jwt",
    token_cache=0,
    fetch=FetchOptions(deadline=3),
    token_source=TokenSource.BOTH,
    token_header_key="X-Token",
    cookie_name="agent",
    excluded_route_paths=["/health"],
    allowed_origins=["https://ui.example.com"],
    require_authentication=True,
    validate=True,
    swagger_client_id="agent-ui",
    middleware=True,
    public_docs=False,
)
ready: FastAPI = protect(
    FastAPI(), Verifier(issuer_url="https://id.example.com", audience=["a", "b"]), middleware=False
)
several: FastAPI = protect(FastAPI(), issuers=[Issuer(issuer_url="https://a.example.com", name="a", audience="x")])
static: FastAPI = protect(FastAPI(), verification_keys=["-----BEGIN…"], algorithm="ES256")

ready.add_middleware(OIDCMiddleware, issuer_url="https://id.example.com", audience="agent-api", leeway=10)
ready.add_middleware(OIDCMiddleware, verifier=Verifier(secret_key="x" * 32))
starlette = Starlette(middleware=[Middleware(OIDCMiddleware, issuer_url="https://id.example.com", audience=None)])
router = APIRouter(dependencies=[require_scopes("agents:read"), require_roles("a", "b"), require_any_role("c")])


@router.get("/types")
async def types(
    principal: CurrentPrincipal,
    maybe: OptionalPrincipal,
    user_id: UserId,
    session_id: SessionId,
    dependencies: Dependencies,
    session_state: SessionState,
) -> dict[str, Any]:
    """Each type is what its name says."""
    who: str = user_id
    session: str | None = session_id
    scopes: tuple[str, ...] = principal.scopes
    known: str | None = maybe.user_id if maybe is not None else None
    dependencies["who"] = who
    session_state["session"] = session
    return {"scopes": scopes, "known": known}


@router.get("/functions", dependencies=[Security(current_principal, scopes=["agents:run"])])
async def functions(
    principal: Annotated[Principal, Security(current_principal)],
    maybe: Annotated[Principal | None, Depends(optional_principal)],
    user_id: Annotated[str, Depends(current_user_id)],
    session_id: Annotated[str | None, Depends(current_session_id)],
    dependencies: Annotated[dict[str, Any], Depends(current_dependencies)],
    session_state: Annotated[dict[str, Any], Depends(current_session_state)],
) -> str:
    """The plain functions serve as dependencies of one's own."""
    return f"{principal.user_id} {maybe} {user_id} {session_id} {dependencies} {session_state}"


@router.websocket("/socket")
async def socket(websocket: WebSocket, user_id: UserId) -> None:
    """WebSocket routes take the same types."""
    await websocket.send_text(user_id)


app.dependency_overrides[current_principal] = lambda: Principal(user_id="ada")
