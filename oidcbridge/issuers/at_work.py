"""From settings to an issuer at work: its keys, and where they come from."""

from __future__ import annotations

from typing import NamedTuple

from oidcbridge.core.alike import Alike
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.key_sources import FixedKeySet
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.remote.observation import Observation
from oidcbridge.settings import IssuerSettings
from oidcbridge.verification import IssuerAtWork


class Workshop(NamedTuple):
    """What all issuers of one verifier share."""

    clock: Clock
    store: KeyStore | None
    observation: Observation | None

    def put_to_work(
        self, issuer: IssuerSettings, options: FetchOptions, *, kind: type[RemoteKeySet] = RemoteKeySet
    ) -> IssuerAtWork:
        """The issuer with its keys, which nobody has asked for yet."""
        if issuer.keys is not None:  # given by hand: nobody is ever asked
            return IssuerAtWork(issuer, FixedKeySet(issuer.keys), None, Alike())
        assert issuer.issuer_url is not None  # noqa: S101 - settings refuse neither issuer nor keys
        metadata = RemoteMetadata(
            issuer.issuer_url,
            options,
            self.clock,
            discovery_url=issuer.discovery_url,
            browser_url=issuer.browser_url,
            document_issuer=issuer.document_issuer,
        )
        keys = kind(
            issuer.issuer_url,
            options,
            self.clock,
            jwks_uri=issuer.jwks_uri,
            metadata=metadata,
            store=self.store,
            observation=self.observation,
        )
        return IssuerAtWork(issuer, keys, metadata, Alike())
