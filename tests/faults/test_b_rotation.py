"""Family B, first half: keys that come. No good token is refused because the provider has rotated."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, cycle, repeat

from oidcbridge import Verifier
from oidcbridge.errors import BadSignatureError, KeyNotFoundError, OIDCBridgeError
from oidcbridge.testing import Clock, FakeKey
from tests.faults.kit import LOAD, eventually, health
from tests.faults.rotation import is_refused, landed, passes
from tests.faults.table import Row, scenario
from tests.remote.asking import refuse, settle, stranger
from tests.remote.hostile import HeldIssuer


@scenario("B10")
def test_b10_a_key_published_before_its_use_refuses_nobody_and_costs_no_fetch_beside_the_schedule(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    """The timer that refreshes ahead runs in real time; by a clock that jumps, a request that finds the keys due
    starts the same refresh."""
    signing, living = issuer.signing_key(), deque[str](maxlen=10)  # tokens of five minutes, one each half a minute
    accepted = 0

    def ten_minutes_of_traffic() -> None:
        nonlocal accepted
        for _ in range(20):
            clock.advance(30)
            living.append(issuer.mint(key=signing))
            passes(verifier, *living)
            accepted += len(living)
            landed(verifier)

    for _ in range(4):
        ahead = FakeKey.generate("ES256")
        issuer.publish(ahead)
        ten_minutes_of_traffic()
        retired, signing = signing, ahead
        ten_minutes_of_traffic()
        issuer.retire(retired.kid)
    assert issuer.fetches["jwks"] == 1 + 80 * 60 // 300
    row.saw(f"four rotations in 80 minutes, {accepted} of {accepted} accepted", issuer.fetches)


@scenario("B11")
def test_b11_the_first_token_of_a_new_key_is_accepted_in_that_same_request(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    clock.advance(100)
    issuer.rotate()
    issuer.retire()  # no overlap
    assert asyncio.run(verifier.verify(issuer.mint("ada"))).user_id == "ada"
    assert issuer.fetches["jwks"] == 2
    passes(verifier, *(issuer.mint() for _ in range(100)))
    forged = issuer.mint(key=FakeKey.generate("ES256", kid=issuer.signing_key().kid))
    refuse(verifier, forged, BadSignatureError)
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 2)
    row.saw("accepted in that request", issuer.fetches)


@scenario("B12")
def test_b12_a_rotation_one_second_after_a_scheduled_fetch_is_accepted_for_one_fetch_more(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    clock.advance(300)
    passes(verifier, issuer.mint())  # the keys are due: this starts the scheduled fetch
    landed(verifier)
    assert issuer.fetches["jwks"] == 2
    clock.advance(1)
    issuer.rotate()
    issuer.retire()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 3
    row.saw("accepted in that request, one fetch more", issuer.fetches)


@scenario("B13")
def test_b13_one_forged_kid_does_not_keep_out_the_rotation_that_follows_it(
    issuer: HeldIssuer, verifier: Verifier, row: Row
) -> None:
    refuse(verifier, stranger(issuer))
    assert issuer.fetches["jwks"] == 2
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 3
    row.saw("forged one refused, new key accepted at once", issuer.fetches)


@contextmanager
def flood(issuer: HeldIssuer, verifier: Verifier) -> Iterator[Counter[type[OIDCBridgeError]]]:
    """Inside the ``with``, plausible tokens of ever new unknown kids keep coming; counts what they are told."""
    told: Counter[type[OIDCBridgeError]] = Counter()
    forger, ended = FakeKey.generate("ES256"), threading.Event()

    def keep_asking() -> None:
        for number in count():
            if ended.wait(0.002):
                return
            try:
                verifier.verify_now(issuer.mint(key=forger, header={"kid": f"forged-{number}"}))
            except OIDCBridgeError as error:
                told[type(error)] += 1

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join()


@scenario("B14")
def test_b14_a_rotation_in_the_middle_of_a_flood_of_unknown_kids_is_seen_within_ten_seconds(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer, began = real_time_issuer, time.monotonic()
    with issuer.verifier() as verifier:
        settle(verifier)
        with flood(issuer, verifier) as told:
            eventually(lambda: told.total() >= 10)  # its first two spend the budget
            assert issuer.fetches["jwks"] == 3
            issuer.rotate()
            token, rotated = issuer.mint("ada"), time.monotonic()
            while is_refused(verifier, token, KeyNotFoundError):
                assert time.monotonic() - rotated < 10 + LOAD, "the new key is not there after ten seconds"
                time.sleep(0.05)
            seconds = time.monotonic() - rotated
            passes(verifier, issuer.mint())
    assert told.keys() == {KeyNotFoundError}  # 401 and never 5xx
    assert 4 <= issuer.fetches["jwks"] <= 1 + 2 + (time.monotonic() - began) / 10
    row.saw(f"new key usable after {seconds:.1f} s and {told.total()} forged tokens", issuer.fetches)


@scenario("B15")
def test_b15_tokens_signed_before_their_key_is_published_are_refused_until_then_and_at_most_ten_seconds_longer(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    late, second = FakeKey.generate("ES256"), 0
    while is_refused(verifier, issuer.mint("ada", key=late), KeyNotFoundError):
        assert issuer.fetches["jwks"] == 2  # it was looked for once, and is remembered as absent
        clock.advance(1)
        second += 1
        if second == 20:
            issuer.publish(late)
    assert 20 <= second <= 30
    assert issuer.fetches["jwks"] == 3

    clock.advance(30)
    later = FakeKey.generate("ES256")
    assert is_refused(verifier, issuer.mint(key=later), KeyNotFoundError)
    issuer.rotate()
    passes(verifier, issuer.mint())  # the keys have changed, though that one is not yet among them
    issuer.publish(later)
    clock.advance(10)  # for the budget; the absence would have been remembered for twice as long
    passes(verifier, issuer.mint(key=later))
    assert issuer.fetches["jwks"] == 6
    row.saw(f"401 until published, accepted {second - 20} s later; a changed set forgot the absence", issuer.fetches)


class TwoReplicas(HeldIssuer):
    """Two replicas behind one address: new keys have reached A, and never reach B. ``turns`` says whose turn it is."""

    turns: Iterator[str] = repeat("B")

    def jwks(self) -> dict[str, object]:
        everything = super().jwks()
        keys = everything["keys"]
        assert isinstance(keys, list)
        return everything if next(self.turns) == "A" else {"keys": keys[:1]}


@scenario("B21")
def test_b21_replicas_that_disagree_cost_no_5xx_and_only_budgeted_fetches_and_the_one_without_the_key_wins(
    clock: Clock, row: Row
) -> None:
    """The tokens are young: of one issued a quarter of an hour before B's answer, that answer is conclusive."""
    issuer = TwoReplicas(clock=clock)
    with issuer.serve(), issuer.verifier() as verifier:
        settle(verifier)
        old = issuer.mint("bob", expires_in=7200)
        issuer.rotate()
        issuer.turns = cycle("AB")
        for step in range(360):  # an hour, asked every ten seconds; an error would end it
            if step % 30 == 0:
                new = issuer.mint("ada", expires_in=600)
            clock.advance(10)
            passes(verifier, old)  # when the keys are due, this starts the refresh, which finds B
            landed(verifier)
            passes(verifier, new)  # by B's keys it is unknown again, cached or not: one look, at A
            assert health(verifier).keys == 2
        due = (3600 - 10) // 300
        assert issuer.fetches["jwks"] == 1 + 1 + 2 * due
        issuer.turns = repeat("B")
        clock.advance(300)
        passes(verifier, old)
        landed(verifier)
        refuse(verifier, new)  # 401: what B says of it now counts, not what A has said
        issuer.turns = cycle("AB")
        clock.advance(31)
        passes(verifier, old, new)
    row.saw("an hour without a refusal or a 5xx; gone at both: refused", issuer.fetches)


@scenario("B23")
def test_b23_after_two_rotations_within_five_seconds_both_keys_are_usable_for_two_fetches(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    clock.advance(100)
    tokens = []
    for _ in range(2):
        issuer.rotate()
        tokens.append(issuer.mint())
        passes(verifier, tokens[-1])
        clock.advance(5)
    first_of_them = issuer.keys[1]
    assert isinstance(first_of_them, FakeKey)
    passes(verifier, *tokens, issuer.mint(key=first_of_them), issuer.mint())
    assert issuer.fetches["jwks"] == 1 + 2
    row.saw("tokens of both keys accepted", issuer.fetches)
