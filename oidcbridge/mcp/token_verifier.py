"""OIDCTokenVerifier: an oidcbridge `Verifier` as the ``auth=`` of a FastMCP server."""

from __future__ import annotations

import logging

from fastmcp.server.auth import TokenVerifier
from fastmcp.server.dependencies import get_http_request
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from starlette.middleware import Middleware
from starlette.routing import Route

from oidcbridge.arguments import Names, read_names
from oidcbridge.asgi.middleware import build_gate
from oidcbridge.asgi.token_source import read_credential
from oidcbridge.core.principal import Principal
from oidcbridge.core.urls import origin_of
from oidcbridge.errors import AccessDeniedError, ConfigurationError, CredentialError, TokenError
from oidcbridge.mcp.access_token import OIDCAccessToken
from oidcbridge.mcp.authentication import BearerAuthentication
from oidcbridge.mcp.protected_resource import protected_resource_route
from oidcbridge.verifier import Verifier

logger = logging.getLogger("oidcbridge.mcp")


class OIDCTokenVerifier(TokenVerifier):
    """Puts a FastMCP server behind the issuers of ``verifier``: ``FastMCP("agents", auth=OIDCTokenVerifier(…))``.

    ``base_url``: where the server is reached from outside, without the MCP path. With it, RFC 9728 metadata is served
    and named in every challenge, so that clients find the provider by themselves; without it there is none.
    ``required_scopes``: all of them are needed for every request; a token that lacks one is answered 403 with them.
    ``scopes_supported`` and ``resource_name`` stand in the metadata (by default the required scopes, and no name).
    ``authorization_servers``: the issuers that it names, by default those of ``verifier``.

    It needs no `RemoteAuthProvider` around it. Inside that, or inside `MultiAuth`, fastmcp's own layers answer: there
    an outage of the provider is a 500 or a 401 instead of a 503, a missing scope a 401, and so are two headers.
    Raises `ConfigurationError`.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        base_url: str | None = None,
        required_scopes: Names = (),
        scopes_supported: Names | None = None,
        resource_name: str | None = None,
        authorization_servers: Names | None = None,
    ) -> None:
        if not isinstance(verifier, Verifier):
            raise ConfigurationError('OIDCTokenVerifier takes a Verifier: write Verifier(issuer_url="https://…", …)')
        required = _names(required_scopes, "required_scopes")
        super().__init__(base_url=_checked_base_url(base_url), required_scopes=list(required))
        self._verifier = verifier
        self._gate = build_gate(verifier, {})
        self._scopes_supported = required if scopes_supported is None else _names(scopes_supported, "scopes_supported")
        self._resource_name = resource_name
        if authorization_servers is None:
            servers = verifier.issuer_urls
        else:
            servers = _names(authorization_servers, "authorization_servers", "https://id.example.com")
        if base_url is not None and not servers:
            raise ConfigurationError(
                "base_url= publishes who issues the tokens, and this verifier has no issuer to name: write"
                ' authorization_servers=["https://…"], or leave base_url out'
            )
        self.authorization_servers = list(servers)  # AgentOS shows them too, under this name of RemoteAuthProvider's

    def __repr__(self) -> str:
        return f"OIDCTokenVerifier({self._verifier!r})"

    async def verify_token(self, token: str) -> OIDCAccessToken | None:
        """What fastmcp asks of any verifier; None for a token that is refused, also for lack of a required scope.

        Raises a `ProviderError` where the provider cannot be asked, since None would have clients drop their tokens.
        A server with this as its ``auth`` does not come here: see `get_middleware`.
        """
        try:
            self._refuse_two_headers()
            principal = await self._verifier.verify(token)
            self._require_scopes(principal)
        except (CredentialError, TokenError, AccessDeniedError) as error:
            logger.info("refused a token: %s: %s", error.code, error)
            return None
        return self.access_token(principal, token)

    def _refuse_two_headers(self) -> None:
        """Raises `MalformedRequestError` for a request with two: fastmcp's own layers hand on the first of them."""
        try:
            request = get_http_request()
        except RuntimeError:
            return  # asked by code that has a token, and no request
        read_credential(request.scope, self._gate.settings)

    def _require_scopes(self, principal: Principal) -> None:
        missing = sorted(set(self.required_scopes).difference(principal.scopes))
        if missing:
            raise AccessDeniedError(f"the token lacks {', '.join(missing)}", scopes=self.required_scopes)

    def access_token(self, principal: Principal, token: str) -> OIDCAccessToken:
        """What the server knows of a verified caller: for a subclass that adds to it."""
        return OIDCAccessToken.of(principal, token)

    def get_middleware(self) -> list[Middleware]:
        """What the server puts before its routes: see `oidcbridge.mcp.authentication`."""
        return [Middleware(BearerAuthentication, self._gate, self.access_token), Middleware(AuthContextMiddleware)]

    @property
    def scopes_supported(self) -> list[str]:
        """The scopes that the metadata names."""
        return list(self._scopes_supported)

    def get_routes(self, mcp_path: str | None = None) -> list[Route]:
        """The metadata of the resource at ``mcp_path``; none without ``base_url``."""
        self.set_mcp_path(mcp_path)
        resource = self._get_resource_url(mcp_path)
        if resource is None:
            return []
        return [
            protected_resource_route(
                resource,
                authorization_servers=self.authorization_servers,
                scopes=self._scopes_supported,
                name=self._resource_name,
            )
        ]


def _names(value: Names, argument: str, example: str = "agents:run") -> tuple[str, ...]:
    return read_names(value, argument, f'{argument}=["{example}"]', may_be_empty=True)


def _checked_base_url(base_url: str | None) -> str | None:
    """Refuse what clients could not put a path to (RFC 9728 section 1.2)."""
    if base_url is None:
        return None
    if not isinstance(base_url, str) or origin_of(base_url) is None or "?" in base_url or "#" in base_url:
        raise ConfigurationError(
            "base_url is the address that clients use, without the MCP path, a query or a fragment:"
            ' base_url="https://agents.example.com"'
        )
    return base_url
