"""Report: what happens to one issuer's keys, told to the log and to the observer once for each change, and counted."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Iterable

from cachetools import LRUCache

from oidcbridge.core.events import Event, EventName
from oidcbridge.core.freshness import State
from oidcbridge.core.policy import Clock
from oidcbridge.errors import DiscoveryError, KeyStoreError, ProviderError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.observation import Observation
from oidcbridge.remote.snapshot import Snapshot

logger = logging.getLogger("oidcbridge.keys")

_MAX_KID_CHARS = 64
_NUMBER = re.compile(r"\d+")
_MAX_TROUBLES = 64
_TROUBLE_LASTS = 15.0  # seconds: more than a store rests after a failure, and than one attempt takes


class Report:
    """Tells and counts. ``counts`` are totals since the start.

    Its methods run the user's log handlers, so no lock is held where they are called; but for `moves_to`.
    """

    def __init__(self, issuer: str, clock: Clock, observation: Observation | None) -> None:
        self.counts: Counter[str] = Counter()
        self.fetch_seconds = 0.0
        self._issuer = issuer
        self._clock = clock
        self._observation = observation
        self._state = State.EMPTY
        self._store_troubles: LRUCache[str, bool] = LRUCache(_MAX_TROUBLES)
        self._troubled = -math.inf

    def event(self, name: EventName, **details: object) -> None:
        """Tell the observer, if there is one."""
        if self._observation is not None:
            self._observation.tell(Event(name, self._issuer, self._clock.time(), details))

    def succeeded(self, before: Snapshot | None, after: Snapshot, failures: int) -> None:
        """New keys are in use; ``failures`` attempts went before."""
        if self._clock.monotonic() - self._troubled > _TROUBLE_LASTS:
            self._store_troubles.clear()  # the store was asked since, and all was well: the next trouble is news
        if failures:
            logger.info("%s: keys can be fetched again after %d failures", self._issuer, failures)
            self.event("recovered", failures=failures)
        self._skipped(before, after)
        if before is not None and before.generation == after.generation:
            return
        old = {str(key.kid) for key in before.key_set.keys} if before else set()
        new = {str(key.kid) for key in after.key_set.keys}
        added, gone = _shown(new - old), _shown(old - new)
        logger.info("%s: %d keys, new %a, gone %a", self._issuer, len(new), added, gone)
        if added:
            self.event("keys_added", kids=added)
        if gone:
            self.event("keys_removed", kids=gone)

    def _skipped(self, before: Snapshot | None, after: Snapshot) -> None:
        """What is not used is told once, also where it appears beside keys that have not changed."""
        known = before.key_set.skipped if before else ()
        for key in after.key_set.skipped:
            if key in known:
                continue
            kid = (key.kid or "")[:_MAX_KID_CHARS]
            level = logging.CRITICAL if key.private else logging.INFO
            logger.log(level, "%s: key %a of its key set is not used: %s", self._issuer, kid, key.reason)
            if key.private:
                self.event("private_key_published", kid=kid)
            self.event("key_skipped", kid=kid, reason=key.reason)

    def fetched(self, seconds: float, *, not_modified: bool) -> None:
        """The provider has answered well, after ``seconds``."""
        self.counts["not_modified" if not_modified else "fetched"] += 1
        self.fetch_seconds += seconds
        self.event("fetch_succeeded", not_modified=not_modified, seconds=seconds)

    def failed(self, kept: Snapshot | None, error: ProviderError, failures: int, next_try_in: float) -> None:
        """An attempt failed, the ``failures``-th in a row; the log hears of the first, and which keys go on."""
        self.counts["failed"] += 1
        self.event("fetch_failed", kind=_kind(error), failures=failures, next_try_in=next_try_in)
        if failures > 1:
            return
        then = f"known keys go on for up to {kept.lifetime.max_stale:.0f} s" if kept else "there are no keys yet"
        # What is wrong with discovery has been logged by `RemoteMetadata` in full, once for each fault.
        why = "discovery failed" if isinstance(error, DiscoveryError) else str(error)
        logger.warning("%s: fetching keys failed, %s: %s", self._issuer, then, why)

    def moves_to(self, state: State) -> bool:
        """Whether this is news. Its owner's lock is held, so one caller alone hears that it is."""
        is_new, self._state = state is not self._state, state
        return is_new

    def stands_at(self, state: State, budget_left: float) -> None:
        """The keys have moved to ``state`` (`moves_to`)."""
        if state is State.DEGRADED:
            logger.warning("%s: old keys are in use, for %.0f s more", self._issuer, budget_left)
            self.event("serving_stale", budget_left=budget_left)
        elif state is State.DEAD:
            logger.error("%s: the keys are too old to be used; requests get 503 until there are new ones", self._issuer)
            self.event("dead")

    def suppressed(self, next_try_in: float) -> None:
        """The budget for unknown keys is spent: told once until it is refilled."""
        logger.warning("%s: too many unknown keys asked for; the next look is due at the refill", self._issuer)
        self.event("refresh_suppressed", next_try_in=next_try_in)

    def looked_for(self, kid: str | None, *, found: bool) -> None:
        """An unknown key was looked for at the provider."""
        shown = (kid or "")[:_MAX_KID_CHARS]
        self.event("unknown_kid", kid=shown, result="found" if found else "absent")

    def denied(self, kid: str) -> None:
        """A key was denied by the operator, which the verifier logs."""
        self.event("key_denied", kid=kid[:_MAX_KID_CHARS])

    def moved(self, jwks_uri: str) -> None:
        """The issuer's metadata name another place for its keys."""
        logger.warning("%s: its keys are at %s now", self._issuer, jwks_uri)
        self.event("discovery_changed", jwks_uri=jwks_uri)

    def loaded(self, age: float) -> None:
        """Keys of ``age`` seconds came from the store."""
        self.counts["adopted"] += 1
        logger.debug("%s: keys of %.0f s ago came from the key store", self._issuer, age)
        self.event("store_loaded", age=age)

    def store_trouble(self, error: KeyStoreError) -> None:
        """The store cannot be used, or what lies there: each trouble is told once while it lasts."""
        self._troubled = self._clock.monotonic()
        trouble = _NUMBER.sub("", str(error))  # an age grows from one look to the next
        if trouble in self._store_troubles:
            return
        self._store_troubles[trouble] = True
        logger.warning("%s: key store: %s", self._issuer, error)
        self.event("store_ignored" if error.ignored else "store_failed", reason=str(error))


def _shown(kids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(kid[:_MAX_KID_CHARS] for kid in kids))


def _kind(error: ProviderError) -> str:
    """A stable word: what the fetch says of itself, also where discovery failed of it."""
    cause = error.__cause__ if isinstance(error.__cause__, FetchError) else error
    return cause.kind if isinstance(cause, FetchError) else cause.code
