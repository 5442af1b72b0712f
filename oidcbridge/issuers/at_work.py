"""From settings to an issuer at work: its keys, and where they come from."""

from __future__ import annotations

from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.key_sources import FixedKeySet
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.settings import IssuerSettings
from oidcbridge.verification import IssuerAtWork


def put_to_work(
    issuer: IssuerSettings, options: FetchOptions, clock: Clock, *, kind: type[RemoteKeySet] = RemoteKeySet
) -> IssuerAtWork:
    """The issuer with its keys, which nobody has asked for yet."""
    if issuer.keys is not None:  # given by hand: nobody is ever asked
        return IssuerAtWork(issuer, FixedKeySet(issuer.keys), None)
    assert issuer.issuer_url is not None  # noqa: S101 - settings refuse neither issuer nor keys
    metadata = RemoteMetadata(
        issuer.issuer_url, options, clock, discovery_url=issuer.discovery_url, browser_url=issuer.browser_url
    )
    keys = kind(issuer.issuer_url, options, clock, jwks_uri=issuer.jwks_uri, metadata=metadata)
    return IssuerAtWork(issuer, keys, metadata)
