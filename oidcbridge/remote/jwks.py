"""RemoteKeySet: a local key set plus freshness. What a request does with it: use, wait for a fetch, or refuse.

The rules are those of `oidcbridge.core.freshness`; what goes on behind them is in `oidcbridge.remote.upkeep`.
"""

from __future__ import annotations

import math

from oidcbridge.core.freshness import Instant, State, is_conclusive
from oidcbridge.core.keys import KeySet
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError, RevokedTokenError
from oidcbridge.remote.flight import Flight
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.remote.upkeep import Upkeep
from oidcbridge.remote.wish import RENEW, Wish


class RemoteKeySet(Upkeep):
    """The keys of one issuer. Every method may be called from any thread and never blocks on the network."""

    def usable(self, now: float) -> KeySet | None:
        """The current set, where known keys may be used without asking anybody: while it is FRESH.

        ``now`` is the wall clock's second. Asked for each request, so the other two clocks are read here.
        """
        snapshot, clock = self.snapshot, self._clock
        if snapshot is None:
            return None
        wall, monotonic, boot = snapshot.fresh_until
        self._used = since_start = clock.monotonic()
        if now < wall and since_start < monotonic and clock.boottime() < boot:
            return snapshot.key_set
        return None

    def for_remembered(self, now: float) -> KeySet | None:
        """The current set for a token that it has verified before: also while it is old and cannot be renewed.

        As for any known key, a refresh begins where one is due.
        """
        key_set = self.usable(now)
        if key_set is not None:
            return key_set
        instant = Instant.now(self._clock)
        with self._lock:
            snapshot, state = self.snapshot, self.state(instant)
            if snapshot is None or state not in (State.STALE, State.DEGRADED):
                return None
            self._fly_unless_cooling(instant)
            return self._serve_stale(snapshot, state, instant)

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
            return self._spend(Wish("unknown_kid", kid, alg), now, wait=wait)

    def _for_known_key(self, snapshot: Snapshot, state: State, now: Instant, *, wait: bool) -> KeySet | Flight:
        if state is State.FRESH:
            return snapshot.key_set
        if state is State.DEAD:  # joins, not just 503: after an idle hour no timer runs that would ever ask again
            self._stands_at(state, snapshot, now)
            return self._join(now, wait=wait)
        if state is State.EXPIRED:
            if wait:
                return self._join(now, wait=True)
            self._fly_unless_cooling(now)
            if snapshot.fetched.age(now) >= snapshot.lifetime.max_stale:
                raise self._unavailable("the key set is too old and still being fetched", now)
        else:
            self._fly_unless_cooling(now)
        return self._serve_stale(snapshot, state, now)

    def _serve_stale(self, snapshot: Snapshot, state: State, now: Instant) -> KeySet:
        self._stands_at(state, snapshot, now)
        self.report.counts["stale_served"] += 1
        return snapshot.key_set

    def _refuse_if_absent(self, snapshot: Snapshot, name: str, iat: object, mark: int, now: Instant) -> None:
        """Steps 2 and 3 of the unknown-kid decision; raises where no fetch is needed."""
        is_absent = snapshot.number > mark
        if is_absent:
            self._budget.remember_absent(name, now.monotonic)
        elif self._budget.is_absent(name, now.monotonic) or is_conclusive(iat, snapshot.vouched_until(now)):
            self.report.counts["negative_hits"] += 1
            is_absent = True
        if is_absent:
            raise KeyNotFoundError(f"{name[:300]!a} is not among the keys of {self.name}")

    def _spend(self, wish: Wish, now: Instant, *, wait: bool) -> Flight:
        """Steps 4 to 6: join what flies, or spend a fetch of the budget; without one, refresh at the next refill.

        After a failure the backoff is the budget, and a 401 would blame the token for the outage: 503 then.
        """
        if self._flight is None and self.attempts.failures and now.monotonic < self._trailing_due:
            raise self._unavailable("the key is unknown, and others have spent the budget for looking again", now)
        if self._flight is None and not self.attempts.failures and not self._take(now):
            self._suppress(now)
            self.report.counts["suppressed"] += 1
            message = "the key is unknown, and the budget for looking again is spent for now"
            if self._options.on_suppressed == "503":
                raise KeysUnavailableError(message, retry_after=math.ceil(self._next_take(now)) or 1)
            raise KeyNotFoundError(message)
        return self._join(now, wait=wait, wish=wish)

    def _join(self, now: Instant, *, wait: bool, wish: Wish = RENEW) -> Flight:
        flight = self._flight
        if flight is None:
            flight = self._look_into_store(now) if self._backoff.is_running(now) else self._fly(wish)
        if flight is None:
            raise self._unavailable("the keys are missing, and the provider cannot be asked now", now)
        if not wait:
            raise self._unavailable("the keys are being fetched", now)
        return flight

    def suspect(self, mark: int) -> Flight | None:
        """A known key did not verify a signature: was its kid given to new material? Rarely worth a fetch.

        Joining one that is under way costs nothing. None: what is there now is all there is to know.
        """
        now = Instant.now(self._clock)
        with self._lock:
            if self._flight is not None:
                return self._flight
            snapshot = self.snapshot
            if snapshot is None or snapshot.number > mark or snapshot.fetched.age(now) < self._options.suspect_age:
                return None
            if self._backoff.is_running(now) or not self._budget.is_full(now.monotonic) or not self._take(now):
                return None
            return self._fly(Wish("bad_signature"))

    def _unavailable(self, message: str, now: Instant) -> KeysUnavailableError:
        cause = f" ({self.last_error})" if self.last_error else ""
        return KeysUnavailableError(f"{self.name}: {message}{cause}", retry_after=self.next_try_in(now))
