"""TenantKeySet: the keys of an issuer that came by a rule, and may leave again."""

from __future__ import annotations

from oidcbridge.core.freshness import Instant
from oidcbridge.core.keys import DeniedKeys, KeySet
from oidcbridge.issuers.admission import Question
from oidcbridge.remote.jwks import RemoteKeySet


class TenantKeySet(RemoteKeySet):
    """A remote key set that does no work by itself until a token of its issuer was good, and ends when it leaves."""

    resident = False
    """Whether a token of this issuer was ever good: only then keys are refreshed ahead, and retried after failures."""
    retired = False
    used = 0.0
    """When it was last used, in seconds since boot."""
    decided = 0.0
    """When the rule was last asked about the issuer, in monotonic seconds."""
    question: Question | None = None
    """What it is being asked now."""

    def usable(self) -> KeySet | None:
        """As of any key set; None once it has left, so that tokens verified before are verified anew."""
        if self.retired:
            return None
        self.used = self._clock.boottime()
        return super().usable()

    def for_remembered(self) -> KeySet | None:
        """As of any key set; None once it has left."""
        return None if self.retired else super().for_remembered()

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
        return self.resident and not self.retired and super()._is_in_use(now)
