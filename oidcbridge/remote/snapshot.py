"""Snapshot: one answer of a provider's key endpoint, immutable, with its age and lifetime."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from random import SystemRandom

from oidcbridge.core.freshness import Instant, Lifetime, answer_age, soft_lifetime
from oidcbridge.core.keys import DeniedKeys, KeySet, parse_key_set
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import DiscoveryError, ProviderError
from oidcbridge.remote.http import fetch

logger = logging.getLogger("oidcbridge.keys")

_MAX_ETAG_CHARS = 256
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was fetched, and when. ``number`` counts fetches as they begin, ``generation`` changes of the keys."""

    key_set: KeySet
    fetched: Instant
    as_of: float
    """Wall-clock second for which the provider vouched: the request's start less the answer's ``Age``."""
    lifetime: Lifetime
    etag: str | None
    number: int
    generation: int

    def refresh_after(self) -> float:
        """Seconds after which to ask again ahead of time: not the same for all processes that began together."""
        return self.lifetime.soft * _random.uniform(0.8, 0.9)

    def vouched_until(self, now: Instant) -> float:
        """``as_of`` by the clock that stands at ``now``: one that was fast then, and was set right, put it too late."""
        return self.as_of + min(0.0, now.wall - self.fetched.age(now) - self.fetched.wall)


async def fetch_snapshot(
    url: str,
    options: FetchOptions,
    begun: Instant,
    *,
    number: int,
    before: Snapshot | None,
    denied: DeniedKeys,
) -> Snapshot:
    """Ask ``url`` for the keys, conditionally where ``before`` has an entity tag (RFC 9110 section 13.1.2).

    ``denied`` keys are left out. Raises a `ProviderError`.
    """
    answer = await fetch(url, options, etag=before.etag if before else None)
    lifetime = Lifetime.of(soft_lifetime(answer.headers, options), options)
    as_of = begun.wall - answer_age(answer.headers)
    if before is not None and answer.status == 304:
        return Snapshot(before.key_set.without(denied), begun, as_of, lifetime, before.etag, number, before.generation)
    key_set = parse_key_set(answer.body)
    key_set = key_set.without(denied.as_seen_in(key_set))
    etag = answer.headers.get("etag", "")
    generation = before.generation if before else 0
    if before is None or before.key_set.fingerprints != key_set.fingerprints:
        generation += 1
    # It goes back in a header, where other characters could not be sent (RFC 9110 section 8.8.3).
    kept_etag = etag if 0 < len(etag) <= _MAX_ETAG_CHARS and etag.isascii() and etag.isprintable() else None
    return Snapshot(key_set, begun, as_of, lifetime, kept_etag, number, generation)


def report_success(name: str, before: Snapshot | None, after: Snapshot, failures: int) -> None:
    """Log what came and went and what is not used, where the keys have changed; ``failures`` went before."""
    if failures:
        logger.info("%s: keys can be fetched again after %d failures", name, failures)
    if before is not None and before.generation == after.generation:
        return
    old = {key.kid for key in before.key_set.keys} if before else set()
    new = {key.kid for key in after.key_set.keys}
    logger.info(
        "%s: %d keys, new %a, gone %a", name, len(new), sorted(map(str, new - old)), sorted(map(str, old - new))
    )
    for key in after.key_set.skipped:
        level = logging.CRITICAL if key.private else logging.INFO
        logger.log(level, "%s: key %a of its key set is not used: %s", name, (key.kid or "")[:64], key.reason)


def report_failure(name: str, kept: Snapshot | None, error: ProviderError) -> None:
    """Log that a fetch failed, and what goes on with which keys."""
    then = f"known keys go on for up to {kept.lifetime.max_stale:.0f} s" if kept else "there are no keys yet"
    # What is wrong with discovery has been logged by `RemoteMetadata` in full, once for each fault.
    why = "discovery failed" if isinstance(error, DiscoveryError) else str(error)
    logger.warning("%s: fetching keys failed, %s: %s", name, then, why)
