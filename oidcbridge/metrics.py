"""What a verifier has done since it was made, in numbers. Reading them never asks the provider and takes no lock.

They fit Prometheus and OpenTelemetry as they are: totals only grow, ``state``, ``age``, ``usable_keys`` and ``waiters``
are of now.
"""

from __future__ import annotations

from dataclasses import dataclass

from oidcbridge.core.freshness import Instant
from oidcbridge.remote.jwks import RemoteKeySet


@dataclass(frozen=True, slots=True)
class IssuerMetrics:
    """One issuer's keys. Times are in seconds."""

    issuer: str
    state: str
    usable_keys: int
    generation: int = 0
    """How often the keys have changed, the first time included."""
    age: float | None = None
    fetched: int = 0
    """Answers of the provider with a key set; those with 304 are apart, and those that failed."""
    not_modified: int = 0
    failed: int = 0
    adopted: int = 0
    """Key sets taken from the key store instead."""
    fetch_seconds: float = 0.0
    """All successful fetches together."""
    stale_served: int = 0
    """Look-ups answered with keys past their age."""
    suppressed: int = 0
    """Unknown keys refused since the budget was spent."""
    negative_hits: int = 0
    """Unknown keys refused from memory, without a fetch."""
    waiters: int = 0
    """Requests that wait for a fetch now."""


@dataclass(frozen=True, slots=True)
class VerifierMetrics:
    """A verifier's issuers, its token cache and its observer."""

    issuers: tuple[IssuerMetrics, ...]
    token_cache_hits: int = 0
    token_cache_misses: int = 0
    token_cache_invalidated: int = 0
    """Tokens that were remembered and no longer hold: expired, or their key gone, denied or too old. Misses too."""
    observer_errors: int = 0
    events_dropped: int = 0


def metrics_of(keys: RemoteKeySet, now: Instant) -> IssuerMetrics:
    """The numbers of a remote key set at ``now``."""
    snapshot, counts = keys.snapshot, keys.report.counts
    return IssuerMetrics(
        issuer=keys.name,
        state=keys.state(now).value,
        usable_keys=len(snapshot.key_set.keys) if snapshot else 0,
        generation=snapshot.generation if snapshot else 0,
        age=snapshot.fetched.age(now) if snapshot else None,
        fetched=counts["fetched"],
        not_modified=counts["not_modified"],
        failed=counts["failed"],
        adopted=counts["adopted"],
        fetch_seconds=keys.report.fetch_seconds,
        stale_served=counts["stale_served"],
        suppressed=counts["suppressed"],
        negative_hits=counts["negative_hits"],
        waiters=keys.waiters,
    )
