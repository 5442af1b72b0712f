"""The tokens of AgentOS's hosted control plane: RS256 by one key, no ``iss``, an optional ``aud``.

That key and the issuers never stand in for each other: whether a token names an issuer decides which verifier it is
for, and each refuses the other's.
"""

from __future__ import annotations

from oidcbridge.core.policy import Clock
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import parse_unverified
from oidcbridge.errors import AudienceMismatchError, ConfigurationError, IssuerMismatchError, MalformedTokenError
from oidcbridge.verifier import Verifier


class ControlPlaneVerifier(Verifier):
    """Verifies what the control plane signs for the AgentOS ``os_id``. Raises `ConfigurationError` for an unfit key."""

    def __init__(self, key: str | bytes, os_id: str, clock: Clock) -> None:
        if not isinstance(key, str | bytes) or not key:
            raise ConfigurationError(
                "control_plane_key is the public key (PEM) that the control plane shows for this AgentOS"
            )
        super().__init__(verification_keys=key, algorithms="RS256", scopes_claim="scopes", clock=clock)
        self._os_id = os_id

    async def verify(self, token: str) -> Principal:
        """The principal. Raises a `TokenError`."""
        return self._for_this_os(await super().verify(token))

    def verify_now(self, token: str) -> Principal:
        """The same at once: nothing is ever fetched."""
        return self._for_this_os(super().verify_now(token))

    def _for_this_os(self, principal: Principal) -> Principal:
        claims = principal.claims
        if "iss" in claims:
            raise IssuerMismatchError("the control plane names no issuer in its tokens", claim="iss")
        audience = claims.get("aud", self._os_id)
        named = (audience,) if isinstance(audience, str) else audience if isinstance(audience, tuple) else ()
        if self._os_id not in named:
            raise AudienceMismatchError(f"the token is for another AgentOS than {self._os_id!r}", claim="aud")
        return principal


def names_no_issuer(token: str) -> bool:
    """Whether ``token`` can only be the control plane's. Nothing about it is verified."""
    try:
        return "iss" not in parse_unverified(token).claims
    except MalformedTokenError:
        return False
