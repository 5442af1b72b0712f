"""Verified tokens are remembered, and a remembered one is good for exactly as long as a fresh look would say so."""

from __future__ import annotations

import asyncio
import json
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

import pytest

from oidcbridge import Principal
from oidcbridge.core.alike import Alike
from oidcbridge.core.keys import parse_key_set
from oidcbridge.core.token import UnverifiedToken, parse_unverified
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.errors import ExpiredTokenError, KeyNotFoundError, NotYetValidError, TokenError
from oidcbridge.key_sources import FixedKeySet
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from oidcbridge.token_cache import CachedToken, TokenCache
from oidcbridge.verification import IssuerAtWork


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


def test_a_remembered_token_gives_the_very_same_principal_and_equals_the_first_one(issuer: FakeIssuer) -> None:
    with issuer.verifier() as remembering, issuer.verifier(token_cache=0) as forgetting:
        token = issuer.mint("ada")
        first = remembering.verify_now(token)
        assert remembering.verify_now(token) is remembering.verify_now(token)
        assert remembering.verify_now(token) == first
        assert remembering.verify_now(token).as_dict() == first.as_dict()
        assert forgetting.verify_now(token) is not forgetting.verify_now(token)
        assert forgetting.verify_now(token) == remembering.verify_now(token)


@pytest.mark.parametrize("name", ["claims", "dependencies", "groups_complete", "roles", "scopes", "session_id"])
def test_whatever_is_asked_of_a_remembered_token_first_is_what_it_said(issuer: FakeIssuer, name: str) -> None:
    with issuer.verifier(dependencies_claims=["level"]) as verifier:
        token = issuer.mint("ada", scope="a b", claims={"level": 3, "roles": ["x"], "sid": "s1", "deep": {"r": [1]}})
        first = verifier.verify_now(token)
        assert getattr(verifier.verify_now(token), name) == getattr(first, name)


def test_a_token_is_read_when_it_comes_again_and_only_then(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(token: str) -> UnverifiedToken:
        read.append(token)
        return parse_unverified(token)

    monkeypatch.setattr("oidcbridge.token_cache.parse_unverified", counted)
    with issuer.verifier() as verifier:
        ada, bob = issuer.mint("ada"), issuer.mint("bob")
        assert [verifier.verify_now(token).user_id for token in (ada, bob)] == ["ada", "bob"]
        assert read == []
        assert [verifier.verify_now(token).user_id for token in (ada, ada, ada)] == ["ada"] * 3
        assert read == [ada]


def test_of_tokens_that_come_once_next_to_nothing_is_kept(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        tokens = [issuer.mint("ada", claims={"note": "x" * 8000, "number": number}) for number in range(200)]
        verifier.verify_now(issuer.mint("bob"))
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for token in tokens:
                verifier.verify_now(token)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (kept - before) / len(tokens) < 1000, "bytes"
        assert verifier.verify_now(tokens[0]).claims["note"] == "x" * 8000


def test_a_token_pushed_out_while_it_was_read_is_answered_and_does_not_come_back(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with issuer.verifier(token_cache=1) as verifier:
        ada, bob = issuer.mint("ada"), issuer.mint("bob")
        verifier.verify_now(ada)

        def pushed_out(token: str) -> UnverifiedToken:
            monkeypatch.undo()
            verifier.verify_now(bob)
            return parse_unverified(token)

        monkeypatch.setattr("oidcbridge.token_cache.parse_unverified", pushed_out)
        assert verifier.verify_now(ada).user_id == "ada"
        before = verifier.metrics().token_cache_hits
        assert verifier.verify_now(bob).user_id == "bob"
        assert verifier.metrics().token_cache_hits == before + 1


def test_no_two_tokens_are_taken_for_each_other(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        tokens = {user: issuer.mint(user, issued_ago=0) for user in ("ada", "bob", "eve")}
        for _ in range(3):
            for user, token in tokens.items():
                assert verifier.verify_now(token).user_id == user


def test_a_token_changed_by_one_character_is_no_hit(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        token = issuer.mint("ada")
        assert verifier.verify_now(token).user_id == "ada"
        header, payload, signature = token.split(".")
        changed = [
            f"{header}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
            f"{header}.{payload}.",
            f"{token}A",
            f"{token} ",
            token[:-1],
            f"{token}.",
        ]
        for other in changed:
            with pytest.raises(TokenError):
                verifier.verify_now(other)
        assert verifier.verify_now(token).user_id == "ada"


@pytest.mark.parametrize("token_cache", [0, 100])
def test_a_token_ends_to_the_second_remembered_or_not(issuer: FakeIssuer, clock: Clock, token_cache: int) -> None:
    with issuer.verifier(token_cache=token_cache) as verifier:
        token = issuer.mint("ada", expires_in=200)
        assert verifier.verify_now(token).user_id == "ada"
        clock.advance(200 + 59)
        assert verifier.verify_now(token).user_id == "ada"
        assert (verifier.verify_now(token) is verifier.verify_now(token)) is (token_cache > 0)
        clock.advance(1)
        with pytest.raises(ExpiredTokenError):
            verifier.verify_now(token)


@pytest.mark.parametrize("token_cache", [0, 100])
@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_clock_set_back_makes_a_token_too_early_again_remembered_or_not(
    issuer: FakeIssuer, clock: Clock, token_cache: int, claim: str
) -> None:
    with issuer.verifier(token_cache=token_cache) as verifier:
        start = clock.time()
        token = issuer.mint("ada", expires_in=3600, claims={"iat": start, claim: start})
        assert verifier.verify_now(token).user_id == "ada"
        clock.set_time(start - 60)
        assert verifier.verify_now(token).user_id == "ada"
        clock.set_time(start - 61)
        with pytest.raises(NotYetValidError):
            verifier.verify_now(token)


def test_a_remembered_token_dies_with_its_key_at_once_and_lives_with_it_again(issuer: FakeIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        old_key, token = issuer.signing_key(), issuer.mint("ada")
        assert verifier.verify_now(token).user_id == "ada"
        issuer.rotate()
        issuer.retire()
        assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"  # brings the set without the old key
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(token)
        issuer.publish(old_key)
        issuer.rotate()
        clock.advance(10)  # the budget for unknown keys is spent by now
        assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
        assert verifier.verify_now(token).user_id == "ada"


def test_a_remembered_token_dies_when_its_kid_is_given_to_other_material(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        token = issuer.mint("ada")
        assert verifier.verify_now(token).user_id == "ada"
        issuer.keys[:] = [FakeKey.generate("ES256", kid=issuer.signing_key().kid)]
        new = issuer.rotate()
        assert verifier.verify_now(issuer.mint("bob", key=new)).user_id == "bob"
        with pytest.raises(TokenError):
            verifier.verify_now(token)


def test_a_remembered_token_keeps_its_keys_in_use_so_that_they_stay_fresh(issuer: FakeIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        token = issuer.mint("ada", expires_in=3600)
        verifier.verify_now(token)
        clock.advance(301)
        assert verifier.verify_now(token).user_id == "ada"  # past its age: a fresh look, which starts a refresh
        for _ in range(1000):
            if issuer.fetches["jwks"] == 2:
                break
            threading.Event().wait(0.005)
        assert issuer.fetches["jwks"] == 2


def test_refusals_are_not_remembered(issuer: FakeIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        early = issuer.mint("ada", claims={"nbf": clock.time() + 100})
        with pytest.raises(NotYetValidError):
            verifier.verify_now(early)
        clock.advance(40)
        assert verifier.verify_now(early).user_id == "ada"


def test_two_verifiers_share_nothing(issuer: FakeIssuer) -> None:
    with issuer.verifier() as one, issuer.verifier(audience="another-api") as other:
        token = issuer.mint("ada")
        assert one.verify_now(token).user_id == "ada"
        with pytest.raises(TokenError):
            other.verify_now(token)


class Shelf:
    """Puts tokens of named users into a cache and asks for them; they are good from 100 s to 200 s, leeway included."""

    def __init__(self) -> None:
        self._issuer = FakeIssuer(algorithms=("ES256",))
        jwk = self._issuer.signing_key().public_jwk()
        keys = parse_key_set(json.dumps({"keys": [jwk]}).encode())
        ([self._key], (settings,)) = keys.keys, self._issuer.verifier(leeway=10).issuer_settings
        self._at_work = IssuerAtWork(settings, FixedKeySet(keys), None, Alike())
        self._tokens: dict[str, str] = {}

    def put(self, cache: TokenCache, *users: str) -> None:
        for user in users:
            token = self._tokens.setdefault(user, self._issuer.mint(user))
            digest = sha256(token.encode()).digest()
            cache.put(digest, VerifiedToken(parse_unverified(token).claims, 190.0, 110.0, self._key), self._at_work)

    def get(self, cache: TokenCache, user: str, now: float = 150) -> Principal | None:
        found = cache.get(self._tokens[user], now)
        assert not isinstance(found, Principal) or found.user_id == user
        return found if isinstance(found, Principal) else None

    def held(self, cache: TokenCache) -> list[str]:
        """Whose tokens are hits, in the order in which they were first put."""
        return [user for user in self._tokens if self.get(cache, user)]


class TestTokenCache:
    @pytest.fixture
    def shelf(self) -> Shelf:
        return Shelf()

    def test_it_holds_so_many_and_forgets_the_oldest_that_has_not_come_again(self, shelf: Shelf) -> None:
        cache = TokenCache(3)
        shelf.put(cache, "a", "b", "c")
        assert shelf.get(cache, "a") is not None
        shelf.put(cache, "d")
        assert shelf.held(cache) == ["a", "c", "d"]

    def test_one_that_comes_again_between_others_stays_however_many_they_are(self, shelf: Shelf) -> None:
        cache = TokenCache(4)
        shelf.put(cache, "a")
        for number in range(40):
            assert shelf.get(cache, "a") is not None, number
            shelf.put(cache, f"once-{number}")

    def test_one_that_came_again_and_then_no_more_leaves_too(self, shelf: Shelf) -> None:
        cache = TokenCache(3)
        shelf.put(cache, "a")
        assert shelf.get(cache, "a") is not None
        shelf.put(cache, "b", "c", "d", "e", "f", "g")
        assert shelf.held(cache) == ["e", "f", "g"]

    @pytest.mark.parametrize("size", [1, 2, 40])
    def test_a_new_one_is_taken_in_where_all_have_come_again(self, shelf: Shelf, size: int) -> None:
        cache = TokenCache(size)
        old = [f"old-{number}" for number in range(size)]
        shelf.put(cache, *old)
        assert shelf.held(cache) == old
        shelf.put(cache, "new")
        assert shelf.get(cache, "new") is not None
        assert len(shelf.held(cache)) == size

    def test_one_that_is_put_again_is_there_once_and_leaves_once(self, shelf: Shelf) -> None:
        cache = TokenCache(2)
        shelf.put(cache, "a", "a", "a", "b")
        assert shelf.held(cache) == ["a", "b"]
        shelf.put(cache, "c", "d", "e")
        assert shelf.held(cache) == ["d", "e"]

    def test_a_change_that_was_broken_off_costs_nobody_an_error_or_a_place(self, shelf: Shelf) -> None:
        class Interrupted(dict[bytes, CachedToken]):
            def __setitem__(self, digest: bytes, cached: CachedToken) -> None:
                raise KeyboardInterrupt

            def pop(self, *_: object) -> CachedToken:
                raise KeyboardInterrupt

        cache = TokenCache(2)
        shelf.put(cache, "a")
        for name in ("b", "c"):  # as it is put, and as another has to leave for it
            kept = cache._tokens
            cache._tokens = Interrupted(kept)
            with pytest.raises(KeyboardInterrupt):
                shelf.put(cache, name)
            cache._tokens = kept
            shelf.put(cache, name)
        shelf.put(cache, "d", "e")
        assert shelf.held(cache) == ["d", "e"]

    @pytest.mark.parametrize(("now", "hit"), [(99.999, False), (100, True), (199.999, True), (200, False)])
    def test_it_minds_the_times(self, shelf: Shelf, now: float, hit: bool) -> None:
        cache = TokenCache(3)
        shelf.put(cache, "a")
        assert (shelf.get(cache, "a", now) is not None) is hit

    def test_text_that_is_no_token_is_no_hit_and_no_crash(self) -> None:
        cache = TokenCache(3)
        for no_token in ("a" * 1_000_000, "\ud800", b"a", None):
            assert cache.get(no_token, 150.0) is None  # type: ignore[arg-type]
        for text in ("", "é", "a"):
            assert not isinstance(cache.get(text, 150.0), Principal)

    def test_one_that_leaves_while_it_is_read_is_answered(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(token: str) -> UnverifiedToken:
            monkeypatch.undo()
            shelf.put(cache, "b")
            return parse_unverified(token)

        cache = TokenCache(1)
        shelf.put(cache, "a")
        monkeypatch.setattr("oidcbridge.token_cache.parse_unverified", read)
        assert shelf.get(cache, "a") is not None
        assert shelf.held(cache) == ["b"]

    def test_a_child_forked_in_the_middle_of_a_change_starts_with_an_empty_one(self, shelf: Shelf) -> None:
        cache = TokenCache(3)
        shelf.put(cache, "a")
        cache.start_anew_in_child()
        assert shelf.get(cache, "a") is not None
        cache._lock.acquire()  # as a thread of the parent that is not here any more
        cache.start_anew_in_child()
        assert shelf.get(cache, "a") is None
        shelf.put(cache, "a", "b", "c", "d")
        assert shelf.held(cache) == ["b", "c", "d"]


def test_many_threads_over_a_small_cache_always_see_the_right_user(issuer: FakeIssuer) -> None:
    tokens = {f"user-{number}": issuer.mint(f"user-{number}") for number in range(20)}
    forged = [issuer.mint("eve", key=FakeKey.generate("ES256", kid=issuer.signing_key().kid)) for _ in range(5)]
    wrong: list[object] = []
    with issuer.verifier(token_cache=7) as verifier:
        verifier.verify_now(tokens["user-0"])

        def work() -> None:
            for _ in range(12):
                wrong.extend(user for user, token in tokens.items() if verifier.verify_now(token).user_id != user)
                for token in forged:
                    with suppress(TokenError):
                        wrong.append(verifier.verify_now(token))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_threads_that_verify_across_a_rotation_refuse_no_good_token(issuer: FakeIssuer) -> None:
    refused: list[TokenError] = []
    with issuer.verifier(token_cache=50) as verifier:
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                try:
                    verifier.verify_now(issuer.mint("ada"))
                except TokenError as error:
                    refused.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            issuer.rotate()
            verifier.verify_now(issuer.mint("bob"))
        ended.set()
        for thread in threads:
            thread.join()
    assert refused == []


def test_a_remembered_token_is_still_one_while_its_keys_are_old_and_cannot_be_renewed() -> None:
    clock = Clock()
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer, issuer.verifier() as verifier:
        token = issuer.mint("ada", expires_in=86_400)
        verifier.verify_now(token)
        issuer.status = 503
        clock.advance(301)
        for _ in range(10):
            assert verifier.verify_now(token).user_id == "ada"
        asyncio.run(verifier.warm())
        assert verifier.health()[0].state == "degraded"
        before = verifier.metrics()
        for _ in range(10):
            assert verifier.verify_now(token).user_id == "ada"
        after = verifier.metrics()
        assert after.token_cache_hits - before.token_cache_hits == 10
        assert after.token_cache_invalidated == before.token_cache_invalidated
        assert after.issuers[0].stale_served - before.issuers[0].stale_served == 10


def test_a_remembered_token_begins_the_refresh_that_is_due() -> None:
    clock = Clock()
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer, issuer.verifier() as verifier:
        token = issuer.mint("ada", expires_in=86_400)
        verifier.verify_now(token)
        clock.advance(301)
        assert verifier.verify_now(token).user_id == "ada"
        asyncio.run(verifier.warm(strict=True))
        assert (verifier.health()[0].state, issuer.fetches["jwks"]) == ("fresh", 2)
