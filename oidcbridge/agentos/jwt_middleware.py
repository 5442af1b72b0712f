"""`JWTMiddleware`: stands where ``agno.os.middleware.JWTMiddleware`` stood; only the import line changes.

Starlette builds it at the first connection, which on a server is the lifespan: from there on the WebSocket's validator
is ours, and what was written wrongly fails the startup. Behind it works the layer of `protect` (`jwt_layer`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from agno.os.middleware.jwt import _AUTH_COMPLETE_ATTR, AuthMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.agentos.jwt_arguments import AUD, RS256, SCOPES, SESSION_ID, SUB, MoreArguments, sort_arguments
from oidcbridge.agentos.jwt_layer import build_layer
from oidcbridge.agentos.neighbours import strips_slashes
from oidcbridge.agentos.scopes import ScopesFrom
from oidcbridge.arguments import ClaimNames, Names
from oidcbridge.asgi.middleware import GateMiddleware
from oidcbridge.core.bearer import TokenSource
from oidcbridge.errors import ConfigurationError
from oidcbridge.verifier import Verifier

if TYPE_CHECKING:
    from agno.os.middleware.jwt import TokenSource as AgnoTokenSource


class JWTMiddleware(AuthMiddleware):
    """Lets verified requests into an AgentOS, or into the FastAPI app it is based on. ::

        app.add_middleware(JWTMiddleware, verification_keys=[…], algorithm="HS256", dependencies_claims=["name"])
        app.add_middleware(JWTMiddleware, issuer_url="https://id.example.com/realms/acme", audience="agent-api")

    The arguments and their defaults are those of agno's, ``secret_key`` of its older pages, and those of
    `oidcbridge.OIDCMiddleware`; ``scopes_from`` and ``metadata_claims`` as for `oidcbridge.agentos.protect`.
    ``issuer`` and ``audience`` are checked where they are given, ``exp`` always. ``user_isolation`` is never weaker
    than the AgentOS says. With a ready-made ``verifier``, a token's session is the run's only where that was told
    ``session_id_claim``.

    ``validate=False`` is for demonstrations: what a client claims reaches the run, a request without a token passes,
    and WebSockets and MCP are refused.

    Like agno's, it covers the app it is added to: each ``get_app()`` of an AgentOS without a ``base_app`` makes
    another. AgentOS looks for keys in these arguments when it decides about ``/mcp``: without ``verification_keys`` or
    ``jwks_file`` it lets MCP clients in under the names of localhost alone, unless ``MCPConfig(allowed_hosts=[…])``
    says under which. With `protect` neither needs a thought.
    """

    def __init__(  # noqa: PLR0917 - as agno has it
        self,
        app: ASGIApp,
        verification_keys: Names | Sequence[bytes] | None = None,
        jwks_file: str | os.PathLike[str] | None = None,
        algorithm: str = RS256,
        validate: bool = True,
        authorization: bool | None = None,
        token_source: TokenSource | AgnoTokenSource = TokenSource.HEADER,
        token_header_key: str = "Authorization",  # noqa: S107 - a header's name
        cookie_name: str = "access_token",
        scopes_claim: Names = SCOPES,
        user_id_claim: Names = SUB,
        session_id_claim: Names = SESSION_ID,
        audience_claim: str = AUD,
        audience: str | Iterable[str] | None = None,
        verify_audience: bool = False,
        issuer: str | None = None,
        dependencies_claims: ClaimNames | None = None,
        session_state_claims: ClaimNames | None = None,
        scope_mappings: Mapping[str, list[str]] | None = None,
        excluded_route_paths: Sequence[str] | None = None,
        admin_scope: str | None = None,
        user_isolation: bool = False,
        service_account_verifier: Any = None,
        security_key: str | None = None,
        cors_origin_policy: Any = None,
        *,
        verifier: Verifier | None = None,
        scopes_from: ScopesFrom | None = None,
        metadata_claims: ClaimNames = (),
        **more: Unpack[MoreArguments],
    ) -> None:
        self._said = sort_arguments(locals(), more)
        self.app = app  # and no more of agno's: it would ask for a key, and read its environment
        self._layer: ASGIApp | None = None
        self._strips_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        layer = self._layer
        if layer is None:
            layer = self._layer = self._build_or_refuse(scope.get("app"))
            self._strips_slashes = strips_slashes(scope.get("app"))
        if scope["type"] == "http":  # whatever was decided further out: we decide
            scope.setdefault("state", {}).pop(_AUTH_COMPLETE_ATTR, None)
            if self._strips_slashes and (stripped := scope["path"].rstrip("/")):
                scope["path"] = stripped  # scopes, exclusions and bodies go by the path that AgentOS will route
        await layer(scope, receive, send)

    def _build_or_refuse(self, owner: object) -> ASGIApp:
        try:
            return build_layer(self, owner, self._said)
        except ConfigurationError as error:
            return GateMiddleware(self.app, error)
