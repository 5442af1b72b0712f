"""SharedKeys: one issuer's keys in a store that several workers share, so that N of them ask about as often as one.

Whoever wants newer keys looks into the store first. If they are not there it becomes the leader, which fetches and
saves; the others wait for what it brings. A store that cannot be used, or a leader that brings nothing, leaves each
worker to itself for a while: no request fails for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from oidcbridge.core.freshness import Instant
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.core.stored_keys import StoredKeys, parse_stored_keys
from oidcbridge.errors import KeyStoreError, KeysUnavailableError
from oidcbridge.remote.errand import Errand, digest
from oidcbridge.remote.report import Report
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.remote.wish import NothingNewError, SuppressedError

_LOOK_EVERY = 0.05  # seconds, at first; longer as the wait goes on
_LOOK_AT_LEAST_EVERY = 0.25
_SHARE_OF_WAIT = 0.8  # of what a request waits: the rest is for a fetch of our own
_CALL_SECONDS = 2.0
_REST = 10.0  # seconds without the store after it could not be used
Place = Callable[[], str | None]
T = TypeVar("T")


class SharedKeys:
    """The keys of ``issuer`` in ``store``. Used on the background loop.

    ``place`` tells the address that entries must have been fetched from, where it is known.
    """

    def __init__(
        self, store: KeyStore, issuer: str, *, options: FetchOptions, clock: Clock, report: Report, place: Place
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._options = options
        self._clock = clock
        self._report = report
        self._place = place
        self._longest = max(options.max_stale, options.max_max_age)
        self._rests_until = -math.inf
        self._known: bytes | None = None
        """The digest of an entry that is no news: ours, or one that lay there when we asked the provider."""
        self._is_blind = False
        """Whether we have asked the provider without knowing what lay there."""

    async def find(self, errand: Errand) -> Snapshot | None:
        """What another worker has brought, where that is all that is wished for; else ask the provider.

        Whatever comes of it, `finish` must be called. Raises `SuppressedError` and `NothingNewError`.
        """
        found = None
        if self._clock.monotonic() >= self._rests_until:
            try:
                async with asyncio.timeout(_SHARE_OF_WAIT * self._options.request_wait):
                    found = await self._find_or_lead(errand)
            except TimeoutError:
                if errand.wish.why != "forced":
                    self._rest(KeyStoreError("who leads has brought no keys in time, or the store is slow"))
            except KeyStoreError as error:
                self._rest(error)
        if found is None and errand.wish.why == "look":
            raise NothingNewError
        return found

    async def finish(self, errand: Errand) -> None:
        """Let the others have what was fetched, and lead. Requests do not wait for it."""
        try:
            if errand.fetched is not None:
                await self._save(errand, errand.fetched)
        finally:
            if errand.lead is not None:
                with suppress(KeyStoreError):  # it ends by itself
                    await self._call(errand.lead.end())

    async def _find_or_lead(self, errand: Errand) -> Snapshot | None:
        pause = _LOOK_EVERY
        while True:
            found = await self._look(errand)
            if found is not None or errand.wish.why == "look" or not errand.is_trusted:
                return found
            errand.lead = await self._call(self._store.lead(self._issuer, seconds=3 * self._options.deadline))
            if errand.lead is not None:
                break
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LOOK_AT_LEAST_EVERY)
        found = await self._look(errand)  # another may have saved since
        if found is None and errand.wish.is_a_strangers and not await self._spend():
            if errand.spare is None:
                raise SuppressedError
            found = self._adopt(errand.spare, errand)
        return found

    async def _look(self, errand: Errand) -> Snapshot | None:
        """What the store has, where it is news and all that is wished for."""
        stored, seen = await self._load()
        errand.seen = seen
        is_blind, self._is_blind = self._is_blind, False
        if is_blind:
            self._known = seen
        if stored is None or seen == self._known or errand.wish.why == "forced":
            return None
        now = Instant.now(self._clock)
        try:
            found = errand.snapshot_of(stored, now, self._options)
        except KeysUnavailableError as error:
            self._report.store_trouble(KeyStoreError(str(error), ignored=True))
            return None
        if found is None or not errand.is_done_by(found, now):
            return None
        return self._adopt(found, errand)

    def _adopt(self, found: Snapshot, errand: Errand) -> Snapshot:
        self._known = errand.seen  # from now on it is no news
        self._report.loaded(found.fetched.age(Instant.now(self._clock)))
        return found

    async def _load(self) -> tuple[StoredKeys | None, bytes | None]:
        """The entry, where there is one to be trusted, and its digest, where there is one at all."""
        data = None
        try:
            data = await self._call(self._store.load(self._issuer))
            if data is None:
                return None, None
            stored = parse_stored_keys(
                data,
                issuer=self._issuer,
                jwks_uri=self._place(),
                now=self._clock.time(),
                max_stale=self._longest,
            )
        except KeyStoreError as error:
            if not error.ignored:
                raise
            self._report.store_trouble(error)
            return None, None if data is None else digest(data)
        return stored, digest(data)

    async def _save(self, errand: Errand, snapshot: Snapshot) -> None:
        """Unless another has saved since we began to ask: which of the two is newer, nobody can tell."""
        if self._clock.monotonic() < self._rests_until:
            self._is_blind = True
            return
        self._known = errand.seen  # what lay there before is no newer than what we have asked for
        try:
            entry = StoredKeys(
                issuer=self._issuer,
                jwks_uri=snapshot.url,
                fetched=snapshot.fetched.wall,
                as_of=snapshot.as_of,
                soft=snapshot.lifetime.soft,
                etag=snapshot.etag,
                body=snapshot.body,
                provider=snapshot.provider,
            ).to_bytes()
        except KeyStoreError as error:  # too big for a store, which is not to blame for it
            self._report.store_trouble(error)
            return
        try:
            _, there = await self._load()
            if errand.wish.why == "forced" or there == errand.seen:
                await self._call(self._store.save(self._issuer, entry, seconds=self._longest))
                self._known = digest(entry)
        except KeyStoreError as error:
            self._is_blind = True
            self._rest(error)

    async def _spend(self) -> bool:
        burst, interval = self._options.unknown_kid_burst, self._options.unknown_kid_interval
        return await self._call(self._store.spend(self._issuer, burst=burst, interval=interval))

    async def _call(self, answer: Awaitable[T]) -> T:
        """What the store answers, in bounded time. Raises `KeyStoreError` alone: stores may be a user's own."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await answer
        except KeyStoreError:
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # it is we who are to end
                raise
            raise KeyStoreError("the key store's own work was cancelled") from None
        except TimeoutError:
            raise KeyStoreError(f"the key store did not answer in {_CALL_SECONDS:.0f} s") from None
        except Exception as error:  # noqa: BLE001 - a boundary: their code may raise anything, and say anything with it
            raise KeyStoreError(f"the key store raised {type(error).__name__}") from None

    def _rest(self, error: KeyStoreError) -> None:
        self._rests_until = self._clock.monotonic() + _REST
        self._report.store_trouble(error)
