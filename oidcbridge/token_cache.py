"""Verified tokens, each tied to its key's presence in the current key set.

The cache key is the SHA-256 of the whole token; a shorter or pluggable key is how one user becomes another
(CVE-2026-35030, CVE-2026-35039). A hit answers exactly as full verification would at that moment, or is no hit.
Refusals are never remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple

from oidcbridge.core.principal import Principal
from oidcbridge.key_sources import KeySource


class CachedToken(NamedTuple):
    """What must still hold for a hit: the times, and the key in the current set of its source."""

    principal: Principal
    keys: KeySource
    fingerprint: str
    not_before: float
    expires_at: float
    """Both in seconds since the epoch, leeway included."""


class TokenCache:
    """At most ``maxsize`` verified tokens of one verifier, the least recently used leave first. Thread-safe.

    ``hits``, ``misses`` and, among those, ``invalidated`` are counted since the start.
    """

    def __init__(self, maxsize: int) -> None:
        # An `OrderedDict`: cachetools keeps two maps and looks into them by Python code, on every request and for 50
        # bytes more a token.
        self._tokens: OrderedDict[bytes, CachedToken] = OrderedDict()
        self._maxsize = maxsize
        self._lock = threading.Lock()
        self.hits = self.misses = self.invalidated = 0

    def get(self, token: str, now: float) -> Principal | None:
        """The principal of ``token``, if full verification would give it at ``now`` (seconds since the epoch)."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            cached = self._tokens.get(digest)
            if cached is not None:
                self._tokens.move_to_end(digest)
        if cached is None:
            self.misses += 1  # not under the lock: a count may be lost to another thread, and no request waits for it
            return None
        key_set = cached.keys.for_remembered() if cached.not_before <= now < cached.expires_at else None
        if key_set is None or cached.fingerprint not in key_set.fingerprints:
            self.misses += 1
            self.invalidated += 1
            return None
        self.hits += 1
        return cached.principal

    def put(self, token: str, cached: CachedToken) -> None:
        """Remember a verified token."""
        digest = sha256(token.encode()).digest()
        with self._lock:
            self._tokens[digest] = cached
            self._tokens.move_to_end(digest)
            if len(self._tokens) > self._maxsize:
                self._tokens.popitem(last=False)

    def start_anew_in_child(self) -> None:
        """After a fork: the lock may be held by a thread that is not here, in the middle of a change."""
        if self._lock.locked():
            self._tokens = OrderedDict()
        self._lock = threading.Lock()
