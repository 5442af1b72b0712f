"""KeyOrigin: where one issuer's keys come from. Its provider, or a store into which another worker has put them."""

from __future__ import annotations

from oidcbridge.core.freshness import Instant
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.keys import DeniedKeys
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import ProviderError
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.report import Report
from oidcbridge.remote.shared_keys import Errand, SharedKeys
from oidcbridge.remote.snapshot import Snapshot, fetch_snapshot
from oidcbridge.remote.wish import Wish


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
        self._shared = None if store is None else SharedKeys(store, issuer, options, clock, report)

    async def bring(
        self, wish: Wish, begun: Instant, *, number: int, before: Snapshot | None, denied: DeniedKeys
    ) -> Snapshot:
        """Keys that are newer than ``before``.

        Raises a `ProviderError`, or `SuppressedError` where the budget shared with other workers is spent.
        """

        async def fetch() -> Snapshot:
            return await self._fetch(number=number, before=before, denied=denied)

        if self._shared is None:
            return await fetch()
        return await self._shared.bring(Errand(wish, begun, number, before, denied), self._place, fetch)

    def _place(self) -> str | None:
        """The keys' address, where it is known without asking."""
        if self._jwks_uri is not None or self._metadata.current is None:
            return self._jwks_uri
        return self._metadata.current.jwks_uri

    async def _fetch(self, *, number: int, before: Snapshot | None, denied: DeniedKeys) -> Snapshot:
        self._report.event("fetch_started")
        url = self._jwks_uri or (await self._metadata.get()).jwks_uri or ""
        if self._asked_at not in (None, url):
            self._report.moved(url)
        self._asked_at = url
        begun = Instant.now(self._clock)
        snapshot = await fetch_snapshot(url, self._options, begun, number=number, before=before, denied=denied)
        seconds = begun.age(Instant.now(self._clock))
        self._report.fetched(seconds, not_modified=before is not None and snapshot.body is before.body)
        return snapshot

    def failed(self, error: ProviderError, failures: int) -> None:
        """A fetch failed, the ``failures``-th in a row: the keys may have moved, so discovery is asked again."""
        if failures >= 2 or (isinstance(error, FetchError) and error.status in (404, 410)):
            self._metadata.invalidate()
