"""How old a key set may be, and what a request does with it: pure decisions, no clock, no lock, no IO.

Rule 1: age never shrinks. It is the largest of three clocks' differences, so a suspended machine or a clock that was
set back cannot make keys look younger.

Rule 2: a failed fetch removes nothing. Known keys go on until ``max_stale``; then 503, never 401.

Rule 3: what a stranger can trigger has a budget; what an honest rotation needs fits into it.

========  ============================================  ======================  ==================
state     when                                          a known kid             an unknown kid
========  ============================================  ======================  ==================
EMPTY     there never was a set                         waits                   waits
FRESH     age < soft                                    is served               `UnknownKidBudget`
STALE     soft <= age < hard                            is served, refresh      `UnknownKidBudget`
EXPIRED   age >= hard, nothing failed past max_stale    waits, then served      waits
                                                        while age < max_stale
DEGRADED  age >= soft, last attempt failed,             is served               503
          age < max_stale
DEAD      age >= max_stale, an attempt past it failed   503                     503
========  ============================================  ======================  ==================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import NamedTuple

from cachetools import LRUCache

from oidcbridge.core.policy import Clock, FetchOptions

IAT_TOLERANCE = 900.0  # Entra backdates iat by five minutes
MAX_RETRY_AFTER = 300.0
MAX_NEGATIVE_KIDS = 1024
MAX_STRANGERS_FETCHES = 20
STRANGERS_WINDOW = 10.0


class Instant(NamedTuple):
    """One moment on three clocks, in seconds."""

    wall: float
    monotonic: float
    boot: float

    @classmethod
    def now(cls, clock: Clock) -> Instant:
        """Read all three clocks."""
        return cls(clock.time(), clock.monotonic(), clock.boottime())

    def age(self, now: Instant) -> float:
        """Seconds from here to ``now``: the largest of the three differences, never negative."""
        return max(now.monotonic - self.monotonic, now.boot - self.boot, now.wall - self.wall, 0.0)


class State(Enum):
    """The states of the table above."""

    EMPTY = "empty"
    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"
    DEGRADED = "degraded"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long one answer is good for, in seconds."""

    soft: float
    hard: float
    max_stale: float

    @classmethod
    def of(cls, soft: float, options: FetchOptions) -> Lifetime:
        """``hard`` is twice ``soft`` or ``hard_age``: an idle process revalidates, a busy one never waits."""
        return cls(soft, min(max(2 * soft, options.hard_age), max(options.max_stale, soft)), options.max_stale)


class Attempts(NamedTuple):
    """What became of the fetches since the last success."""

    failures: int = 0
    failed_past_max_stale: bool = False


def state_of(age: float | None, lifetime: Lifetime, attempts: Attempts) -> State:
    """The state of a set of ``age`` seconds; None where there is none."""
    if age is None:
        return State.EMPTY
    if age < lifetime.soft:
        return State.FRESH
    if age >= lifetime.max_stale:
        return State.DEAD if attempts.failed_past_max_stale else State.EXPIRED
    if attempts.failures:
        return State.DEGRADED
    return State.STALE if age < lifetime.hard else State.EXPIRED


def soft_lifetime(headers: Mapping[str, str], options: FetchOptions) -> float:
    """Seconds an answer is fresh (RFC 9111 sections 4.2.1 and 5.2.2), clamped to the options' bounds.

    ``headers`` have lower-case names. ``no-cache`` and its kind mean the lower bound, not "fetch every time".
    """
    said = _said_lifetime(headers)
    if said is None:
        return options.max_age
    return min(max(said, options.min_max_age), options.max_max_age)


def _said_lifetime(headers: Mapping[str, str]) -> float | None:
    parts = [part.partition("=") for part in headers.get("cache-control", "").split(",")]
    # Backwards: of a directive that stands twice the first counts (RFC 9111 section 4.2.1).
    directives = {name.strip().lower(): value.strip().strip('"') for name, _, value in reversed(parts)}
    if not directives.keys().isdisjoint({"no-cache", "no-store"}):
        return 0.0
    if "max-age" in directives:
        max_age = _seconds(directives["max-age"])
        return None if max_age is None else max_age - answer_age(headers)
    if "expires" not in headers:
        return None
    date, expires = _http_date(headers.get("date", "")), _http_date(headers["expires"])
    if expires is None:
        return 0.0  # "0" and whatever else is no date has expired already (RFC 9111 section 5.3)
    return None if date is None else expires - date - answer_age(headers)


def answer_age(headers: Mapping[str, str]) -> float:
    """Seconds an answer spent in caches before it reached us (RFC 9111 section 5.1)."""
    return _seconds(headers.get("age", "")) or 0.0


def _seconds(text: str) -> float | None:
    """Delta-seconds: digits only, and more than 2^31 counts as that (RFC 9111 section 1.2.2)."""
    return min(float(text), 2.0**31) if text.isascii() and text.isdigit() else None


def _http_date(text: str) -> float | None:
    """Seconds since the epoch, or None for what is no date (RFC 9110 section 5.6.7). No zone means UTC."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def retry_delay(failures: int, retry_after: str | None, now_wall: float, jitter: float, ceiling: float) -> float:
    """Seconds to wait after the ``failures``-th failure in a row: doubling from one second, full jitter.

    ``jitter`` is uniform in [0, 1). A ``Retry-After`` (RFC 9110 section 10.2.3, seconds or a date) stands where it is
    longer, up to five minutes.
    """
    # Never quite zero: a retry at once would be a loop.
    backoff = max(0.1, jitter * min(2.0 ** min(failures - 1, 16), ceiling))
    return max(backoff, min(_retry_after_seconds(retry_after, now_wall), MAX_RETRY_AFTER))


def _retry_after_seconds(text: str | None, now_wall: float) -> float:
    if text is None:
        return 0.0
    seconds = _seconds(text.strip())
    if seconds is not None:
        return seconds
    date = _http_date(text)
    return 0.0 if date is None else date - now_wall


def is_conclusive(iat: object, as_of: float) -> bool:
    """Whether a key that signed at ``iat`` must be in a set of the second ``as_of``: its absence then decides."""
    return isinstance(iat, int | float) and iat < as_of - IAT_TOLERANCE


class UnknownKidBudget:
    """What unknown ``kid`` values may cost: a bucket of fetches, and a memory of those that were looked for in vain.

    Not thread-safe; its owner holds a lock. All times are monotonic seconds.
    """

    def __init__(self, options: FetchOptions, now: float) -> None:
        self._burst = float(options.unknown_kid_burst)
        self._interval = options.unknown_kid_interval
        self._ttl = options.negative_kid_ttl
        self._tokens = self._burst
        self._filled_at = now
        self._absent: LRUCache[str, float] = LRUCache(maxsize=MAX_NEGATIVE_KIDS)

    def _refill(self, now: float) -> None:
        if now > self._filled_at:  # threads may read the clock in one order and come here in another
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) / self._interval)
            self._filled_at = now

    def take(self, now: float) -> bool:
        """Spend one fetch, if there is one."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def drain(self, now: float) -> None:
        """Others who share the budget have spent it."""
        self._refill(now)
        self._tokens = 0.0

    def is_full(self, now: float) -> bool:
        """Whether nothing has been spent lately."""
        self._refill(now)
        return self._tokens >= self._burst

    def next_refill(self, now: float) -> float:
        """Seconds until the next fetch may be spent; 0 where one may be now."""
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) * self._interval)

    def remember_absent(self, kid: str, now: float) -> None:
        """The provider answered, and ``kid`` was not in it."""
        self._absent[kid] = now + self._ttl

    def is_absent(self, kid: str, now: float) -> bool:
        """Whether the provider said so a moment ago."""
        return self._absent.get(kid, 0.0) > now

    def forget_absent(self) -> None:
        """The set has changed: every kid may be looked for again."""
        self._absent.clear()


class ProcessBudget:
    """What strangers may cost all issuers together: 20 fetches in any 10 seconds.

    Half of it is for issuers that have had none of it yet, so that a flood on some leaves others their rotations. Not
    thread-safe; its owner holds a lock. All times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._spent: deque[tuple[float, str]] = deque(maxlen=MAX_STRANGERS_FETCHES)

    def take(self, issuer: str, now: float) -> bool:
        """Spend one fetch for ``issuer``, if there is one."""
        if self.next_slot(issuer, now) > 0.0:
            return False
        self._spent.append((now, issuer))
        return True

    def give_back(self, issuer: str) -> None:
        """The last one that ``issuer`` has taken was not needed."""
        for place in range(len(self._spent) - 1, -1, -1):
            if self._spent[place][1] == issuer:
                del self._spent[place]
                return

    def next_slot(self, issuer: str, now: float) -> float:
        """Seconds until ``issuer`` may spend one; 0 where it may now."""
        while self._spent and now - self._spent[0][0] >= STRANGERS_WINDOW:
            self._spent.popleft()
        has_had_some = any(name == issuer for _, name in self._spent)
        limit = MAX_STRANGERS_FETCHES // 2 if has_had_some else MAX_STRANGERS_FETCHES
        if len(self._spent) < limit:
            return 0.0
        return self._spent[len(self._spent) - limit][0] + STRANGERS_WINDOW - now
