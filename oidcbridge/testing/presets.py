"""How providers' tokens differ from the plain ones, so that an impersonated provider's tokens look like its own.

A token whose subject is its own client is a machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing.presets_of_others import OTHERS
from oidcbridge.testing.presets_of_three import THREE, other_keycloak_claims
from oidcbridge.testing.presets_shape import Members, Shape
from oidcbridge.testing.tokens import TokenDraft, TokenKind

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
_SHAPES: Final = {**THREE, **OTHERS}


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
) -> tuple[Members, Members]:
    """What such a provider adds to the plain header and claims, or (``OMIT``) leaves out of them."""
    name: str = provider
    if provider == "auto":
        name = next((name for mark, name in _RECOGNISED_BY.items() if mark in draft.issuer), "generic")
    if name in _SHAPES and kind in ("access", "id"):
        return _SHAPES[name](Shape(kind, draft, plain))
    return {}, other_keycloak_claims(kind, draft) if name == "keycloak" else {}
