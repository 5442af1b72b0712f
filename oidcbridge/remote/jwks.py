"""RemoteKeySet: a local key set plus freshness. Single flight, budget, stale while the provider is down.

Readers take no lock: the snapshot is immutable and replaced by one assignment. What to do with a request is decided by
`oidcbridge.core.freshness`; this module keeps the state, starts fetches and remembers what became of them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from dataclasses import replace

from oidcbridge.core.freshness import (
    Attempts,
    Instant,
    State,
    UnknownKidBudget,
    is_conclusive,
    state_of,
)
from oidcbridge.core.keys import DeniedKeys, KeySet
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError, ProviderError, RevokedTokenError
from oidcbridge.remote.backoff import Backoff
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.flight import Flight
from oidcbridge.remote.http import FetchError
from oidcbridge.remote.refresher import CANNOT_START, Timer, refresher, start_anew_after_fork
from oidcbridge.remote.snapshot import Snapshot, fetch_snapshot, report_failure, report_success

logger = logging.getLogger("oidcbridge.keys")

_IDLE_AFTER = 15 * 60.0
_SUSPECT_AGE = 60.0


class RemoteKeySet:
    """The keys of one issuer. Every method may be called from any thread and never blocks on the network."""

    def __init__(
        self, name: str, options: FetchOptions, clock: Clock, *, jwks_uri: str | None, metadata: RemoteMetadata
    ) -> None:
        self.name = name
        self.snapshot: Snapshot | None = None
        self.last_error: ProviderError | None = None
        self._options = options
        self._clock = clock
        self._jwks_uri = jwks_uri
        self._metadata = metadata
        self._budget = UnknownKidBudget(options, clock.monotonic())
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

    def mark(self) -> int:
        """A request's place in the order of fetches: only a fetch that begins after it can prove a key absent."""
        return self._started

    def state(self, now: Instant) -> State:
        """Where the set stands at ``now``."""
        snapshot = self.snapshot
        if snapshot is None:
            return State.EMPTY
        return state_of(snapshot.fetched.age(now), snapshot.lifetime, self.attempts)

    def usable(self) -> KeySet | None:
        """The current set, where known keys may be used without asking anybody."""
        snapshot, now = self.snapshot, Instant.now(self._clock)
        if snapshot is None:
            return None
        if snapshot.fetched.age(now) < snapshot.lifetime.soft:
            self._used = now.monotonic
            return snapshot.key_set
        return None

    def lookup(self, kid: str | None, alg: str, iat: object, mark: int, *, wait: bool = True) -> KeySet | Flight:
        """The set to verify with, or the flight to wait for before asking again with the same ``mark``.

        ``wait`` False: never a flight; what would have to be waited for is started, and refused for now.
        Raises `KeyNotFoundError`, `RevokedTokenError` or `KeysUnavailableError`.
        """
        if kid in self._denied.kids:
            raise RevokedTokenError(f"the key {kid!a} has been denied by deny_key")
        now = Instant.now(self._clock)
        self._used = now.monotonic
        with self._lock:
            snapshot, state = self.snapshot, self.state(now)
            if snapshot is not None and snapshot.key_set.candidates(kid, alg):
                return self._for_known_key(snapshot, state, now, wait=wait)
            if snapshot is None or state in (State.EXPIRED, State.DEAD):
                return self._join(now, wait=wait)
            self._refuse_if_absent(snapshot, f"{alg}:{kid}", iat, mark, now)
            return self._spend(now, wait=wait)

    def _for_known_key(self, snapshot: Snapshot, state: State, now: Instant, *, wait: bool) -> KeySet | Flight:
        if state is State.FRESH:
            return snapshot.key_set
        if state is State.DEAD:  # joins, not just 503: after an idle hour no timer runs that would ever ask again
            return self._join(now, wait=wait)
        if state is State.EXPIRED:
            if wait:
                return self._join(now, wait=True)
            self._fly_unless_cooling(now)
            if snapshot.fetched.age(now) >= snapshot.lifetime.max_stale:
                raise self._unavailable("the key set is too old and still being fetched", now)
            return snapshot.key_set
        self._fly_unless_cooling(now)
        return snapshot.key_set

    def _refuse_if_absent(self, snapshot: Snapshot, name: str, iat: object, mark: int, now: Instant) -> None:
        """Steps 2 to 4 of the unknown-kid decision; raises where no fetch is needed, or none is allowed now."""
        if snapshot.number > mark:
            self._budget.remember_absent(name, now.monotonic)
        if self._budget.is_absent(name, now.monotonic) or is_conclusive(iat, snapshot.vouched_until(now)):
            raise KeyNotFoundError(f"{name[:300]!a} is not among the keys of {self.name}")
        if self._backoff.is_running(now):
            raise self._unavailable("the key is unknown and the provider cannot be asked", now)

    def _spend(self, now: Instant, *, wait: bool) -> Flight:
        """Steps 5 and 6: join what flies, or spend a fetch of the budget; without one, refresh at the next refill.

        After a failure the backoff is the budget: with the bucket empty, a 401 would blame the token for the outage.
        """
        if self._flight is None and not self.attempts.failures and not self._budget.take(now.monotonic):
            if self._trailing != self._timer.number:  # once, however many ask
                logger.warning("%s: too many unknown keys asked for; the next look is due at the refill", self.name)
                self._arm_trailing(now)
            raise KeyNotFoundError("the key is unknown, and the budget for looking again is spent for now")
        return self._join(now, wait=wait)

    def _join(self, now: Instant, *, wait: bool) -> Flight:
        if self._flight is None and self._backoff.is_running(now):
            raise self._unavailable("the provider cannot be reached", now)
        flight = self._fly()
        if not wait:
            raise self._unavailable("the keys are being fetched", now)
        return flight

    def deny(self, kid: str) -> None:
        """Use the key of this name no more, whatever the provider says; what was verified with it is void."""
        with self._lock:
            self._denied = self._denied.and_kid(kid)
            if self.snapshot is not None:
                self._denied = self._denied.as_seen_in(self.snapshot.key_set)
                key_set = self.snapshot.key_set.without(self._denied)
                self.snapshot = replace(self.snapshot, key_set=key_set)

    def suspect(self, mark: int) -> Flight | None:
        """A known key did not verify a signature: was its kid given to new material? Rarely worth a fetch.

        Joining one that is under way costs nothing. None: what is there now is all there is to know.
        """
        now = Instant.now(self._clock)
        with self._lock:
            if self._flight is not None:
                return self._flight
            snapshot = self.snapshot
            if snapshot is None or snapshot.number > mark or snapshot.fetched.age(now) < _SUSPECT_AGE:
                return None
            if self._backoff.is_running(now) or not self._budget.is_full(now.monotonic):
                return None
            self._budget.take(now.monotonic)
            return self._fly()

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
            return self._fly()

    def pause(self) -> None:
        """Stop the timer, also the one that a fetch under way would set; the next use starts it again."""
        with self._lock:
            self._timer.cancel()
            self._used = -math.inf

    def next_try_in(self, now: Instant) -> int:
        """Whole seconds until the provider is asked again, at least 1."""
        return self._backoff.seconds_left(now)

    def _unavailable(self, message: str, now: Instant) -> KeysUnavailableError:
        cause = f" ({self.last_error})" if self.last_error else ""
        return KeysUnavailableError(f"{self.name}: {message}{cause}", retry_after=self.next_try_in(now))

    def _fly_unless_cooling(self, now: Instant) -> None:
        if not self._backoff.is_running(now):
            self._fly()

    def _fly(self) -> Flight:
        """The fetch under way, or a new one: it has landed where none could be started. The lock is held."""
        if self._flight is not None:
            return self._flight
        self._started += 1
        flight, number = Flight(), self._started
        self._flight = flight
        try:
            refresher().run(lambda: self._fetch(flight, number))
        except CANNOT_START as reason:
            self._flight = None
            error = KeysUnavailableError(f"the fetch could not be started: {reason}")
            self._count_failure(error, Instant.now(self._clock))
            flight.land(error)
        return flight

    async def _fetch(self, flight: Flight, number: int) -> None:
        begun = Instant.now(self._clock)
        error: ProviderError = KeysUnavailableError("the fetch was broken off")
        try:
            url = self._jwks_uri or (await self._metadata.get()).jwks_uri or ""
            snapshot = await fetch_snapshot(
                url, self._options, begun, number=number, before=self.snapshot, denied=self._denied
            )
        except ProviderError as failure:
            error = failure
        except asyncio.CancelledError:  # the refresher was stopped, which says nothing about the provider
            self._flight = None
            flight.land(error)
            raise
        else:
            self._succeeded(snapshot)
            flight.land(None)
        finally:
            # Also where something unforeseen comes through: nobody waits for ever, and the loop logs it.
            if not flight.done:
                self._failed(error, begun)
                flight.land(error)

    def _succeeded(self, snapshot: Snapshot) -> None:
        with self._lock:
            # A key may have been denied while this was under way.
            snapshot = replace(snapshot, key_set=snapshot.key_set.without(self._denied))
            before, self.snapshot = self.snapshot, snapshot
            recovered, self.attempts = self._backoff.succeeded(), Attempts()
            self.last_error = self._flight = None
            if before is None or before.generation != snapshot.generation:
                self._budget.forget_absent()
            self._timer.set(snapshot.refresh_after())
        report_success(self.name, before, snapshot, recovered)

    def _failed(self, error: ProviderError, begun: Instant) -> None:
        gone = isinstance(error, FetchError) and error.status in (404, 410)
        with self._lock:
            self._flight = None
            self._count_failure(error, begun)
            if gone or self.attempts.failures >= 2:
                self._metadata.invalidate()

    def _count_failure(self, error: ProviderError, begun: Instant) -> None:
        """Remember a failed attempt and plan the next one. The lock is held."""
        snapshot = self.snapshot
        past = snapshot is not None and snapshot.fetched.age(begun) >= snapshot.lifetime.max_stale
        delay = self._backoff.failed(error, Instant.now(self._clock), cold=snapshot is None)
        self.attempts = Attempts(self._backoff.failures, self.attempts.failed_past_max_stale or past)
        self.last_error = error
        self._timer.set(delay)
        if self.attempts.failures == 1:
            report_failure(self.name, snapshot, error)

    def _arm_trailing(self, now: Instant) -> None:
        """Refresh at the next refill: a real rotation is seen then, though nobody asks again."""
        self._trailing = self._timer.set(self._budget.next_refill(now.monotonic))

    def _ring(self, number: int) -> None:
        """The timer rings: refresh without anybody asking, unless nobody has used the keys for long."""
        now = Instant.now(self._clock)
        with self._lock:
            if number != self._timer.number or now.monotonic - self._used >= _IDLE_AFTER:
                return
            if number == self._trailing and not self._budget.take(now.monotonic):
                self._arm_trailing(now)  # rung a moment too early
            else:
                self._fly()

    def start_anew_in_child(self) -> None:
        """After a fork: the keys stay, what was under way in the parent is the parent's."""
        if self._lock.locked():  # in the middle of a change that nobody will end
            self._budget = UnknownKidBudget(self._options, self._clock.monotonic())
        self._lock = threading.Lock()
        self._flight = None
