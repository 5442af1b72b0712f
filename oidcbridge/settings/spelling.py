"""issuer_url as people paste it: what is no issuer yet, and how the provider spells it."""

from __future__ import annotations

from urllib.parse import urlsplit

from oidcbridge.core.urls import is_loopback
from oidcbridge.errors import ConfigurationError
from oidcbridge.profiles import recognise

_WELL_KNOWN = "/.well-known/"
WHERE_ISSUERS_ARE = (
    "Keycloak https://HOST/realms/REALM (before version 17: /auth/realms/REALM), Auth0 https://TENANT.REGION.auth0.com/,"
    " Cognito https://cognito-idp.REGION.amazonaws.com/POOL (not the login domain), Okta https://DOMAIN/oauth2/default,"
    " Entra https://login.microsoftonline.com/TENANT/v2.0, authentik https://HOST/application/o/APP/"
)


def refuse_misspelt(issuer_url: str) -> None:
    """Raises `ConfigurationError`, with the URL to write, for a discovery document's address and for a bare host."""
    if not issuer_url.isascii() or not issuer_url.isprintable() or not set(' "@').isdisjoint(issuer_url):
        return  # nothing to repeat: it may hold a password
    if _WELL_KNOWN in issuer_url:
        issuer = _as_the_provider_spells_it(issuer_url.partition(_WELL_KNOWN)[0])
        raise ConfigurationError(
            f'issuer_url is a discovery document\'s address: write issuer_url="{issuer}" (OIDCBRIDGE_ISSUER_URL), the'
            " part before '/.well-known/', exactly as the document's own 'issuer' says"
        )
    if issuer_url and "://" not in issuer_url:
        issuer = _as_the_provider_spells_it(f"{_scheme(issuer_url)}://{issuer_url}")
        raise ConfigurationError(
            f'issuer_url is a whole URL: write issuer_url="{issuer}" (OIDCBRIDGE_ISSUER_URL); issuers look like this:'
            f" {WHERE_ISSUERS_ARE}"
        )


def _scheme(bare: str) -> str:
    try:
        return "http" if is_loopback(urlsplit(f"//{bare}").hostname) else "https"
    except ValueError:  # no host can be read there, and `check_issuer_urls` says so of what is written next
        return "https"


def _as_the_provider_spells_it(issuer_url: str) -> str:
    """With a slash at the end where that is by what the provider's row knows its issuers (Auth0, authentik)."""
    with_slash = issuer_url.rstrip("/") + "/"
    is_known = recognise("auto", issuer_url).is_final
    return with_slash if not is_known and recognise("auto", with_slash).is_final else issuer_url
