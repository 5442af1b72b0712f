"""RFC 9728: the document that tells a client which issuers' tokens a server takes.

fastmcp's `RemoteAuthProvider` serves one too, but issuers pass through a URL type on their way, which changes some
(``https://id.example.com`` gains a slash). Clients compare them character by character (RFC 8414 section 3.3), so here
they stand as configured.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from mcp.server.auth.routes import build_resource_metadata_url, cors_middleware
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_METHODS = ["GET", "OPTIONS"]


def protected_resource_route(
    resource: AnyHttpUrl, *, authorization_servers: Sequence[str], scopes: Sequence[str], name: str | None
) -> Route:
    """The route of ``resource``'s metadata: the well-known part stands before the resource's path (section 3.1)."""
    document: dict[str, object] = {
        "resource": str(resource),
        "authorization_servers": list(authorization_servers),
        "bearer_methods_supported": ["header"],
    }
    if scopes:  # no empty arrays (section 3.2)
        document["scopes_supported"] = list(scopes)
    if name is not None:
        document["resource_name"] = name

    async def metadata(_request: Request) -> Response:
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=3600"})

    path = urlsplit(str(build_resource_metadata_url(resource))).path
    return Route(path, cors_middleware(metadata, _METHODS), methods=_METHODS)
