"""Upkeep: one issuer's snapshot, kept new in the background. Single flight, timer, backoff, budgets.

Readers take no lock: the snapshot is immutable and replaced by one assignment. When something is due is decided by
`oidcbridge.core.freshness`; this module starts it and remembers what became of it.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

from oidcbridge.core.freshness import Attempts, Instant, State, UnknownKidBudget, state_of
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.keys import DeniedKeys
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import KeysUnavailableError, ProviderError
from oidcbridge.remote.backoff import Backoff
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.errand import Errand
from oidcbridge.remote.flight import Flight
from oidcbridge.remote.observation import Observation
from oidcbridge.remote.origin import KeyOrigin
from oidcbridge.remote.process_budget import budget_for
from oidcbridge.remote.refresher import CANNOT_START, Timer, refresher, start_anew_after_fork
from oidcbridge.remote.report import Report
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.remote.telling_lock import TellingLock
from oidcbridge.remote.wish import FORCED, LOOK, RENEW, TRAILING, NothingNewError, SuppressedError, Wish

_LOOK_EVERY = 1.0  # seconds between looks into the store while the provider has to be left in peace


class Upkeep:
    """Every method may be called from any thread and never blocks on the network."""

    is_trusted = True
    """Whether the issuer is written down, or else a token of it was good before."""

    def __init__(
        self,
        name: str,
        options: FetchOptions,
        clock: Clock,
        *,
        jwks_uri: str | None,
        metadata: RemoteMetadata,
        store: KeyStore | None = None,
        observation: Observation | None = None,
    ) -> None:
        self.name = name
        self.snapshot: Snapshot | None = None
        self.last_error: ProviderError | None = None
        self.report = Report(name, clock, observation)
        self._options = options
        self._clock = clock
        self._origin = KeyOrigin(
            name, options, clock, jwks_uri=jwks_uri, metadata=metadata, store=store, report=self.report
        )
        self._budget = UnknownKidBudget(options, clock.monotonic())
        self._process_budget = budget_for(clock)
        self._denied = DeniedKeys()
        self.attempts = Attempts()
        self._backoff = Backoff(options)
        self._flight: Flight | None = None
        self._is_looking = False  # whether that one asks the store alone
        self._started = 0
        self._used = -math.inf
        self._timer = Timer(self._ring)
        self._trailing = Timer(self._ring_trailing)
        self._trailing_due = -math.inf
        self._next_look = -math.inf
        self._lock = TellingLock()
        start_anew_after_fork(self)

    @property
    def waiters(self) -> int:
        """How many wait for the fetch that is under way."""
        flight = self._flight
        return flight.waiters if flight else 0

    def mark(self) -> int:
        """A request's place in the order of fetches: only a fetch that begins after it can prove a key absent."""
        return self._started

    def state(self, now: Instant) -> State:
        """Where the set stands at ``now``."""
        snapshot = self.snapshot
        if snapshot is None:
            return State.EMPTY
        return state_of(snapshot.fetched.age(now), snapshot.lifetime, self.attempts)

    def ask(self) -> Flight | None:
        """Fetch if there is nothing fresh and no backoff runs: for warming up. None where there is nothing to do."""
        now = Instant.now(self._clock)
        self._used = now.monotonic
        with self._lock:
            if self.state(now) is State.FRESH:
                return None
            self._fly_unless_cooling(now)
            return self._flight

    def refresh(self) -> tuple[Flight, bool]:
        """Fetch now, whatever the budgets say. False: it had begun before, and may not show what has happened since."""
        self._used = self._clock.monotonic()
        with self._lock:
            is_ours = self._flight is None or self._is_looking
            return self._fly(FORCED), is_ours

    def pause(self) -> None:
        """Stop the timers, also the one that a fetch under way would set; the next fetch starts them again."""
        with self._lock:
            self._timer.cancel()
            self._trailing.cancel()
            self._trailing_due = self._used = -math.inf

    def next_try_in(self, now: Instant) -> int:
        """Whole seconds until the provider is asked again, at least 1."""
        return self._backoff.seconds_left(now)

    def deny(self, kid: str) -> None:
        """Use the key of this name no more, whatever the provider says; what was verified with it is void."""
        with self._lock:
            self._denied = self._denied.and_kid(kid)
            if self.snapshot is not None:
                self._denied = self._denied.as_seen_in(self.snapshot.key_set)
                key_set = self.snapshot.key_set.without(self._denied)
                self.snapshot = replace(self.snapshot, key_set=key_set)
            self._lock.later(lambda: self.report.denied(kid))

    def _next_take(self, now: Instant) -> float:
        """Seconds until strangers may cause a fetch: by this issuer's budget, and by the process's."""
        return max(self._budget.next_refill(now.monotonic), self._process_budget.next_slot(self.name, now.monotonic))

    def _take(self, now: Instant) -> bool:
        """Spend one fetch of both, or of neither."""
        is_there = self._budget.next_refill(now.monotonic) == 0.0
        return is_there and self._process_budget.take(self.name, now.monotonic) and self._budget.take(now.monotonic)

    def _suppress(self, now: Instant) -> None:
        """Refresh at the next refill, once however many ask: a rotation is seen then though nobody asks again."""
        if now.monotonic < self._trailing_due:
            return
        delay = self._next_take(now)
        self._trailing_due = now.monotonic + delay
        if self._options.unknown_kid_burst:
            self._trailing.set(delay)
        self._lock.later(lambda: self.report.suppressed(delay))

    def _fly_unless_cooling(self, now: Instant) -> None:
        if not self._backoff.is_running(now):
            self._fly()
        else:
            self._look_into_store(now)

    def _look_into_store(self, now: Instant) -> Flight | None:
        """While a backoff runs: the provider is left in peace, and others who share the store may have been luckier."""
        if not self._origin.is_shared or now.monotonic < self._next_look:
            return None
        self._next_look = now.monotonic + _LOOK_EVERY
        return self._fly(LOOK)

    def _fly(self, wish: Wish = RENEW) -> Flight:
        """The fetch under way, or a new one: it has landed where none could be started. The lock is held.

        A look into the store does for nobody who wants the provider asked: a fetch begins beside it.
        """
        is_look = wish.why == "look"
        if self._flight is not None and (is_look or not self._is_looking):
            return self._flight
        self._started += 1
        flight, number = Flight(), self._started
        self._flight, self._is_looking = flight, is_look
        try:
            refresher().run(lambda: self._bring(wish, flight, number), in_slot=False)
        except CANNOT_START as reason:
            self._flight = None
            error = KeysUnavailableError(f"the fetch could not be started: {reason}")
            self._count_failure(error, Instant.now(self._clock))
            flight.land(error)
        return flight

    async def _bring(self, wish: Wish, flight: Flight, number: int) -> None:
        begun = Instant.now(self._clock)
        errand = Errand(wish, number, self.snapshot, is_trusted=self.is_trusted)
        error: ProviderError = KeysUnavailableError("the fetch was broken off")
        try:
            snapshot = await self._origin.bring(errand)
        except ProviderError as failure:
            error = failure
        except (NothingNewError, SuppressedError) as nothing:
            self._brought_nothing(flight, suppressed=isinstance(nothing, SuppressedError))
        except asyncio.CancelledError:  # the refresher was stopped, which says nothing about the provider
            errand.fetched = None
            with self._lock:
                self._end(flight, error)
            raise
        else:
            self._succeeded(wish, flight, snapshot)
        finally:
            # Also where something unforeseen comes through: nobody waits for ever, and the loop logs it.
            try:
                if not flight.done:
                    self._failed(flight, error, begun)
            finally:
                await self._origin.finish(errand)

    def _end(self, flight: Flight, error: ProviderError | None) -> None:
        """Those who wait go on once the lock, which is held, is free and what came before this is told, well or not."""
        if self._flight is flight:  # else another has begun beside it
            self._flight = None
        self._lock.later(lambda: flight.land(error))

    def _succeeded(self, wish: Wish, flight: Flight, snapshot: Snapshot) -> None:
        now = Instant.now(self._clock)
        with self._lock:
            before, self._denied = self.snapshot, self._denied.as_seen_in(snapshot.key_set)
            key_set = snapshot.key_set.without(self._denied)
            is_change = before is None or before.key_set.fingerprints != key_set.fingerprints
            generation = (before.generation if before else 0) + is_change
            after = self.snapshot = replace(snapshot, key_set=key_set, generation=generation)
            recovered, self.attempts = self._backoff.succeeded(), Attempts()
            self.last_error = None
            self.report.moves_to(State.FRESH)
            if is_change:
                self._budget.forget_absent()
            self._timer.set(max(0.0, after.refresh_after() - after.fetched.age(now)))
            self._lock.later(lambda: self.report.succeeded(before, after, recovered))
            if wish.why == "unknown_kid" and wish.alg:
                is_found = bool(key_set.candidates(wish.kid, wish.alg))
                self._lock.later(lambda: self.report.looked_for(wish.kid, found=is_found))
            self._end(flight, None)

    def _brought_nothing(self, flight: Flight, *, suppressed: bool) -> None:
        """Nobody was asked. Where others have spent the budget that we share, what is left of ours counts no more."""
        now = Instant.now(self._clock)
        with self._lock:
            if suppressed:
                self._budget.drain(now.monotonic)
                self._process_budget.give_back(self.name)
                self._suppress(now)
            self._end(flight, None)

    def _failed(self, flight: Flight, error: ProviderError, begun: Instant) -> None:
        with self._lock:
            self._count_failure(error, begun)
            self._origin.failed(error, self.attempts.failures)
            self._end(flight, error)

    def _count_failure(self, error: ProviderError, begun: Instant) -> None:
        """Remember a failed attempt and plan the next one. The lock is held."""
        snapshot, now = self.snapshot, Instant.now(self._clock)
        past = snapshot is not None and snapshot.fetched.age(begun) >= snapshot.lifetime.max_stale
        delay = self._backoff.failed(error, now, cold=snapshot is None)
        self.attempts = Attempts(self._backoff.failures, self.attempts.failed_past_max_stale or past)
        self.last_error = error
        self._timer.set(delay)
        failures = self.attempts.failures
        self._lock.later(lambda: self.report.failed(snapshot, error, failures, delay))
        if snapshot is not None:
            self._stands_at(self.state(now), snapshot, now)

    def _stands_at(self, state: State, snapshot: Snapshot, now: Instant) -> None:
        if self.report.moves_to(state):
            left = max(0.0, snapshot.lifetime.max_stale - snapshot.fetched.age(now))
            self._lock.later(lambda: self.report.stands_at(state, left))

    def _is_in_use(self, now: Instant) -> bool:
        """Whether work is done here though nobody asks just now."""
        return now.monotonic - self._used < self._options.idle_after

    def _ring(self, number: int) -> None:
        """The timer rings: refresh without anybody asking, unless nobody has used the keys for long."""
        now = Instant.now(self._clock)
        with self._lock:
            if number == self._timer.number and self._is_in_use(now):
                self._fly()

    def _ring_trailing(self, number: int) -> None:
        """The budget is refilled: make the look that was put off."""
        now = Instant.now(self._clock)
        with self._lock:
            if number != self._trailing.number or not self._is_in_use(now):
                return
            self._trailing_due = -math.inf
            if self._take(now):
                self._fly(TRAILING)
            else:  # rung a moment too early
                delay = self._next_take(now)
                self._trailing_due = now.monotonic + delay
                self._trailing.set(delay)

    def start_anew_in_child(self) -> None:
        """After a fork: the keys stay, what was under way in the parent is the parent's."""
        if self._lock.locked():  # in the middle of a change that nobody will end
            self._budget = UnknownKidBudget(self._options, self._clock.monotonic())
        self._lock = TellingLock()
        self._flight = None
        self._trailing_due = self._next_look = -math.inf
