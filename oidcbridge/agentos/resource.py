"""RFC 9728 for AgentOS's own MCP endpoint: which issuers' tokens it takes, told to clients that come without one.

The document is served by our layer, before the routes: AgentOS mounts the MCP app at its root, where it would hide a
route that was added later, and clears its routes when it is synchronised anew.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Scope, Send

from oidcbridge.asgi.paths import route_path
from oidcbridge.core.urls import origin_of
from oidcbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from agno.os import AgentOS

    from oidcbridge.verifier import Verifier


class ProtectedResource:
    """The MCP endpoint as ``public_url`` names it. Raises `ConfigurationError`."""

    def __init__(self, agent_os: AgentOS, public_url: str, verifier: Verifier) -> None:
        if not agent_os.mcp or agent_os.mcp_auth is not None:
            raise ConfigurationError(
                "public_url= names the MCP endpoint that AgentOS(mcp=True) serves; with mcp_auth, its provider does"
                " (OIDCTokenVerifier(base_url=…))"
            )
        if not isinstance(public_url, str) or origin_of(public_url) is None or "?" in public_url or "#" in public_url:
            raise ConfigurationError(
                "public_url is the address that clients use, without the MCP path, a query or a fragment:"
                ' public_url="https://agents.example.com"'
            )
        if not verifier.issuer_urls:
            raise ConfigurationError("public_url= publishes who issues the tokens, and there is no issuer to name")
        config = getattr(agent_os, "mcp_config", None)
        self._mcp_path = (getattr(config, "path", None) or "/mcp").rstrip("/")
        self._serve, self._path = _document(public_url.rstrip("/") + self._mcp_path, verifier.issuer_urls)
        self._named = f'resource_metadata="{origin_of(public_url)}{self._path}"'.encode("ascii")

    def route_for(self, scope: Scope) -> ASGIApp | None:
        """Who answers, where the request asks for the document."""
        return self._serve if route_path(scope) == self._path else None

    def named_in_challenge(self, send: Send, scope: Scope) -> Send:
        """``send`` for an answer of the MCP endpoint: a challenge says where the document is (section 5.1)."""
        path = route_path(scope)
        if path != self._mcp_path and not path.startswith(f"{self._mcp_path}/"):
            return send

        def send_named(message: Message) -> Awaitable[None]:  # no coroutine of its own: a stream pays it by the chunk
            if message["type"] == "http.response.start" and message["status"] in (401, 403):
                message = {**message, "headers": [self._named_in(*header) for header in message["headers"]]}
            return send(message)

        return send_named

    def _named_in(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name != b"www-authenticate":
            return name, value
        return name, value + (b", " if b"=" in value else b" ") + self._named


def _document(resource: str, issuers: tuple[str, ...]) -> tuple[ASGIApp, str]:
    """The document of ``resource``, and its path."""
    # Imported here: it brings the MCP packages, which AgentOS needs for nothing else.
    from pydantic import AnyHttpUrl  # noqa: PLC0415

    from oidcbridge.mcp.protected_resource import protected_resource_route  # noqa: PLC0415

    route = protected_resource_route(AnyHttpUrl(resource), authorization_servers=issuers, scopes=(), name=None)
    return route.app, route.path
