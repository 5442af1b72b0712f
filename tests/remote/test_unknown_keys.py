"""What strangers can ask for has a budget, and what an honest rotation needs fits into it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from oidcbridge import FetchOptions, Verifier, verification
from oidcbridge.core.policy import Clock as RealClock
from oidcbridge.core.verify import verify
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    BadSignatureError,
    ExpiredTokenError,
    KeysUnavailableError,
    TokenError,
    UnknownIssuerError,
)
from oidcbridge.testing import OMIT, Clock, FakeKey
from tests.remote.asking import refuse, settle, stranger
from tests.remote.hostile import HeldIssuer


def test_one_forged_kid_does_not_keep_a_real_rotation_out(issuer: HeldIssuer, verifier: Verifier) -> None:
    refuse(verifier, stranger(issuer))
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 3


def test_strangers_have_a_budget_of_two_fetches_and_one_more_each_ten_seconds(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    for expected in (3, 3, 4, 4, 5):
        for _ in range(20):
            refuse(verifier, stranger(issuer))  # 401 and never 503: strangers must not be able to raise alarms
        assert issuer.fetches["jwks"] == expected
        clock.advance(5)
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_rotation_during_a_flood_is_seen_at_the_next_refill_without_another_request(
    real_time_issuer: HeldIssuer,
) -> None:
    issuer = real_time_issuer
    with issuer.verifier(fetch=FetchOptions(unknown_kid_interval=0.3)) as verifier:
        settle(verifier)
        for _ in range(10):
            refuse(verifier, stranger(issuer))
        assert issuer.fetches["jwks"] == 3
        issuer.rotate()
        with issuer.hold():
            issuer.wait_for_fetches(4)
        settle(verifier)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 4


class OwnClock(RealClock):
    """Real time, all the same."""


def test_a_flood_costs_no_more_than_its_budget_with_the_refreshes_it_leaves_behind(
    real_time_issuer: HeldIssuer,
) -> None:
    issuer = real_time_issuer
    interval = 0.25
    # A clock of its own has a process budget of its own, of which other tests have spent nothing.
    with issuer.verifier(fetch=FetchOptions(unknown_kid_interval=interval), clock=OwnClock()) as verifier:
        settle(verifier)
        started = time.monotonic()
        while time.monotonic() - started < 2:
            refuse(verifier, stranger(issuer))
        assert 4 <= issuer.fetches["jwks"] <= 1 + 2 + (time.monotonic() - started) / interval


def test_the_refresh_that_a_flood_leaves_behind_is_paid_from_the_budget(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier(fetch=FetchOptions(unknown_kid_interval=0.05)) as verifier:
        settle(verifier)
        for _ in range(5):
            refuse(verifier, stranger(issuer))
        time.sleep(0.3)  # its timer runs in real time, and rings too early by the clock that counts
        assert issuer.fetches["jwks"] == 3
        clock.advance(0.06)
        issuer.wait_for_fetches(4)
        settle(verifier)
        refuse(verifier, stranger(issuer))
        assert issuer.fetches["jwks"] == 4


def test_a_flood_is_logged_once_and_not_a_line_for_each_request(
    issuer: HeldIssuer, verifier: Verifier, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        refuse(verifier, stranger(issuer))
    assert sum("too many unknown keys" in record.getMessage() for record in caplog.records) == 1


def test_an_unknown_kid_is_remembered_for_thirty_seconds(issuer: HeldIssuer, verifier: Verifier, clock: Clock) -> None:
    key = FakeKey.generate("ES256", kid="nobody")
    for _ in range(100):
        refuse(verifier, issuer.mint(key=key))
    assert issuer.fetches["jwks"] == 2
    clock.advance(29.9)
    refuse(verifier, issuer.mint(key=key))
    assert issuer.fetches["jwks"] == 2
    clock.advance(0.2)
    refuse(verifier, issuer.mint(key=key))
    assert issuer.fetches["jwks"] == 3


def test_an_unknown_kid_is_forgotten_as_soon_as_the_keys_change(issuer: HeldIssuer, verifier: Verifier) -> None:
    late = FakeKey.generate("ES256")
    refuse(verifier, issuer.mint(key=late))  # signed with before it was published
    issuer.publish(late)
    refuse(verifier, issuer.mint(key=late))
    assert issuer.fetches["jwks"] == 2
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert verifier.verify_now(issuer.mint("bob", key=late)).user_id == "bob"
    assert issuer.fetches["jwks"] == 3


def test_an_unknown_kid_is_looked_for_again_once_other_keys_have_come(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    late = FakeKey.generate("ES256")
    refuse(verifier, issuer.mint(key=late))
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    clock.advance(10)  # for the budget; the kid would be remembered for twenty seconds more
    issuer.publish(late)
    assert verifier.verify_now(issuer.mint("bob", key=late)).user_id == "bob"


def test_old_tokens_of_retired_keys_cost_no_fetch(issuer: HeldIssuer, verifier: Verifier, clock: Clock) -> None:
    for _ in range(100):
        refuse(verifier, stranger(issuer, issued_ago=901))
    assert issuer.fetches["jwks"] == 1
    # Entra backdates `iat` by five minutes, so a younger one proves nothing; nor does one that is not there.
    refuse(verifier, stranger(issuer, issued_ago=899))
    refuse(verifier, stranger(issuer, claims={"iat": OMIT}))
    assert issuer.fetches["jwks"] == 3


def test_an_old_token_of_a_key_that_is_published_passes(issuer: HeldIssuer, verifier: Verifier) -> None:
    assert verifier.verify_now(issuer.mint("ada", issued_ago=40_000)).user_id == "ada"


def test_how_old_the_answer_was_counts_for_that_rule(issuer: HeldIssuer) -> None:
    issuer.jwks_headers = {"age": "500"}  # a cache between us: the keys are those of 500 seconds ago
    with issuer.verifier() as verifier:
        settle(verifier)
        refuse(verifier, stranger(issuer, issued_ago=1399))
        assert issuer.fetches["jwks"] == 2
        refuse(verifier, stranger(issuer, issued_ago=1401))
        assert issuer.fetches["jwks"] == 2


def test_a_clock_that_was_fast_at_the_fetch_and_is_set_right_refuses_no_token_of_a_new_key(
    issuer: HeldIssuer, clock: Clock
) -> None:
    right = clock.time()
    clock.set_time(right + 3600)
    with issuer.verifier() as verifier:
        settle(verifier)
        clock.set_time(right)
        issuer.rotate()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 2
        clock.advance(120)
        refuse(verifier, stranger(issuer, issued_ago=1021))  # before the fetch by more than the tolerance: conclusive
        assert issuer.fetches["jwks"] == 2
        refuse(verifier, stranger(issuer, issued_ago=1019))
        assert issuer.fetches["jwks"] == 3


@pytest.mark.parametrize(
    ("flaw", "error"),
    [
        ({"audience": "another-api"}, AudienceMismatchError),
        ({"expires_in": -61}, ExpiredTokenError),
        ({"claims": {"iss": "https://evil.example"}}, UnknownIssuerError),
        ({"header": {"alg": "HS256"}}, AlgorithmNotAllowedError),
        ({"header": {"alg": "none"}}, AlgorithmNotAllowedError),
        ({"kind": "id"}, TokenError),
    ],
)
def test_what_no_key_could_save_is_refused_before_any_fetch(
    issuer: HeldIssuer, flaw: dict[str, object], error: type[TokenError]
) -> None:
    with issuer.verifier() as cold:
        refuse(cold, stranger(issuer, **flaw), error)
        assert issuer.fetches.total() == 0
        settle(cold)
        refuse(cold, stranger(issuer, **flaw), error)
        assert issuer.fetches["jwks"] == 1


def test_a_kid_given_to_new_material_heals_by_itself(issuer: HeldIssuer, verifier: Verifier, clock: Clock) -> None:
    old = issuer.signing_key()
    new = FakeKey.generate("ES256", kid=old.kid)
    issuer.keys[:] = [new]
    refuse(verifier, issuer.mint("ada", key=new), BadSignatureError)  # the keys are too fresh to suspect them
    assert issuer.fetches["jwks"] == 1
    clock.advance(61)
    assert verifier.verify_now(issuer.mint("ada", key=new)).user_id == "ada"
    assert issuer.fetches["jwks"] == 2
    refuse(verifier, issuer.mint("ada", key=old), BadSignatureError)


def test_a_kid_given_to_new_material_refuses_nobody_however_many_come_at_once(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    new = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    issuer.keys[:] = [new]
    clock.advance(61)

    async def crowd() -> list[str]:
        users = [f"user-{number}" for number in range(20)]
        with issuer.hold():
            asked = [asyncio.ensure_future(verifier.verify(issuer.mint(user, key=new))) for user in users]
            await asyncio.to_thread(issuer.wait_until_held)
        return [(await one).user_id for one in asked]

    assert asyncio.run(crowd()) == [f"user-{number}" for number in range(20)]
    assert issuer.fetches["jwks"] == 2


def test_new_material_that_lands_in_the_middle_of_a_verification_counts_for_it(
    issuer: HeldIssuer, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    issuer.keys[:] = [new]

    def verify_late(*args: Any) -> Any:
        monkeypatch.setattr(verification, "verify", verify)
        asyncio.run(verifier.refresh(force=True))
        return verify(*args)

    monkeypatch.setattr(verification, "verify", verify_late)
    assert verifier.verify_now(issuer.mint("ada", key=new)).user_id == "ada"
    refuse(verifier, issuer.mint("ada", key=FakeKey.generate("ES256", kid=new.kid)), BadSignatureError)
    assert issuer.fetches["jwks"] == 2


def test_forged_signatures_under_a_known_kid_cost_one_fetch_a_minute_at_most(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    forger = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    for minute in range(3):
        for _ in range(50):
            refuse(verifier, issuer.mint(key=forger), BadSignatureError)
        assert issuer.fetches["jwks"] == 1 + minute
        clock.advance(61)
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_forged_signatures_do_not_ask_a_provider_that_has_asked_for_quiet(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    issuer.status, issuer.jwks_headers = 429, {"retry-after": "240"}
    clock.advance(61)
    forger = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    refuse(verifier, issuer.mint(key=forger), BadSignatureError)
    assert issuer.fetches["jwks"] == 2
    for _ in range(11):
        clock.advance(20)
        refuse(verifier, issuer.mint(key=forger), BadSignatureError)
    assert issuer.fetches["jwks"] == 2


def test_forged_signatures_leave_real_rotations_their_share_of_the_budget(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    clock.advance(61)
    forger = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    for _ in range(10):
        refuse(verifier, issuer.mint(key=forger), BadSignatureError)
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 3
    refuse(verifier, stranger(issuer))  # the budget of two is spent
    assert issuer.fetches["jwks"] == 3


def test_a_known_kid_never_answers_for_another_algorithm(issuer: HeldIssuer, verifier: Verifier) -> None:
    refuse(verifier, issuer.mint(header={"alg": "ES384"}))
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_the_answer_to_a_suppressed_key_can_be_503_with_the_seconds_to_the_refill(
    issuer: HeldIssuer, clock: Clock
) -> None:
    with issuer.verifier(fetch=FetchOptions(on_suppressed="503")) as verifier:
        settle(verifier)
        for _ in range(2):
            refuse(verifier, stranger(issuer))
        clock.advance(3)
        with pytest.raises(KeysUnavailableError) as caught:
            verifier.verify_now(stranger(issuer))
        assert caught.value.retry_after == 7
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 3


def test_the_age_at_which_a_bad_signature_is_worth_a_fetch_can_be_chosen(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier(fetch=FetchOptions(suspect_age=5)) as verifier:
        settle(verifier)
        forged = issuer.mint(key=FakeKey.generate("ES256", kid=issuer.signing_key().kid))
        clock.advance(4.9)
        refuse(verifier, forged, BadSignatureError)
        assert issuer.fetches["jwks"] == 1
        clock.advance(0.1)
        refuse(verifier, forged, BadSignatureError)
        assert issuer.fetches["jwks"] == 2


@pytest.mark.parametrize("burst", [0, 1])
def test_strangers_do_not_put_off_the_refresh_that_is_due_anyway(issuer: HeldIssuer, burst: int) -> None:
    options = FetchOptions(max_age=0.4, min_max_age=0.1, unknown_kid_interval=3600, unknown_kid_burst=burst)
    with issuer.verifier(fetch=options) as verifier:
        settle(verifier)
        for _ in range(5):
            refuse(verifier, stranger(issuer))
        seen = issuer.fetches["jwks"]
        issuer.wait_for_fetches(seen + 3)  # its timer runs in real time, and its clock stands still
