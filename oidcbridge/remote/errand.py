"""Errand: one attempt to bring newer keys. What is asked of a store, and how its answers are judged.

Clocks of several hosts differ, by a minute where their owners mean well. So nothing here is decided by whose time is
later by less: an entry is news where it was not there at our last own fetch, and it never proves a key absent.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from oidcbridge.core.freshness import Instant, Lifetime
from oidcbridge.core.key_store import Lead
from oidcbridge.core.keys import parse_key_set
from oidcbridge.core.policy import FetchOptions
from oidcbridge.core.stored_keys import MAX_FUTURE, StoredKeys
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.remote.wish import Wish


class Errand:
    """Brings keys newer than ``before``, as ``wish`` says."""

    def __init__(self, wish: Wish, number: int, before: Snapshot | None, *, is_trusted: bool = True) -> None:
        self.wish = wish
        self.number = number
        self.before = before
        self.is_trusted = is_trusted
        """Whether its issuer is written down, or a good token of it has come: others get nothing to keep."""
        self.lead: Lead | None = None
        self.fetched: Snapshot | None = None
        """What the provider was asked for, to be shared."""
        self.seen: bytes | None = None
        """The digest of what lay in the store before the provider was asked."""
        self.spare: Snapshot | None = None
        """News that is not what was wished for: better than nothing."""

    def snapshot_of(self, stored: StoredKeys, now: Instant, options: FetchOptions) -> Snapshot | None:
        """What lies in the store, as if we had fetched it then; None for keys that are older than ours.

        Raises `KeysUnavailableError` for no usable key set.
        """
        age = max(0.0, now.wall - stored.fetched)
        soft = min(max(stored.soft, options.min_max_age), options.max_max_age)
        lifetime = Lifetime.of(soft, options)
        before, number, generation = self.before, 0, 0
        if before is None:  # a warm start: served at once while they are being renewed, not waited for
            lifetime = replace(lifetime, hard=max(lifetime.hard, lifetime.max_stale))
        else:
            later = stored.fetched - before.fetched.wall
            if later < -MAX_FUTURE:
                return None
            # Also by the clocks that cannot be set back: it is no younger than ours, less what lies between them.
            age = max(age, before.fetched.age(now) - later)
            number, generation = before.number, before.generation
        fetched = Instant(min(stored.fetched, now.wall), now.monotonic - age, now.boot - age)
        key_set = parse_key_set(stored.body)
        return Snapshot(
            key_set,
            fetched,
            stored.as_of,
            lifetime,
            stored.etag,
            number,
            generation,
            stored.jwks_uri,
            stored.body,
            stored.provider,
        )

    def is_done_by(self, found: Snapshot, now: Instant) -> bool:
        """Whether keys from the store are what was wished for, so that nobody needs to fetch."""
        if self.before is None:
            return True
        if found.fetched.age(now) >= found.lifetime.soft:
            return False
        self.spare = found
        if self.wish.why == "unknown_kid" and self.wish.alg:
            return bool(found.key_set.candidates(self.wish.kid, self.wish.alg))
        if self.wish.is_a_strangers:
            return found.key_set.fingerprints != self.before.key_set.fingerprints
        return True


def digest(entry: bytes) -> bytes:
    """By which an entry is known again."""
    return sha256(entry).digest()
