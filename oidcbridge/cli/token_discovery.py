"""What the grants need to know of the provider: its metadata, and which of its endpoints may be used."""

from __future__ import annotations

import asyncio
import logging

from oidcbridge.cli.terminal import printable
from oidcbridge.cli.token_errors import GrantError
from oidcbridge.core.metadata import IssuerMetadata, well_known_urls
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.core.urls import check_url
from oidcbridge.errors import ConfigurationError, DiscoveryError
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.fetch_error import FetchError

_NOT_HTTPS = "is no https:// URL (plain http is for this machine alone), so nothing was sent there"

# The command says itself what its errors say; without a handler Python would print the log line beside it.
logging.getLogger("oidcbridge").addHandler(logging.NullHandler())


def fetch_metadata(issuer_url: str, ca_file: str | None) -> IssuerMetadata:
    """Fetch the metadata of an issuer through the one door.

    Raises ``ConfigurationError`` for an issuer that is no https URL, and ``DiscoveryError`` when it does not answer or
    answers for another issuer (OpenID Connect Discovery section 4.3).
    """
    try:
        check_url(issuer_url, name="--issuer", allow_http=False)
    except ConfigurationError:  # its words are for those who configure a verifier
        raise ConfigurationError(f"--issuer {printable(issuer_url)!r} {_NOT_HTTPS}") from None
    options = FetchOptions(deadline=10, connect_timeout=5, ca_file=ca_file)
    try:
        return asyncio.run(RemoteMetadata(issuer_url, options, Clock(), discovery_url=None).get())
    except DiscoveryError as error:
        raise DiscoveryError(_explain(error, issuer_url)) from None


def _explain(error: DiscoveryError, issuer_url: str) -> str:
    cause = error.__cause__
    if isinstance(cause, FetchError) and cause.status == 404:
        return f"{well_known_urls(issuer_url)[0]} answered 404; check --issuer, to the letter, against the provider"
    if isinstance(cause, FetchError) and cause.kind == "tls":
        return f"{error}; give --ca-file if a private authority signed the provider's certificate"
    return str(error)


def find_endpoint(metadata: IssuerMetadata, name: str) -> str:
    """Return one endpoint's URL; raises `GrantError` when there is none, or none that secrets may be sent to."""
    url = metadata.document.get(name)
    if not url:
        raise GrantError(f"{metadata.issuer} publishes no {name}: it does not offer this --grant; try another one")
    return require_secure(url, name)


def require_secure(url: object, name: str) -> str:
    """Return `url` if a browser or a secret may go there: https, or http on loopback (RFC 8252 section 8.3)."""
    try:
        check_url(str(url), name=name, allow_http=False)
    except ConfigurationError:
        raise GrantError(f"the provider's {name} {printable(url)!r} {_NOT_HTTPS}") from None
    return str(url)
