"""KeyOrigin: where one issuer's keys come from. Its provider, or a store into which another worker has put them."""

from __future__ import annotations

from dataclasses import replace

from oidcbridge.core.freshness import Instant
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import ProviderError
from oidcbridge.profiles import recognise_by_endpoints
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.errand import Errand
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.refresher import refresher
from oidcbridge.remote.report import Report
from oidcbridge.remote.shared_keys import SharedKeys
from oidcbridge.remote.snapshot import Snapshot, fetch_snapshot


class KeyOrigin:
    """Brings one issuer's keys; used on the background loop."""

    def __init__(
        self,
        issuer: str,
        options: FetchOptions,
        clock: Clock,
        *,
        jwks_uri: str | None,
        metadata: RemoteMetadata,
        store: KeyStore | None,
        report: Report,
    ) -> None:
        self._options = options
        self._clock = clock
        self._jwks_uri = jwks_uri
        self._metadata = metadata
        self._report = report
        self._asked_at = jwks_uri
        self._shared = (
            None
            if store is None
            else SharedKeys(store, issuer, options=options, clock=clock, report=report, place=self._place)
        )

    @property
    def is_shared(self) -> bool:
        """Whether other workers may bring keys too."""
        return self._shared is not None

    async def bring(self, errand: Errand) -> Snapshot:
        """Newer keys; whatever comes of it, `finish` must be called.

        Raises a `ProviderError`, and what `SharedKeys.find` raises.
        """
        found = None if self._shared is None else await self._shared.find(errand)
        if found is None:
            async with refresher().slot(for_stranger=not errand.is_trusted):
                found = await self._fetch(errand)
            if errand.is_trusted:
                errand.fetched = found
        return found

    async def finish(self, errand: Errand) -> None:
        """What is left to do once the keys are in use. Requests do not wait for it."""
        if self._shared is not None:
            await self._shared.finish(errand)

    def _place(self) -> str | None:
        """The keys' address, where it is known without asking."""
        if self._jwks_uri is not None or self._metadata.current is None:
            return self._jwks_uri
        return self._metadata.current.jwks_uri

    async def _fetch(self, errand: Errand) -> Snapshot:
        self._report.event("fetch_started")
        metadata = None if self._jwks_uri else await self._metadata.get()
        url = (metadata.jwks_uri if metadata else self._jwks_uri) or ""
        if self._asked_at not in (None, url):
            self._report.moved(url)
        self._asked_at = url
        begun, before = Instant.now(self._clock), errand.before
        snapshot = await fetch_snapshot(url, self._options, begun, number=errand.number, before=before)
        seconds = begun.age(Instant.now(self._clock))
        self._report.fetched(seconds, not_modified=before is not None and snapshot.body is before.body)
        provider = recognise_by_endpoints(metadata.document).profile.name if metadata else None
        return replace(snapshot, provider=provider)

    def failed(self, error: ProviderError, failures: int) -> None:
        """A fetch failed, the ``failures``-th in a row: the keys may have moved, so discovery is asked again."""
        if failures >= 2 or (isinstance(error, FetchError) and error.status in (404, 410)):
            self._metadata.invalidate()
