"""Verified tokens, each tied to its key's presence in the current key set.

The cache key is the SHA-256 of the whole token; a shorter or pluggable key is how one user becomes another
(CVE-2026-35030, CVE-2026-35039). A hit answers exactly as full verification would at that moment, or is no hit.
Refusals are never remembered.

Many tokens never come again. So of a new one only that it was verified is kept: some 300 bytes, nothing to build beside
the first answer, and nothing of what it says. Whoever brings it again brings its claims; they are read then, once, and
what recurs in an issuer's tokens is shared (`oidcbridge.core.alike`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple

from oidcbridge.core.keys import Key
from oidcbridge.core.mapping import principal_from
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import MAX_TOKEN_BYTES, parse_unverified
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.verification import IssuerAtWork


class CachedToken(NamedTuple):
    """What must still hold for a hit: the times, and the key in the current set of its issuer."""

    issuer: IssuerAtWork
    key: Key
    not_before: float
    expires_at: float
    """Both in seconds since the epoch, leeway included."""
    principal: Principal | None = None
    """Who it speaks for, once it has come again."""


_NOTHING_HASHED = sha256()  # to make one anew asks OpenSSL for the algorithm each time


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

    def get(self, token: str, now: float) -> Principal | bytes | None:
        """The principal of ``token``, if full verification would give it at ``now`` (seconds since the epoch).

        Else what to `put` it under once it has been verified; None for text that is no token for certain. All in one
        place: a request with a token seen before does little else, and each call on its way would show.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES:
            return None
        hashed = _NOTHING_HASHED.copy()
        try:
            hashed.update(token.encode())
        except UnicodeEncodeError:
            return None
        digest = hashed.digest()
        cached = self._tokens.get(digest)
        if cached is None:
            self.misses += 1  # without a lock: a count may be lost to another thread, and no request waits for it
            return digest
        try:
            self._tokens.move_to_end(digest)  # one step under the GIL: no lock is needed
        except KeyError:  # another thread's new token has just pushed it out
            self.misses += 1
            return digest
        (_, keys, _, _), key, not_before, expires_at, principal = cached
        key_set = keys.for_remembered(now) if not_before <= now < expires_at else None
        if key_set is None or key.fingerprint not in key_set.fingerprints:
            self.misses += 1
            self.invalidated += 1
            return digest
        self.hits += 1
        return principal or self._read(digest, token, cached)

    def _read(self, digest: bytes, token: str, cached: CachedToken) -> Principal:
        """The principal of a token that has come again, kept from now on. The bytes are those that were verified."""
        claims = cached.issuer.alike.freeze(parse_unverified(token).claims)
        verified = VerifiedToken(claims, float(claims["exp"]), cached.not_before, cached.key)
        principal = principal_from(verified, cached.issuer.settings.mapping)
        with self._lock:
            if digest in self._tokens:  # threads that meet here have read the same
                self._tokens[digest] = cached._replace(principal=principal)
        return principal

    def put(self, digest: bytes, cached: CachedToken) -> None:
        """Remember a verified token under what `get` has just given for it."""
        with self._lock:
            self._tokens[digest] = cached
            if len(self._tokens) > self._maxsize:
                self._tokens.popitem(last=False)

    def start_anew_in_child(self) -> None:
        """After a fork: the lock may be held by a thread that is not here, in the middle of a change."""
        if self._lock.locked():
            self._tokens = OrderedDict()
        self._lock = threading.Lock()
