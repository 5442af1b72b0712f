"""The tokens of AgentOS's hosted control plane: RS256 by one key, no ``iss``, an optional ``aud``.

That key and the issuers never stand in for each other: whether a token names an issuer decides which verifier it is
for, and each refuses the other's.
"""

from __future__ import annotations

from oidcbridge.core.policy import Clock, TokenRules
from oidcbridge.core.token import parse_unverified
from oidcbridge.errors import ConfigurationError, MalformedTokenError
from oidcbridge.profiles import Profile
from oidcbridge.verifier import Verifier

CONTROL_PLANE = Profile(
    name="agentos_control_plane",
    rules=TokenRules(
        audience_required=False,  # it may be left out; where it is there, it names this AgentOS
        foreign_claims=(*TokenRules().foreign_claims, "iss"),
        hint=lambda _claims: "; the control plane's tokens name the AgentOS that they are for, AgentOS(id=…)",
    ),
)


def control_plane_verifier(key: str | bytes, os_id: str, clock: Clock) -> Verifier:
    """Verifies what the control plane signs for the AgentOS ``os_id``. Raises `ConfigurationError` for an unfit key."""
    if not isinstance(key, str | bytes) or not key:
        raise ConfigurationError(
            "control_plane_key is the public key (PEM) that the control plane shows for this AgentOS"
        )
    return Verifier(
        verification_keys=key,
        algorithms="RS256",
        audience=os_id,
        provider=CONTROL_PLANE,
        scopes_claim="scopes",
        clock=clock,
    )


def names_no_issuer(token: str) -> bool:
    """Whether ``token`` can only be the control plane's. Nothing about it is verified."""
    try:
        return "iss" not in parse_unverified(token).claims
    except MalformedTokenError:
        return False
