"""New keys are seen at once, and old ones leave in time."""

from __future__ import annotations

import threading
import time

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.testing import Clock
from tests.remote.asking import refuse, settle, stranger
from tests.remote.hostile import HeldIssuer


def test_the_first_token_of_a_new_key_passes_and_costs_one_fetch(issuer: HeldIssuer, verifier: Verifier) -> None:
    issuer.rotate()  # without any overlap, a moment after the last fetch
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
    assert issuer.fetches["jwks"] == 2


def test_two_rotations_in_a_row_both_pass(issuer: HeldIssuer, verifier: Verifier) -> None:
    for _ in range(2):
        issuer.rotate()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 3


def test_a_key_published_ahead_of_its_first_use_costs_nothing(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock
) -> None:
    old = issuer.mint("ada")
    issuer.rotate()
    clock.advance(301)
    assert verifier.verify_now(old).user_id == "ada"  # starts the refresh that brings the new key
    settle(verifier)
    assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
    assert issuer.fetches["jwks"] == 2


def test_a_request_that_joins_an_answer_already_in_the_air_looks_again(issuer: HeldIssuer, verifier: Verifier) -> None:
    passed: list[str] = []
    with issuer.hold():
        forged = threading.Thread(target=lambda: refuse(verifier, stranger(issuer)))
        forged.start()
        issuer.wait_until_held()  # this answer is made, and does not hold the key that comes now
        issuer.rotate()
        token = issuer.mint("ada")
        honest = threading.Thread(target=lambda: passed.append(verifier.verify_now(token).user_id))
        honest.start()
    honest.join()
    forged.join()
    assert passed == ["ada"]
    assert issuer.fetches["jwks"] == 3


def test_a_cold_request_that_joins_an_answer_already_in_the_air_looks_again(issuer: HeldIssuer) -> None:
    passed: list[str] = []
    with issuer.verifier() as verifier:
        with issuer.hold():
            verifier.start_warming()
            issuer.wait_until_held()
            issuer.rotate()
            token = issuer.mint("ada")
            honest = threading.Thread(target=lambda: passed.append(verifier.verify_now(token).user_id))
            honest.start()
        honest.join()
    assert passed == ["ada"]
    assert issuer.fetches["jwks"] == 2


@pytest.mark.parametrize("token_cache", [0, 100])
def test_a_removed_key_is_refused_once_its_set_is_past_its_age(
    issuer: HeldIssuer, clock: Clock, token_cache: int
) -> None:
    with issuer.verifier(token_cache=token_cache) as verifier:
        old = issuer.mint("ada", expires_in=3600)
        assert verifier.verify_now(old).user_id == "ada"
        issuer.rotate()
        issuer.retire()
        clock.advance(299)
        assert verifier.verify_now(old).user_id == "ada"
        clock.advance(2)
        verifier.verify_now(old)  # the last one: it starts the refresh, and does not wait for it
        settle(verifier)
        refuse(verifier, old)
        assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"


@pytest.mark.parametrize("token_cache", [0, 100])
def test_after_an_idle_hour_a_removed_key_is_refused_at_once(
    issuer: HeldIssuer, clock: Clock, token_cache: int
) -> None:
    with issuer.verifier(token_cache=token_cache) as verifier:
        old = issuer.mint("ada", expires_in=7200)
        assert verifier.verify_now(old).user_id == "ada"
        issuer.rotate()
        issuer.retire()
        clock.advance(3600)
        refuse(verifier, old)


def test_a_removed_key_and_its_cached_tokens_are_refused_as_soon_as_any_fetch_shows_it_gone(
    issuer: HeldIssuer, verifier: Verifier
) -> None:
    old = issuer.mint("ada")
    assert verifier.verify_now(old).user_id == "ada"
    issuer.rotate()
    issuer.retire()
    assert verifier.verify_now(old).user_id == "ada"
    assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
    refuse(verifier, old)


def test_keys_are_refreshed_ahead_of_their_age_while_they_are_used_and_not_when_paused(
    real_time_issuer: HeldIssuer,
) -> None:
    issuer = real_time_issuer
    options = FetchOptions(max_age=0.4, min_max_age=0.1)
    with issuer.verifier(fetch=options) as used, issuer.verifier(fetch=options) as paused:
        settle(used)
        settle(paused)
        paused.pause()
        issuer.wait_for_fetches(5)
        used.pause()
        settled = issuer.fetches["jwks"]
        assert settled <= 6
        time.sleep(0.6)  # longer than any timer that could still be running
        assert issuer.fetches["jwks"] <= settled + 1


def test_keys_that_nobody_has_used_for_a_quarter_of_an_hour_are_not_refreshed(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier(fetch=FetchOptions(max_age=0.2, min_max_age=0.1)) as verifier:
        settle(verifier)
        issuer.wait_for_fetches(3)  # in real time, while by the clock that counts it was used just now
        clock.advance(900)
        settled = issuer.fetches["jwks"]
        time.sleep(0.5)
        assert issuer.fetches["jwks"] <= settled + 1


def test_a_verifier_closed_in_the_middle_of_a_fetch_makes_no_other(real_time_issuer: HeldIssuer) -> None:
    issuer = real_time_issuer
    verifier = issuer.verifier(fetch=FetchOptions(max_age=0.2, min_max_age=0.1))
    with issuer.hold():
        verifier.start_warming()
        issuer.wait_until_held()
        verifier.close()
    time.sleep(0.6)
    assert issuer.fetches["jwks"] == 1


def test_how_long_keys_are_kept_ready_for_nobody_can_be_chosen(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier(fetch=FetchOptions(max_age=0.2, min_max_age=0.1, idle_after=60)) as verifier:
        settle(verifier)
        issuer.wait_for_fetches(3)  # its timer runs in real time
        clock.advance(61)
        seen = issuer.fetches["jwks"]
        time.sleep(0.6)
        assert issuer.fetches["jwks"] <= seen + 1, "one may have been under way"


def test_the_age_from_which_idle_keys_are_waited_for_can_be_chosen(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier(fetch=FetchOptions(hard_age=2000)) as patient, issuer.verifier() as usual:
        settle(patient)
        settle(usual)
        clock.advance(1999)
        assert (patient.health()[0].state, usual.health()[0].state) == ("stale", "expired")
        clock.advance(1)
        assert patient.health()[0].state == "expired"
