"""TenantKeySet: the keys of an issuer that came by a rule, and may leave again."""

from __future__ import annotations

from oidcbridge.core.freshness import Instant
from oidcbridge.core.keys import DeniedKeys, KeySet
from oidcbridge.issuers.admission import Question
from oidcbridge.remote.jwks import RemoteKeySet


class TenantKeySet(RemoteKeySet):
    """A remote key set that does no work by itself until a token of its issuer was good, and ends when it leaves."""

    is_trusted = False
    """Whether a token of this issuer was ever good: only then keys are refreshed ahead, retried and shared."""
    retired = False
    used = 0.0
    """When a token of it was last good, in seconds since boot: forged ones keep nobody's place."""
    decided = 0.0
    """When the rule was last asked about the issuer, in monotonic seconds."""
    allowed = 0.0
    """When the rule last let the issuer in, in monotonic seconds."""
    is_asked_about = False
    """Whether the rule is a function, which may change its mind."""
    question: Question | None = None
    """What it is being asked now."""

    def usable(self, now: float) -> KeySet | None:
        """As of any key set; None once it has left, so that tokens verified before are verified anew."""
        return None if self.retired else super().usable(now)

    def for_remembered(self, now: float) -> KeySet | None:
        """As of any key set; None once it has left, or where it is time to ask the rule again."""
        if self.retired or self._is_doubtful():
            return None
        self.used = self._clock.boottime()
        return super().for_remembered(now)

    def _is_doubtful(self) -> bool:
        if not self.is_asked_about:
            return False
        now = self._clock.monotonic()
        return now - self.decided >= self._options.max_age or self.is_past_its_leave(now)

    def is_past_its_leave(self, now: float) -> bool:
        """Whether the rule has not said yes for as long as keys may go on. ``now`` is in monotonic seconds."""
        return now - self.allowed >= max(self._options.max_stale, self._options.max_age)

    def would_ask(self) -> bool:
        """Whether the next request for it asks a provider that has never given it any keys."""
        is_waiting = self._flight is not None or self._backoff.is_running(Instant.now(self._clock))
        return self.snapshot is None and self.attempts.failures > 0 and not is_waiting

    def start_anew_in_child(self) -> None:
        """After a fork: who was being asked is the parent's."""
        super().start_anew_in_child()
        self.question = None

    def retire(self) -> DeniedKeys:
        """Leave: no timer, no keys, no cached token. Returns the denied keys, which must not come back with it.

        A request that is under way with it ends as it would have.
        """
        self.retired = True
        self.pause()
        with self._lock:
            self.snapshot = None
        return self._denied

    def adopt(self, denied: DeniedKeys) -> None:
        """Begin with keys that were denied before."""
        self._denied = denied

    def _is_in_use(self, now: Instant) -> bool:
        return self.is_trusted and not self.retired and super()._is_in_use(now)
