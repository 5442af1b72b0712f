"""Backoff: how many attempts failed in a row, and when the next one is due."""

from __future__ import annotations

import math
from random import SystemRandom

from oidcbridge.core.freshness import MAX_RETRY_AFTER, Instant, retry_delay
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import DiscoveryError, ProviderError
from oidcbridge.remote.fetch_error import FetchError

_COLD_MAX = 15.0
_random = SystemRandom()


class Backoff:
    """The pause after failed attempts. All times are in seconds; its owner keeps threads apart."""

    def __init__(self, options: FetchOptions) -> None:
        self.failures = 0
        self._longest = options.backoff_max
        self._due = 0.0

    def failed(self, error: ProviderError, now: Instant, *, cold: bool) -> float:
        """One more attempt failed; returns how long to wait, which is longer where the provider asks for it.

        ``cold``: nothing was ever had, so everybody waits for it, and the pauses stay short.
        """
        self.failures += 1
        ceiling = min(_COLD_MAX, self._longest) if cold else self._longest
        delay = retry_delay(self.failures, _retry_after(error), now.wall, _random.random(), ceiling)
        self._due = now.monotonic + delay
        return delay

    def succeeded(self) -> int:
        """An attempt went well; returns how many failed before it."""
        before, self.failures = self.failures, 0
        return before

    def is_running(self, now: Instant) -> bool:
        """Whether the last attempt failed and its pause still runs."""
        return self.failures > 0 and now.monotonic < self._due

    def seconds_left(self, now: Instant) -> int:
        """Whole seconds until the next attempt is due, at least 1."""
        return max(1, math.ceil(min(self._due - now.monotonic, MAX_RETRY_AFTER)))


def _retry_after(error: ProviderError) -> str | None:
    cause = error.__cause__ if isinstance(error, DiscoveryError) else error
    return cause.retry_after_header if isinstance(cause, FetchError) else None
