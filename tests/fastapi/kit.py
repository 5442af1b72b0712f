"""What the tests of the FastAPI side share."""

from __future__ import annotations

from typing import Any, Unpack

from fastapi import FastAPI
from starlette.testclient import TestClient

from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.fastapi import protect
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
