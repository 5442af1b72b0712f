"""Verified tokens, each tied to its key's presence in the current key set.

The cache key is the SHA-256 of the whole token; a shorter or pluggable key is how one user becomes another
(CVE-2026-35030, CVE-2026-35039). A hit answers exactly as full verification would at that moment, or is no hit.
Refusals are never remembered.

Many tokens never come again. So of a new one only that it was verified is kept: some 300 bytes, nothing to build beside
the first answer, and nothing of what it says. Whoever brings it again brings its claims; they are read then, once, and
what recurs in an issuer's tokens is shared (`oidcbridge.core.alike`).

Who leaves when it is full (CLOCK, or second chance): the oldest, if it has not come again since it was the youngest;
one that has begins anew as the youngest. So a token in use nearly always stays, as where the least recently used leaves
first, and a hit takes no lock and puts no list in order, on the way of every request.
"""

from __future__ import annotations

import threading
from collections import deque
from hashlib import sha256

from oidcbridge.core.mapping import principal_from
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import MAX_TOKEN_BYTES, parse_unverified
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.verification import IssuerAtWork


class CachedToken:
    """What must still hold for a hit: the times, and the key in the current set of its issuer."""

    __slots__ = ("expires_at", "has_returned", "issuer", "key", "not_before", "principal")

    def __init__(self, issuer: IssuerAtWork, verified: VerifiedToken) -> None:
        leeway = issuer.settings.policy.leeway
        self.issuer = issuer
        self.key = verified.key
        self.not_before = verified.not_before - leeway
        self.expires_at = verified.expires_at + leeway
        """Both in seconds since the epoch, leeway included."""
        self.principal: Principal | None = None
        """Who it speaks for, once it has come again."""
        self.has_returned = False
        """Since it was the youngest."""


_SECOND_CHANCES = 16  # for each that leaves, so that no new token waits for a whole turn of a large cache
_NOTHING_HASHED = sha256()  # to make one anew asks OpenSSL for the algorithm each time


class TokenCache:
    """At most ``maxsize`` verified tokens of one verifier. Thread-safe.

    ``hits``, ``misses`` and, among those, ``invalidated`` are counted since the start.
    """

    def __init__(self, maxsize: int) -> None:
        # None of cachetools' caches: they keep two maps, and look into them by Python code on every request.
        self._tokens: dict[bytes, CachedToken] = {}
        self._ages: deque[bytes] = deque()
        """The keys of ``_tokens``, the oldest first."""
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
        key_set = cached.issuer.keys.for_remembered(now) if cached.not_before <= now < cached.expires_at else None
        if key_set is None or cached.key.fingerprint not in key_set.fingerprints:
            self.misses += 1
            self.invalidated += 1
            return digest
        self.hits += 1
        cached.has_returned = True
        return cached.principal or _read(token, cached)

    def put(self, digest: bytes, verified: VerifiedToken, issuer: IssuerAtWork) -> None:
        """Remember a token of ``issuer`` under what `get` has just given for it."""
        cached = CachedToken(issuer, verified)
        with self._lock:
            if digest not in self._tokens:
                while len(self._tokens) >= self._maxsize:
                    self._evict()
                self._ages.append(digest)
            self._tokens[digest] = cached

    def _evict(self) -> None:
        """One leaves. Should this end half way (Ctrl-C), ``_ages`` names one too many, which leaves as any other."""
        for _ in range(_SECOND_CHANCES):
            cached = self._tokens.get(self._ages[0])
            if cached is None or not cached.has_returned:
                break
            cached.has_returned = False
            self._ages.rotate(-1)
        self._tokens.pop(self._ages[0], None)
        self._ages.popleft()

    def start_anew_in_child(self) -> None:
        """After a fork: the lock may be held by a thread that is not here, in the middle of a change."""
        if self._lock.locked():
            self._tokens, self._ages = {}, deque()
        self._lock = threading.Lock()


def _read(token: str, cached: CachedToken) -> Principal:
    """The principal of a token that has come again, kept from now on. The bytes are those that were verified."""
    claims = cached.issuer.alike.freeze(parse_unverified(token).claims)
    verified = VerifiedToken(claims, float(claims["exp"]), cached.not_before, cached.key)
    cached.principal = principal_from(verified, cached.issuer.settings.mapping)
    return cached.principal  # threads that meet here have read the same
