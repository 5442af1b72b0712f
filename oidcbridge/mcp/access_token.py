"""What a FastMCP server knows of a caller: its own `AccessToken`, with our `Principal` beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastmcp.server.auth import AccessToken
from fastmcp.server.dependencies import get_access_token
from pydantic import PrivateAttr

from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import thaw
from oidcbridge.errors import MissingCredentialError

_UNSHOWN = frozenset({"token", "claims"})


class OIDCAccessToken(AccessToken):
    """fastmcp's access token of a caller that a `Verifier` has verified. Its repr shows neither token nor claims.

    ``client_id`` is the OAuth client, or the user id where the token names no client. ``subject`` is the user id,
    never None: with the client and ``iss`` it is what the MCP SDK ties a session to, and a token without ``sub`` would
    else share its sessions with every user of its client. ``expires_at`` is in seconds since the epoch. ``claims`` are
    the token's own, in plain dicts and lists, and ``user_id`` is always ours.
    """

    _principal: Principal = PrivateAttr()

    @classmethod
    def of(cls, principal: Principal, token: str) -> OIDCAccessToken:
        """The access token of a verified caller. What tools write into is a copy of this request's own."""
        made = cls(
            token=token,
            client_id=principal.client_id or principal.user_id,
            scopes=list(principal.scopes),
            expires_at=int(principal.expires_at),
            subject=principal.user_id,
            claims={**thaw(principal.claims), "user_id": principal.user_id},
        )
        made._principal = principal  # pydantic takes no private attribute in a constructor
        return made

    @property
    def principal(self) -> Principal:
        """The caller, in the words that are the same for every provider."""
        return self._principal

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, value) for name, value in super().__repr_args__() if name not in _UNSHOWN]


def current_principal() -> Principal:
    """Who calls the tool, resource or prompt that asks; also as ``Depends(current_principal)``.

    Raises `MissingCredentialError`, which fails the call, where no caller was verified by oidcbridge: over stdio, in a
    background task, or where another of the server's verifiers took the token.
    """
    token = get_access_token()
    if not isinstance(token, OIDCAccessToken):
        raise MissingCredentialError("no caller: this call carries no token that oidcbridge has verified")
    return token.principal
