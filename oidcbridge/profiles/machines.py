"""How each provider's machines are told from its users, and what a token may lack for one of its settings."""

from __future__ import annotations

import re

from oidcbridge.core.claims import Claims

# Keycloak 26.2 and later: two letters of the session, two of the kind of token, two of the grant. ``trrtcc:`` is a
# transient session's regular token by client credentials.
_KEYCLOAK_JTI = re.compile("[a-z]{2}(?P<kind>rt|lt)(?P<grant>[a-z]{2}):")
_GRANTS_OF_EITHER = frozenset({"te", "rt", "na"})  # token exchange, refresh, and none that is known


def keycloak_machine(claims: Claims) -> bool:
    """By the grant in the jti's prefix; where that leaves it open, by the name of a service account's user."""
    jti = claims.get("jti")
    context = _KEYCLOAK_JTI.match(jti) if isinstance(jti, str) else None
    if context is not None and context["grant"] not in _GRANTS_OF_EITHER:
        return context["grant"] == "cc"
    return "client_id" in claims and claims.get("preferred_username") == f"service-account-{claims.get('azp')}"


def keycloak_hint(claims: Claims) -> str:
    """For a lightweight access token, which leaves claims out."""
    jti = claims.get("jti")
    context = _KEYCLOAK_JTI.match(jti) if isinstance(jti, str) else None
    if context is None or context["kind"] != "lt":
        return ""
    return (
        "; this is a lightweight access token: turn on 'Add to lightweight access token' (lightweight.claim) in the"
        " mappers of 'sub', of the audience and of every claim you read"
    )


def auth0_machine(claims: Claims) -> bool:
    """``<client>@clients``, or the grant."""
    client = claims.get("azp", claims.get("client_id"))
    return claims.get("gty") == "client-credentials" or claims.get("sub") == f"{client}@clients"


def cognito_machine(claims: Claims) -> bool:
    """Nobody has logged in."""
    return "username" not in claims


def okta_machine(claims: Claims) -> bool:
    """There is no user, and the subject is the client."""
    return "uid" not in claims and "cid" in claims and claims.get("sub") == claims["cid"]


def entra_machine(claims: Claims) -> bool:
    """The optional claim ``idtyp`` says so; without it, roles and no delegated scopes."""
    kind = claims.get("idtyp")
    return kind == "app" if kind is not None else "scp" not in claims and "roles" in claims


def google_machine(claims: Claims) -> bool:
    """A service account's address, which nobody can register."""
    email = claims.get("email")
    return isinstance(email, str) and email.endswith(".gserviceaccount.com")


def pingone_machine(claims: Claims) -> bool:
    """Client credentials name nobody."""
    return "sub" not in claims and "p1.userId" not in claims
