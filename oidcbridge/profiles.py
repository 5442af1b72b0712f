"""One row per provider: how its access tokens are told from the others, and where its claims lie.

A row is data. A user's own provider is one more row: ``provider=Profile(name=…, mapping=ClaimMapping(…))``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from oidcbridge.core.claims import Claims
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import KindMarker, TokenRules
from oidcbridge.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is particular to one provider. ``issuer_pattern``: a regular expression that whole issuer URLs match."""

    name: str
    issuer_pattern: str | None = None
    rules: TokenRules = field(default_factory=TokenRules)
    mapping: ClaimMapping = field(default_factory=ClaimMapping)


_CLIENT_CREDENTIALS_JTI = re.compile("[a-z]{4}cc:")


def _keycloak_machine(claims: Claims) -> bool:
    """By the grant in the jti's prefix (``trrtcc:`` ends in cc, client credentials), else by the user name."""
    jti, client = claims.get("jti"), claims.get("azp")
    if isinstance(jti, str) and _CLIENT_CREDENTIALS_JTI.match(jti):
        return True
    return "client_id" in claims and claims.get("preferred_username") == f"service-account-{client}"


def _auth0_machine(claims: Claims) -> bool:
    sub = claims.get("sub")
    return isinstance(sub, str) and sub.endswith("@clients")


def _cognito_machine(claims: Claims) -> bool:
    return "username" not in claims


PROFILES: Mapping[str, Profile] = {
    row.name: row
    for row in (
        Profile(
            name="keycloak",
            issuer_pattern=r"https?://.+/realms/[^/?#]+",
            rules=TokenRules(
                marker=KindMarker("typ", frozenset({"Bearer", "DPoP"})), client_id_claims=("azp", "client_id")
            ),
            mapping=ClaimMapping(
                session_id=("sid", "session_state"),
                scopes=("scope",),
                roles=("realm_access.roles", "resource_access.{client}.roles"),
                tenant=("organization",),
                client_id=("azp", "client_id"),
                is_machine=_keycloak_machine,
            ),
        ),
        Profile(
            name="auth0",
            issuer_pattern=r"https://[^/]+\.auth0\.com/",
            rules=TokenRules(client_id_claims=("azp", "client_id")),
            mapping=ClaimMapping(
                session_id=(),
                scopes=("scope",),
                roles=(),  # only under a namespace of the customer's own: roles_claim="https://…/roles"
                groups=(),
                tenant=("org_id",),
                client_id=("azp", "client_id"),
                is_machine=_auth0_machine,
            ),
        ),
        Profile(
            name="cognito",
            issuer_pattern=r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9-]+_[A-Za-z0-9]+",
            rules=TokenRules(
                marker=KindMarker("token_use", frozenset({"access"})),
                audience_required=False,
                client_id_claims=("client_id",),
            ),
            mapping=ClaimMapping(
                session_id=("origin_jti",),
                scopes=("scope",),
                roles=("cognito:groups",),
                groups=("cognito:groups",),
                tenant=("custom:tenant",),
                client_id=("client_id",),
                is_machine=_cognito_machine,
            ),
        ),
        Profile(name="generic"),
    )
}


def profile_for(provider: str | Profile, issuer_url: str | None) -> Profile:
    """The row for ``provider``; ``"auto"`` decides by the issuer URL alone. Raises `ConfigurationError`."""
    if isinstance(provider, Profile):
        return provider
    if provider == "auto":
        return next(
            (
                row
                for row in PROFILES.values()
                if issuer_url and row.issuer_pattern and re.fullmatch(row.issuer_pattern, issuer_url)
            ),
            PROFILES["generic"],
        )
    if provider not in PROFILES:
        raise ConfigurationError(f"provider={provider!r} is unknown; write one of auto, {', '.join(PROFILES)}")
    return PROFILES[provider]
