"""Verified tokens under many threads at once: nobody ever becomes somebody else, and what is gone stays gone."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from itertools import count

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.core.alike import Alike
from oidcbridge.core.keys import parse_key_set
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.errors import KeysUnavailableError, TokenError
from oidcbridge.key_sources import FixedKeySet
from oidcbridge.testing import FakeIssuer, FakeKey
from oidcbridge.token_cache import TokenCache
from oidcbridge.verification import IssuerAtWork

SECONDS = 1.5
USERS = [f"user-{number}" for number in range(40)]
SIZE = 16


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def at_once(*works: Callable[[threading.Event], None]) -> None:
    """Run these on a thread each, which ends soon after its event is set. Raises what one of them raised."""
    ended = threading.Event()
    with switching_often(), ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(work, ended) for work in works]
        ended.wait(SECONDS)
        ended.set()
    for one in running:
        one.result()


def test_a_small_cache_read_and_written_by_all_gives_each_token_its_own_user_and_stays_small() -> None:
    issuer = FakeIssuer(algorithms=("ES256",))
    keys = parse_key_set(json.dumps({"keys": [issuer.signing_key().public_jwk()]}).encode())
    source, cache, [key] = FixedKeySet(keys), TokenCache(SIZE), keys.keys
    (settings,) = issuer.verifier().issuer_settings
    at_work = IssuerAtWork(settings, source, None, Alike())
    tokens = {user: issuer.mint(user) for user in USERS}

    def get(user: str) -> Principal | None:
        principal = cache.get(tokens[user], 150.0)
        return principal if isinstance(principal, Principal) else None

    found = dict.fromkeys(USERS, 0)

    def read_and_write(ended: threading.Event) -> None:
        for number in count():
            user = USERS[number * 7 % len(USERS)]
            principal = get(user)
            assert principal is None or principal.user_id == user
            found[user] += principal is not None
            if principal is None:
                verified = VerifiedToken({"sub": user}, 1e12, 0.0, key)
                cache.put(sha256(tokens[user].encode()).digest(), verified, at_work)
            if ended.is_set():
                return

    at_once(*[read_and_write] * 6)
    kept = [user for user in USERS if get(user)]
    assert 0 < len(kept) <= SIZE
    assert sum(found.values()) > 0
    source.deny(issuer.signing_key().kid)
    assert [user for user in USERS if get(user)] == []


class Exchange:
    """An issuer whose second key comes and goes, and a verifier that is asked all the while."""

    def __init__(self, issuer: FakeIssuer, verifier: Verifier) -> None:
        self.issuer, self.verifier = issuer, verifier
        self.stays, self.goes = (key for key in issuer.keys if isinstance(key, FakeKey))
        self.tokens = {(user, key.kid): issuer.mint(user, key=key) for user in USERS for key in (self.stays, self.goes)}
        self.forged = [
            issuer.mint("eve", key=FakeKey.generate(key.alg, kid=key.kid)) for key in (self.stays, self.goes)
        ]
        self.turns = 0
        """Odd while the second key is gone for certain."""
        self.accepted = {self.stays.kid: 0, self.goes.kid: 0}
        self.refused = 0

    def ask(self, ended: threading.Event) -> None:
        for number in count():
            user, kid = who = [*self.tokens][number * 13 % len(self.tokens)]
            before = self.turns
            try:
                principal = self.verifier.verify_now(self.tokens[who])
            except TokenError:
                assert kid == self.goes.kid, "the key that stays refuses nobody"
                self.refused += 1
            else:
                assert principal.user_id == user
                gone_throughout = before % 2 and self.turns == before
                assert kid == self.stays.kid or not gone_throughout, "the key was gone when the token was sent"
                self.accepted[kid] += 1
            if ended.is_set():
                return

    def forge(self, ended: threading.Event) -> None:
        while not ended.wait(0.001):
            for token in self.forged:
                with pytest.raises((TokenError, KeysUnavailableError)):  # which one: test_forged_in_the_air
                    self.verifier.verify_now(token)

    def rotate(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self.issuer.keys[:] = [self.stays]
            asyncio.run(self.verifier.refresh(force=True))
            self.turns += 1
            time.sleep(0.02)
            self.turns += 1
            self.issuer.keys[:] = [self.stays, self.goes]
            asyncio.run(self.verifier.refresh(force=True))
            time.sleep(0.02)

    def deny(self, ended: threading.Event) -> None:
        ended.wait(SECONDS * 0.7)
        self.verifier.deny_key(self.goes.kid)
        for user in USERS:
            with pytest.raises(TokenError):
                self.verifier.verify_now(self.tokens[user, self.goes.kid])


def test_through_rotations_and_a_denial_nobody_is_taken_for_another_or_outlives_a_key() -> None:
    with FakeIssuer(algorithms=("ES256", "Ed25519")).impersonate() as issuer, issuer.verifier(token_cache=SIZE) as one:
        exchange = Exchange(issuer, one)
        for token in exchange.tokens.values():
            one.verify_now(token)
        at_once(*[exchange.ask] * 4, exchange.forge, exchange.rotate, exchange.deny)
        assert min(exchange.accepted.values()) > 0
        assert exchange.refused > 0
        assert exchange.turns >= 4
        for (user, kid), token in exchange.tokens.items():
            if kid == exchange.stays.kid:
                assert one.verify_now(token).user_id == user
            else:
                with pytest.raises(TokenError):
                    one.verify_now(token)
