"""Family B, second half: keys that go. What a provider withdraws is refused in time, whoever remembers it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import BadSignatureError, KeyNotFoundError, RevokedTokenError
from oidcbridge.testing import Clock, FakeKey
from tests.faults.kit import health
from tests.faults.rotation import failed, is_refused, landed, passes
from tests.faults.table import Row, scenario
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, unavailable
from tests.remote.hostile import HeldIssuer

SOFT = 300


@pytest.fixture
def issuer(clock: Clock) -> Iterator[HeldIssuer]:
    """An issuer with two keys from the start: the ES256 one gets lost, the ES384 one is steady."""
    issuer = HeldIssuer(algorithms=("ES256", "ES384"), clock=clock)
    with issuer.serve():
        yield issuer


def lose(issuer: HeldIssuer) -> None:
    """An emergency: another ES256 key signs from now on, and the one before it is published no more."""
    issuer.rotate("ES256")
    issuer.retire()


@scenario("B16")
def test_b16_a_removed_key_is_refused_within_its_age_and_after_a_forced_refresh_at_once(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    lost, steady = issuer.mint("eve", expires_in=3600), issuer.mint("bob", alg="ES384", expires_in=3600)
    passes(verifier, lost)
    clock.advance(1)  # the worst moment: just after a fetch
    lose(issuer)
    seconds = 0
    while not is_refused(verifier, lost, KeyNotFoundError):
        assert seconds < SOFT + 5
        clock.advance(1)
        seconds += 1
        passes(verifier, steady)  # once the keys are due, this starts the refresh
        landed(verifier)
    assert issuer.fetches["jwks"] == 3  # the first, the one that was due, and a last look for the lost key
    lost = issuer.mint("eve")
    passes(verifier, lost)
    lose(issuer)
    passes(verifier, lost)
    asyncio.run(verifier.refresh(force=True))
    assert issuer.fetches["jwks"] == 4
    refuse(verifier, lost)
    passes(verifier, steady, issuer.mint())
    row.saw(f"refused after {seconds} s of traffic; after refresh(force=True) on the next request", issuer.fetches)


@scenario("B17")
def test_b17_a_token_that_was_verified_before_is_refused_at_the_same_moment(
    issuer: HeldIssuer, clock: Clock, row: Row
) -> None:
    lost, steady = issuer.mint("eve", expires_in=3600), issuer.mint("bob", alg="ES384", expires_in=3600)
    with issuer.verifier() as caching, issuer.verifier(token_cache=0) as plain:
        for verifier in (caching, plain):
            settle(verifier)
            passes(verifier, lost)
        assert caching.verify_now(lost) is caching.verify_now(lost)  # it is in the cache
        assert plain.verify_now(lost) is not plain.verify_now(lost)
        clock.advance(1)
        lose(issuer)
        seconds = 0
        refused = (False, False)
        while refused == (False, False):
            assert seconds < SOFT + 5
            clock.advance(1)
            seconds += 1
            for verifier in (caching, plain):
                passes(verifier, steady)
                landed(verifier)
            refused = (is_refused(caching, lost, KeyNotFoundError), is_refused(plain, lost, KeyNotFoundError))
        assert refused == (True, True)
        assert issuer.fetches["jwks"] == 2 * 3  # as in B16, for each of the two
        lost = issuer.mint("eve")
        passes(caching, lost)
        lose(issuer)
        asyncio.run(caching.refresh(force=True))
        refuse(caching, lost)
    row.saw(f"refused by both after {seconds} s, and after refresh(force=True) on the next request", issuer.fetches)


@scenario("B18")
def test_b18_a_denied_key_is_refused_on_the_next_request_without_any_network(
    issuer: HeldIssuer, verifier: Verifier, row: Row
) -> None:
    lost, steady = issuer.mint("eve"), issuer.mint("bob", alg="ES384")
    passes(verifier, lost, steady)
    with issuer.outage():  # nobody could be asked
        verifier.deny_key(issuer.signing_key().kid)
        for token in (lost, issuer.mint("eve")):  # one in the cache, one never seen
            refuse(verifier, token, RevokedTokenError)
        passes(verifier, steady, issuer.mint("bob", alg="ES384"))
    fetches = dict(issuer.fetches)
    assert fetches["jwks"] == 1
    asyncio.run(verifier.refresh(force=True))  # the provider still publishes it
    refuse(verifier, lost, RevokedTokenError)
    row.saw("refused at once, cached or not; a refresh did not bring it back", fetches)


@scenario("B19")
def test_b19_a_key_removed_while_the_provider_is_out_of_reach_lives_until_max_stale_then_503(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, watcher: Watcher, row: Row
) -> None:
    """How often the provider is asked is the backoff's and in part real time's, so that has a bound and no figure."""
    lost = issuer.signing_key()
    lose(issuer)
    with issuer.outage():
        for step, pause in enumerate([600] * 23 + [599], start=1):
            clock.advance(pause)
            passes(verifier, *(issuer.mint("eve", key=lost) for _ in range(20)))
            failed(verifier, step)
        now = health(verifier)
        assert (now.state, now.usable) == ("degraded", True)
        assert now.stale_budget_left == pytest.approx(1)
        for pause in (1, 61):  # while the last attempt's backoff runs, and when another has failed
            clock.advance(pause)
            for token in (issuer.mint("eve", key=lost), issuer.mint("ada"), issuer.mint("bob", alg="ES384")):
                assert 1 <= unavailable(verifier, token).retry_after <= 60
            assert not health(verifier).usable
        after, fetches = health(verifier), dict(issuer.fetches)
    assert after.state == "dead"
    assert watcher.of("serving_stale", "dead") == [{"budget_left": 4 * 3600 - 600}, {}]
    assert verifier.metrics().issuers[0].stale_served >= 480
    assert after.failures <= 26 + 5  # one each time that the clock has moved on, and a few by the timer
    assert all(fetches[kind] <= 1 + 2 * after.failures for kind in fetches)  # one more try within each attempt
    clock.advance(61)
    passes(verifier, issuer.mint("ada"))
    refuse(verifier, issuer.mint("eve", key=lost))
    assert watcher.of("recovered") == [{"failures": after.failures}]
    assert watcher.of("keys_removed") == [{"kids": (lost.kid,)}]
    row.saw("480 of 480 accepted for 3:59:59, then 503; once it was back, 401", fetches)


@scenario("B20")
def test_b20_new_material_under_the_same_kid_heals_within_a_minute_and_the_old_material_is_void(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    before, steady = issuer.mint("eve"), issuer.mint("bob", alg="ES384")
    passes(verifier, before)
    clock.advance(1)
    old = issuer.signing_key()
    new = FakeKey.generate("ES256", kid=old.kid)
    issuer.keys[0] = new
    seconds = 0
    while True:
        try:
            passes(verifier, issuer.mint("ada", key=new))
            break
        except BadSignatureError:
            passes(verifier, steady)
            clock.advance(1)
            seconds += 1
            assert seconds <= 60
    assert issuer.fetches["jwks"] == 2
    for token in (before, issuer.mint("eve", key=old)):  # one was in the cache of verified tokens
        refuse(verifier, token, BadSignatureError)
    passes(verifier, steady, issuer.mint("ada", key=new))
    assert issuer.fetches["jwks"] == 2
    row.saw(f"healed after {seconds} s; old material refused", issuer.fetches)


@scenario("B22")
def test_b22_a_thousand_old_tokens_of_a_retired_key_are_refused_without_a_fetch(
    issuer: HeldIssuer, clock: Clock, row: Row
) -> None:
    retired, tokens = issuer.signing_key(), [issuer.mint(f"user-{n}", expires_in=7200) for n in range(1000)]
    lose(issuer)
    clock.advance(901)
    with issuer.verifier() as verifier:
        settle(verifier)
        for token in tokens:
            refuse(verifier, token)
        assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 1)
        passes(verifier, issuer.mint())
        fetches = dict(issuer.fetches)
        refuse(verifier, issuer.mint(key=retired))  # signed since: might be a key that is about to be published
        assert issuer.fetches["jwks"] == 2
    row.saw("1,000 of 1,000 refused, nothing asked beside the first fetch", fetches)


@scenario("B24")
def test_b24_when_all_keys_are_replaced_the_new_are_accepted_at_once_and_the_old_refused_at_once(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    old = [issuer.mint("eve", alg=alg) for alg in ("ES256", "ES384")]
    unseen = [issuer.mint("eve", alg=alg) for alg in ("ES256", "ES384")]
    passes(verifier, *old)
    clock.advance(100)
    for alg in ("ES256", "ES384"):
        issuer.rotate(alg)
    issuer.retire()
    passes(verifier, issuer.mint("ada"), issuer.mint("ada", alg="ES384"))
    assert issuer.fetches["jwks"] == 2
    for token in old + unseen:
        refuse(verifier, token)
    assert issuer.fetches["jwks"] == 3  # a last look for one old kid; the other found the budget spent
    passes(verifier, issuer.mint("ada"), issuer.mint("ada", alg="ES384"))
    row.saw("new accepted in that request, old refused from then on, cached or not", issuer.fetches)
