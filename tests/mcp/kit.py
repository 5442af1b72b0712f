"""What the tests of MCP share: a FastMCP server that says who calls, and a client that speaks its HTTP by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from fastmcp import FastMCP
from fastmcp.dependencies import Depends
from fastmcp.server.auth import AuthProvider
from fastmcp.server.dependencies import get_access_token
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from oidcbridge import Principal
from oidcbridge.mcp import OIDCTokenVerifier, current_principal
from oidcbridge.testing import FakeIssuer, auth_header

BASE_URL = "https://agents.test"
METADATA = "/.well-known/oauth-protected-resource/mcp"
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "tests", "version": "1"},
}


def token_verifier(issuer: FakeIssuer, **arguments: Any) -> OIDCTokenVerifier:
    """What a server at `BASE_URL` has for ``auth`` that takes tokens of ``issuer``."""
    return OIDCTokenVerifier(issuer.verifier(), **{"base_url": BASE_URL, **arguments})


def server(auth: AuthProvider | None) -> FastMCP:
    """A server with tools that say who calls, and a page that anybody may read."""
    mcp = FastMCP("agents", auth=auth)

    @mcp.tool
    async def whoami() -> str:
        return current_principal().user_id

    @mcp.tool
    def claimed(principal: Principal = Depends(current_principal)) -> dict[str, Any]:  # noqa: B008  FastMCP's way
        token = get_access_token()
        assert token is not None
        return {
            "client_id": token.client_id,
            "subject": token.subject,
            "scopes": token.scopes,
            "claims": token.claims,
            "expires_at": token.expires_at == int(principal.expires_at),
            "shown": repr(token),
            "user_id": principal.user_id,
        }

    @mcp.custom_route("/health", methods=["GET"])
    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return mcp


class Caller:
    """A client of the streamable HTTP transport; it shows the HTTP answers as they are."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def post(self, method: str, params: Mapping[str, object], *, token: str | None, **headers: str) -> httpx2.Response:
        """One JSON-RPC request, answered over HTTP."""
        return self.http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
            headers={
                "accept": "application/json, text/event-stream",
                **(auth_header(token) if token else {}),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    def begin(self, token: str | None) -> httpx2.Response:
        """Ask for a session."""
        return self.post("initialize", INITIALIZE, token=token)

    def begin_with(self, headers: list[tuple[str, str]]) -> httpx2.Response:
        """The same with headers as they are written, also one that stands there twice."""
        return self.http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
            headers=[("accept", "application/json, text/event-stream"), *headers],
        )

    def session(self, token: str) -> str:
        """The id of a session that ``token`` has begun."""
        return self.begin(token).headers["mcp-session-id"]

    def call(self, token: str | None, session: str, tool: str = "whoami") -> httpx2.Response:
        """Call a tool within a session."""
        return self.post("tools/call", {"name": tool, "arguments": {}}, token=token, mcp_session_id=session)

    def ask(self, token: str, tool: str = "whoami") -> Any:
        """What a tool gives back, in a session of its own."""
        answer = self.call(token, self.session(token), tool)
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert not result["isError"], result
        structured = result["structuredContent"]
        return structured.get("result", structured)


@contextmanager
def calling(app: FastMCP | ASGIApp) -> Iterator[Caller]:
    """A running server, called in process."""
    if isinstance(app, FastMCP):
        app = app.http_app(json_response=True)
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
        yield Caller(client)
