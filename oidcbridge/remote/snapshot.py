"""Snapshot: one answer of a provider's key endpoint, immutable, with its age and lifetime."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import SystemRandom

from oidcbridge.core.freshness import Instant, Lifetime, answer_age, soft_lifetime
from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.policy import FetchOptions
from oidcbridge.core.stored_keys import can_be_sent_back
from oidcbridge.remote.http import fetch

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
    url: str
    body: bytes
    """The key set as the provider sent it, and from where, for others to parse."""
    provider: str | None = None
    """The name of the profile that the discovery document told, where it was asked."""
    fresh_until: Instant = field(init=False, repr=False)
    """While each clock stands before this, `Instant.age` is below the soft lifetime: what every request asks."""

    def __post_init__(self) -> None:
        wall, monotonic, boot = self.fetched
        soft = self.lifetime.soft
        object.__setattr__(self, "fresh_until", Instant(wall + soft, monotonic + soft, boot + soft))

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
) -> Snapshot:
    """Ask ``url`` for the keys, conditionally where ``before`` has an entity tag of it (RFC 9110 section 13.1.2).

    Its ``generation`` is that of ``before``: whoever puts it in place counts. Raises a `ProviderError`.
    """
    if before is not None and before.url != url:  # tags of two places mean nothing to each other
        before = replace(before, etag=None)
    answer = await fetch(url, options, etag=before.etag if before else None)
    lifetime = Lifetime.of(soft_lifetime(answer.headers, options), options)
    as_of = begun.wall - answer_age(answer.headers)
    if before is not None and answer.status == 304:
        return replace(before, fetched=begun, as_of=as_of, lifetime=lifetime, number=number)
    key_set = parse_key_set(answer.body)
    etag = answer.headers.get("etag", "")
    kept_etag = etag if can_be_sent_back(etag) else None
    generation = before.generation if before else 0
    return Snapshot(key_set, begun, as_of, lifetime, kept_etag, number, generation, url, answer.body)
