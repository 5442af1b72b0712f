"""What the tests of the FastAPI side share."""

from __future__ import annotations

from typing import Annotated, Any, Unpack

from fastapi import Depends, FastAPI, Security
from starlette.testclient import TestClient

from oidcbridge import Principal
from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.fastapi import (
    CurrentPrincipal,
    Dependencies,
    SessionId,
    SessionState,
    UserId,
    current_dependencies,
    current_principal,
    current_session_id,
    current_session_state,
    current_user_id,
    protect,
)
from oidcbridge.testing import FakeIssuer, auth_header


def protected(
    issuer: FakeIssuer,
    app: FastAPI | None = None,
    *,
    middleware: bool = True,
    public_docs: bool = True,
    swagger_client_id: str | None = None,
    **arguments: Unpack[MiddlewareArguments],
) -> FastAPI:
    """An app that is protected for tokens of ``issuer``."""
    ours: MiddlewareArguments = {"issuer_url": issuer.issuer_url, "audience": issuer.audience}
    return protect(
        FastAPI() if app is None else app,
        middleware=middleware,
        public_docs=public_docs,
        swagger_client_id=swagger_client_id,
        **(ours | arguments),
    )


def get(app: FastAPI, path: str = "/x", token: str | None = None, **more: Any) -> Any:
    """One GET request, with the token if there is one; ``more`` goes to the client."""
    headers = auth_header(token) if token is not None else {}
    return TestClient(app).get(path, headers=headers | more.pop("headers", {}), **more)


def add_whoami(app: FastAPI) -> FastAPI:
    """Two routes that say who is calling, one by the types and one by the plain functions."""

    @app.get("/types")
    async def types(
        principal: CurrentPrincipal,
        user_id: UserId,
        session_id: SessionId,
        dependencies: Dependencies,
        session_state: SessionState,
    ) -> dict[str, Any]:
        assert principal.user_id == user_id
        return {
            "user_id": user_id,
            "session_id": session_id,
            "dependencies": dependencies,
            "session_state": session_state,
            "scopes": list(principal.scopes),
        }

    @app.get("/functions")
    def functions(
        principal: Annotated[Principal, Security(current_principal)],
        user_id: Annotated[str, Depends(current_user_id)],
        session_id: Annotated[str | None, Depends(current_session_id)],
        dependencies: Annotated[dict[str, Any], Depends(current_dependencies)],
        session_state: Annotated[dict[str, Any], Depends(current_session_state)],
    ) -> dict[str, Any]:
        return {
            "user_id": user_id,
            "session_id": session_id,
            "dependencies": dependencies,
            "session_state": session_state,
            "scopes": list(principal.scopes),
        }

    return app
