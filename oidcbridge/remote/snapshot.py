"""Snapshot: one answer of a provider's key endpoint, immutable, with its age and lifetime."""

from __future__ import annotations

from dataclasses import dataclass

from oidcbridge.core.freshness import Instant, Lifetime, answer_age, soft_lifetime
from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.policy import FetchOptions
from oidcbridge.remote.http import fetch

_MAX_ETAG_CHARS = 256


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


async def fetch_snapshot(
    url: str, options: FetchOptions, begun: Instant, number: int, before: Snapshot | None
) -> Snapshot:
    """Ask ``url`` for the keys, conditionally where ``before`` has an entity tag (RFC 9110 section 13.1.2).

    Raises a `ProviderError`.
    """
    answer = await fetch(url, options, etag=before.etag if before else None)
    lifetime = Lifetime.of(soft_lifetime(answer.headers, options), options)
    as_of = begun.wall - answer_age(answer.headers)
    if before is not None and answer.status == 304:
        return Snapshot(before.key_set, begun, as_of, lifetime, before.etag, number, before.generation)
    key_set = parse_key_set(answer.body)
    etag = answer.headers.get("etag", "")
    generation = before.generation if before else 0
    if before is None or before.key_set.fingerprints != key_set.fingerprints:
        generation += 1
    kept_etag = etag if 0 < len(etag) <= _MAX_ETAG_CHARS else None
    return Snapshot(key_set, begun, as_of, lifetime, kept_etag, number, generation)
