"""SharedKeys: one issuer's keys in a store that several workers share, so that N of them ask about as often as one.

Whoever wants newer keys looks into the store first. If they are not there it becomes the leader, which fetches and
saves; the others wait for what it brings. A store that cannot be used leaves each worker to itself for a while.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace

from oidcbridge.core.freshness import Instant, Lifetime
from oidcbridge.core.key_store import KeyStore, Lead
from oidcbridge.core.keys import DeniedKeys, parse_key_set
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.core.stored_keys import StoredKeys, parse_stored_keys
from oidcbridge.errors import KeyStoreError, KeysUnavailableError
from oidcbridge.remote.report import Report
from oidcbridge.remote.snapshot import Snapshot, next_generation
from oidcbridge.remote.wish import SuppressedError, Wish

_LOOK_EVERY = 0.05
_REST = 10.0  # seconds without the store after it could not be used
Fetch = Callable[[], Awaitable[Snapshot]]
Place = Callable[[], str | None]


class Errand:
    """One attempt to bring keys newer than ``before``: what is asked of the store, and how its answers are judged."""

    def __init__(self, wish: Wish, begun: Instant, number: int, before: Snapshot | None, denied: DeniedKeys) -> None:
        self.wish = wish
        self.before = before
        self._begun = begun
        self._number = number
        self._denied = denied

    def is_news(self, stored: StoredKeys) -> bool:
        """Whether it was fetched after what we have; by a clock that stands still, whether it says something else."""
        if self.before is None:
            return True
        ours = self.before.fetched.wall
        return stored.fetched > ours or (stored.fetched == ours and stored.body != self.before.body)

    def snapshot_of(self, stored: StoredKeys, now: Instant, options: FetchOptions) -> Snapshot:
        """What lies in the store, as if we had fetched it then. Raises `KeysUnavailableError` for no usable key set."""
        age = max(0.0, now.wall - stored.fetched)
        soft = min(max(stored.soft, options.min_max_age), options.max_max_age)
        lifetime = Lifetime.of(soft, options)
        if self.before is None:  # a warm start: served at once while they are being renewed, not waited for
            lifetime = replace(lifetime, hard=max(lifetime.hard, lifetime.max_stale))
        key_set = parse_key_set(stored.body)
        key_set = key_set.without(self._denied.as_seen_in(key_set))
        # Only what was fetched after we were asked can prove a key absent: see `RemoteKeySet.mark`.
        is_proof = stored.fetched >= self._begun.wall
        number = self._number if is_proof else self.before.number if self.before else 0
        fetched = Instant(stored.fetched, now.monotonic - age, now.boot - age)
        generation = next_generation(self.before, key_set)
        return Snapshot(key_set, fetched, stored.as_of, lifetime, stored.etag, number, generation, stored.body)

    def is_done_by(self, found: Snapshot, now: Instant) -> bool:
        """Whether keys from the store are what was wished for, so that nobody needs to fetch."""
        if self.before is None:
            return True
        if found.fetched.age(now) >= found.lifetime.soft:
            return False
        if not self.wish.is_a_strangers or found.number == self._number:
            return True
        if self.wish.why == "bad_signature":
            return found.generation != self.before.generation
        return bool(found.key_set.candidates(self.wish.kid, self.wish.alg))


class SharedKeys:
    """The keys of ``issuer`` in ``store``. Used on the background loop."""

    def __init__(self, store: KeyStore, issuer: str, options: FetchOptions, clock: Clock, report: Report) -> None:
        self._store = store
        self._issuer = issuer
        self._options = options
        self._clock = clock
        self._report = report
        self._longest = max(options.max_stale, options.max_max_age)
        self._rests_until = -math.inf

    async def bring(self, errand: Errand, place: Place, fetch: Fetch) -> Snapshot:
        """Keys from the store, or from ``fetch``, which are then saved for the others.

        ``place`` tells the address that they must have been fetched from, where it is known. Raises what ``fetch``
        raises, and `SuppressedError`.
        """
        lead = None
        try:
            if errand.wish.why != "forced" and self._clock.monotonic() >= self._rests_until:
                found, lead = await self._find_or_lead(errand, place)
                if found is not None:
                    return found
            snapshot = await fetch()
            await self._save(snapshot, place)
            return snapshot
        finally:
            if lead is not None:
                await lead.end()

    async def _find_or_lead(self, errand: Errand, place: Place) -> tuple[Snapshot | None, Lead | None]:
        """What another has brought, or else the lead.

        Neither where the store cannot be used, or the leader has not brought any in time.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._options.deadline
        try:
            while True:
                found = await self._find(errand, place)
                if found is not None:
                    return found, None
                lead = await self._store.lead(self._issuer, seconds=3 * self._options.deadline)
                if lead is not None:
                    return await self._look_once_more(errand, place, lead)
                if loop.time() >= give_up:  # it hangs, or somebody holds the lead who should not
                    return None, None
                await asyncio.sleep(_LOOK_EVERY)
        except KeyStoreError as error:
            self._rest(error)
            return None, None

    async def _look_once_more(self, errand: Errand, place: Place, lead: Lead) -> tuple[Snapshot | None, Lead | None]:
        """As the leader: another may have saved since the last look. Then the shared budget pays for strangers."""
        try:
            found = await self._find(errand, place)
            if found is None and errand.wish.is_a_strangers:
                options = self._options
                burst, interval = options.unknown_kid_burst, options.unknown_kid_interval
                if not await self._store.spend(self._issuer, burst=burst, interval=interval):
                    raise SuppressedError  # noqa: TRY301
        except BaseException:
            await lead.end()
            raise
        if found is None:
            return None, lead
        await lead.end()
        return found, None

    async def _find(self, errand: Errand, place: Place) -> Snapshot | None:
        """What the store has, where it is newer than what we have and all that is wished for."""
        stored = await self._load(place)
        if stored is None or not errand.is_news(stored):
            return None
        now = Instant.now(self._clock)
        try:
            found = errand.snapshot_of(stored, now, self._options)
        except KeysUnavailableError as error:
            self._report.store_trouble(KeyStoreError(str(error), ignored=True))
            return None
        if not errand.is_done_by(found, now):
            return None
        self._report.loaded(found.fetched.age(now))
        return found

    async def _load(self, place: Place) -> StoredKeys | None:
        """The entry, where there is one to be trusted. Raises `KeyStoreError` where the store cannot be reached."""
        try:
            data = await self._store.load(self._issuer)
            if data is None:
                return None
            return parse_stored_keys(
                data,
                issuer=self._issuer,
                jwks_uri=place(),
                now=self._clock.time(),
                max_stale=self._longest,
            )
        except KeyStoreError as error:
            if not error.ignored:
                raise
            self._report.store_trouble(error)
            return None

    async def _save(self, snapshot: Snapshot, place: Place) -> None:
        """Let the others have it, unless one of them has brought newer keys meanwhile."""
        if self._clock.monotonic() < self._rests_until:
            return
        entry = StoredKeys(
            issuer=self._issuer,
            jwks_uri=place() or "",
            fetched=snapshot.fetched.wall,
            as_of=snapshot.as_of,
            soft=snapshot.lifetime.soft,
            etag=snapshot.etag,
            body=snapshot.body,
        )
        try:
            there = await self._load(place)
            if there is None or there.fetched <= entry.fetched:
                await self._store.save(self._issuer, entry.to_bytes(), seconds=self._longest)
        except KeyStoreError as error:
            self._rest(error)

    def _rest(self, error: KeyStoreError) -> None:
        self._rests_until = self._clock.monotonic() + _REST
        self._report.store_trouble(error)
