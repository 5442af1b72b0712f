"""Upkeep: one issuer's snapshot, kept new in the background. Single flight, timer, backoff, budgets.

Readers take no lock: the snapshot is immutable and replaced by one assignment. When something is due is decided by
`oidcbridge.core.freshness`; this module starts it and remembers what became of it.
"""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace

from oidcbridge.core.freshness import Attempts, Instant, State, UnknownKidBudget, state_of
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.keys import DeniedKeys
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import KeysUnavailableError, ProviderError
from oidcbridge.remote.backoff import Backoff
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.flight import Flight
from oidcbridge.remote.observation import Observation
from oidcbridge.remote.origin import KeyOrigin
from oidcbridge.remote.process_budget import budget_for
from oidcbridge.remote.refresher import CANNOT_START, Timer, refresher, start_anew_after_fork
from oidcbridge.remote.report import Report
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.remote.wish import FORCED, RENEW, SuppressedError, Wish

_IDLE_AFTER = 15 * 60.0


class Upkeep:
    """Every method may be called from any thread and never blocks on the network."""

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
        self._started = 0
        self._used = -math.inf
        self._timer = Timer(self._ring)
        self._trailing = -1
        self._lock = threading.Lock()
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

    def refresh(self) -> Flight:
        """Fetch now, whatever the budgets say, or join the fetch that is under way."""
        self._used = self._clock.monotonic()
        with self._lock:
            return self._fly(FORCED)

    def pause(self) -> None:
        """Stop the timer, also the one that a fetch under way would set; the next use starts it again."""
        with self._lock:
            self._timer.cancel()
            self._used = -math.inf

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
        self.report.denied(kid)

    def _next_take(self, now: Instant) -> float:
        """Seconds until strangers may cause a fetch: by this issuer's budget, and by the process's."""
        return max(self._budget.next_refill(now.monotonic), self._process_budget.next_slot(self.name, now.monotonic))

    def _take(self, now: Instant) -> bool:
        """Spend one fetch of both, or of neither."""
        is_there = self._budget.next_refill(now.monotonic) == 0.0
        return is_there and self._process_budget.take(self.name, now.monotonic) and self._budget.take(now.monotonic)

    def _suppress(self, now: Instant) -> None:
        """Refresh at the next refill, once however many ask: a rotation is seen then though nobody asks again."""
        if self._trailing != self._timer.number:
            self.report.suppressed(self._next_take(now))
            self._trailing = self._timer.set(self._next_take(now))

    def _fly_unless_cooling(self, now: Instant) -> None:
        if not self._backoff.is_running(now):
            self._fly()

    def _fly(self, wish: Wish = RENEW) -> Flight:
        """The fetch under way, or a new one: it has landed where none could be started. The lock is held."""
        if self._flight is not None:
            return self._flight
        self._started += 1
        flight, number = Flight(), self._started
        self._flight = flight
        try:
            refresher().run(lambda: self._bring(wish, flight, number))
        except CANNOT_START as reason:
            self._flight = None
            error = KeysUnavailableError(f"the fetch could not be started: {reason}")
            self._count_failure(error, Instant.now(self._clock))
            flight.land(error)
        return flight

    async def _bring(self, wish: Wish, flight: Flight, number: int) -> None:
        begun = Instant.now(self._clock)
        error: ProviderError = KeysUnavailableError("the fetch was broken off")
        try:
            snapshot = await self._origin.bring(wish, begun, number=number, before=self.snapshot, denied=self._denied)
        except ProviderError as failure:
            error = failure
        except SuppressedError:
            self._suppressed_by_others()
            flight.land(None)
        except asyncio.CancelledError:  # the refresher was stopped, which says nothing about the provider
            self._flight = None
            flight.land(error)
            raise
        else:
            self._succeeded(wish, snapshot)
            flight.land(None)
        finally:
            # Also where something unforeseen comes through: nobody waits for ever, and the loop logs it.
            if not flight.done:
                self._failed(error, begun)
                flight.land(error)

    def _succeeded(self, wish: Wish, snapshot: Snapshot) -> None:
        now = Instant.now(self._clock)
        with self._lock:
            # A key may have been denied while this was under way.
            snapshot = replace(snapshot, key_set=snapshot.key_set.without(self._denied))
            before, self.snapshot = self.snapshot, snapshot
            recovered, self.attempts = self._backoff.succeeded(), Attempts()
            self.last_error = self._flight = None
            if before is None or before.generation != snapshot.generation:
                self._budget.forget_absent()
            self._timer.set(max(0.0, snapshot.refresh_after() - snapshot.fetched.age(now)))
        self.report.succeeded(before, snapshot, recovered)
        if wish.why == "unknown_kid" and wish.alg:
            self.report.looked_for(wish.kid, found=bool(snapshot.key_set.candidates(wish.kid, wish.alg)))

    def _suppressed_by_others(self) -> None:
        """Other workers have spent the budget that we share; what is left of our own counts no more."""
        now = Instant.now(self._clock)
        with self._lock:
            self._flight = None
            self._budget.drain(now.monotonic)
            self._suppress(now)

    def _failed(self, error: ProviderError, begun: Instant) -> None:
        with self._lock:
            self._flight = None
            self._count_failure(error, begun)
            self._origin.failed(error, self.attempts.failures)

    def _count_failure(self, error: ProviderError, begun: Instant) -> None:
        """Remember a failed attempt and plan the next one. The lock is held."""
        snapshot, now = self.snapshot, Instant.now(self._clock)
        past = snapshot is not None and snapshot.fetched.age(begun) >= snapshot.lifetime.max_stale
        delay = self._backoff.failed(error, now, cold=snapshot is None)
        self.attempts = Attempts(self._backoff.failures, self.attempts.failed_past_max_stale or past)
        self.last_error = error
        self._timer.set(delay)
        self.report.failed(snapshot, error, self.attempts.failures, delay)
        if snapshot is not None:
            self._stands_at(self.state(now), snapshot, now)

    def _stands_at(self, state: State, snapshot: Snapshot, now: Instant) -> None:
        self.report.stands_at(state, max(0.0, snapshot.lifetime.max_stale - snapshot.fetched.age(now)))

    def _ring(self, number: int) -> None:
        """The timer rings: refresh without anybody asking, unless nobody has used the keys for long."""
        now = Instant.now(self._clock)
        with self._lock:
            if number != self._timer.number or now.monotonic - self._used >= _IDLE_AFTER:
                return
            if number != self._trailing:
                self._fly()
            elif self._take(now):
                self._fly(Wish("unknown_kid"))
            else:
                self._trailing = self._timer.set(self._next_take(now))  # rung a moment too early

    def start_anew_in_child(self) -> None:
        """After a fork: the keys stay, what was under way in the parent is the parent's."""
        if self._lock.locked():  # in the middle of a change that nobody will end
            self._budget = UnknownKidBudget(self._options, self._clock.monotonic())
        self._lock = threading.Lock()
        self._flight = None
