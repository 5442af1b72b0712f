"""How providers' tokens differ from the plain ones, so that an impersonated provider's tokens look like its own.

Shapes as seen from Keycloak 26, Auth0 and Amazon Cognito; the others are in `presets_of_others`. A token whose subject
is its own client is a machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing.presets_of_others import OTHERS, Shape
from oidcbridge.testing.tokens import OMIT, TokenDraft, TokenKind

Provider = Literal[
    "auto",
    "keycloak",
    "auth0",
    "cognito",
    "okta",
    "entra",
    "google",
    "zitadel",
    "authentik",
    "dex",
    "hydra",
    "pingone",
    "generic",
]
"""Whose tokens to mint; ``auto`` goes by the issuer's URL."""

_RECOGNISED_BY: Final = {
    "/realms/": "keycloak",
    ".auth0.com/": "auth0",
    "://cognito-idp.": "cognito",
    ".okta.com/": "okta",
    "://login.microsoftonline.com/": "entra",
    "://accounts.google.com": "google",
    ".zitadel.cloud": "zitadel",
    "/application/o/": "authentik",
    "://auth.pingone.": "pingone",
}
_KEYCLOAK_TYP: Final = {"access": "Bearer", "id": "ID", "refresh": "Refresh", "logout": "Logout"}


def require_provider(provider: Provider) -> Provider:
    """The same, or ``ConfigurationError`` for one there is no preset of."""
    if provider not in get_args(Provider):
        raise ConfigurationError(
            f"no preset for provider={provider!r}: use one of {', '.join(get_args(Provider))}, "
            "and default_claims=… for what its tokens carry"
        )
    return provider


def provider_shape(
    provider: Provider, kind: TokenKind, draft: TokenDraft, plain: Mapping[str, object]
) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What such a provider adds to the plain header and claims, or (``OMIT``) leaves out of them."""
    name: str = provider
    if provider == "auto":
        name = next((name for mark, name in _RECOGNISED_BY.items() if mark in draft.issuer), "generic")
    if name in OTHERS and kind in ("access", "id"):
        return OTHERS[name](Shape(kind, draft, plain))
    return {}, _claims(name, kind, sub=draft.sub, client_id=draft.client_id)


def _claims(name: str, kind: TokenKind, *, sub: str, client_id: str) -> Mapping[str, object]:
    machine = sub == client_id
    match name, kind:
        case "keycloak", _:
            who = {"preferred_username": f"service-account-{client_id}"} if machine else {"client_id": OMIT}
            return {"typ": _KEYCLOAK_TYP[kind], "azp": client_id, **who}
        case "auth0", "access":
            who = {"sub": f"{client_id}@clients", "gty": "client-credentials"} if machine else {}
            return {"azp": client_id, "client_id": OMIT, **who}
        case "cognito", "access":  # it names the client and no audience
            return {"token_use": "access", "aud": OMIT, **({} if machine else {"username": sub})}
        case "cognito", "id":
            return {"token_use": "id", "cognito:username": sub}
    return {}
