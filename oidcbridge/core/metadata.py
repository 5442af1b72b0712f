"""Issuer metadata (OpenID Connect Discovery 1.0, RFC 8414): well-known URLs, parsing, and whose it is.

The document is only used where its ``issuer`` equals the configured one, compared as text (Discovery section 4.3,
RFC 8414 section 3.3): a slash, a case or a port more is another issuer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from oidcbridge.core.claims import as_names
from oidcbridge.core.strict_json import StrictJSONError, parse_json_object
from oidcbridge.core.urls import origin_of
from oidcbridge.errors import DiscoveryError

MAX_METADATA_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """What a provider says about itself. Endpoints it does not name are None."""

    issuer: str
    jwks_uri: str | None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    end_session_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)


def well_known_urls(issuer_url: str) -> tuple[str, str]:
    """Where to ask: Discovery's form (appended, section 4), then RFC 8414's (inserted, section 3.1) after a 404."""
    parts = urlsplit(issuer_url)
    path = parts.path.rstrip("/")
    inserted = parts._replace(path=f"/.well-known/oauth-authorization-server{path}").geturl()
    return f"{issuer_url.rstrip('/')}/.well-known/openid-configuration", inserted


def parse_metadata(data: bytes, issuer_url: str) -> IssuerMetadata:
    """Parse a metadata document of at most 256 KiB. Raises `DiscoveryError`, showing both spellings of an issuer."""
    if len(data) > MAX_METADATA_BYTES:
        raise DiscoveryError(f"the discovery document is larger than {MAX_METADATA_BYTES} bytes")
    try:
        document = parse_json_object(data)
    except StrictJSONError as error:
        raise DiscoveryError(f"the discovery document is refused: {error}") from None
    issuer = document.get("issuer")
    if issuer != issuer_url:
        raise DiscoveryError(
            f"the provider calls itself {ascii(issuer)[:300]} and issuer_url is {issuer_url!r}; they must be equal to"
            " the letter (a slash at the end counts): write what the provider says, if it is yours"
        )
    return IssuerMetadata(
        issuer=issuer_url,
        jwks_uri=_text(document, "jwks_uri"),
        authorization_endpoint=_text(document, "authorization_endpoint"),
        token_endpoint=_text(document, "token_endpoint"),
        device_authorization_endpoint=_text(document, "device_authorization_endpoint"),
        end_session_endpoint=_text(document, "end_session_endpoint"),
        scopes_supported=as_names(document.get("scopes_supported")),
        document=document,
    )


def as_browsers_reach(
    metadata: IssuerMetadata, *, discovery_url: str | None, browser_url: str | None
) -> IssuerMetadata:
    """The document with the endpoints that a browser or a client outside calls where those reach them.

    A provider that is asked through an internal name may name internal endpoints (Keycloak with
    ``hostname-backchannel-dynamic`` does so for the token endpoint). What is at the origin of ``discovery_url`` or of
    the issuer is shown at ``browser_url``; without one, at the issuer's origin, if the authorization endpoint shows
    that browsers go there. Endpoints of other origins stand.
    """
    issuer, asked = origin_of(metadata.issuer), origin_of(discovery_url or metadata.issuer)
    if browser_url is None and origin_of(metadata.authorization_endpoint or "") != issuer:
        return metadata
    outside = urlsplit(browser_url or metadata.issuer)

    def shown(url: str | None) -> str | None:
        if url is None or origin_of(url) not in (issuer, asked):
            return url
        return urlsplit(url)._replace(scheme=outside.scheme, netloc=outside.netloc).geturl()

    return replace(
        metadata,
        authorization_endpoint=shown(metadata.authorization_endpoint),
        token_endpoint=shown(metadata.token_endpoint),
        device_authorization_endpoint=shown(metadata.device_authorization_endpoint),
        end_session_endpoint=shown(metadata.end_session_endpoint),
    )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None
