"""A provider that is down or slow: known keys go on, and nobody is told that a good token is bad."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import (
    KeyNotFoundError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.remote.asking import settle, unavailable
from tests.remote.hostile import HeldIssuer, HostileServer, answer

HOUR = 3600.0


def test_without_any_keys_an_outage_is_unavailability_with_a_time_to_come_back(issuer: HeldIssuer) -> None:
    with issuer.verifier() as verifier:
        with issuer.outage():
            for _ in range(5):
                error = unavailable(verifier, issuer.mint())
                assert 1 <= error.retry_after <= 15
        assert issuer.issuer_url in str(error)


def test_while_the_backoff_runs_nobody_waits_and_nothing_is_asked(issuer: HeldIssuer) -> None:
    issuer.status, issuer.jwks_headers = 503, {"retry-after": "120"}
    with issuer.verifier() as verifier:
        assert unavailable(verifier, issuer.mint()).retry_after == 120
        for _ in range(200):
            assert unavailable(verifier, issuer.mint()).retry_after == 120
        assert issuer.fetches["jwks"] == 1


def test_it_comes_back_by_itself_without_a_request(clock: Clock) -> None:
    issuer = HeldIssuer()
    with issuer.serve(), issuer.verifier() as verifier:
        with issuer.outage():
            unavailable(verifier, issuer.mint())
        issuer.wait_for_fetches(1)
        settle(verifier, strict=False)
        before = issuer.fetches.total()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches.total() == before


def test_the_first_request_after_the_backoff_waits_for_the_keys(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "120"}
        unavailable(verifier, issuer.mint())
        issuer.status = None
        clock.advance(119)
        assert unavailable(verifier, issuer.mint()).retry_after == 1
        clock.advance(2)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 2


@pytest.mark.parametrize(
    ("retry_after", "first_try"),
    [("120", 120), ("100000", 300), ("999999999999999999999", 300), ("-5", 1), ("soon", 1)],
)
def test_a_provider_that_asks_for_quiet_gets_it_within_reason(
    issuer: HeldIssuer, retry_after: str, first_try: int
) -> None:
    issuer.status, issuer.jwks_headers = 429, {"retry-after": retry_after}
    with issuer.verifier() as verifier:
        assert unavailable(verifier, issuer.mint()).retry_after == first_try


def test_a_provider_that_asks_for_quiet_at_its_discovery_gets_it_too(clock: Clock) -> None:
    with HostileServer(answer(b"", status=429, headers={"Retry-After": "120"})) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        with issuer.verifier() as verifier:
            assert unavailable(verifier, issuer.mint()).retry_after == 120
            assert len(server.requests) == 1


def test_those_who_ask_for_metadata_alone_do_not_break_its_quiet(clock: Clock) -> None:
    with HostileServer(answer(b"", status=429, headers={"Retry-After": "120"})) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        with issuer.verifier() as verifier:
            assert verifier.metadata() == ()  # as /openapi.json does, for whoever asks
            server.wait_for_request()
            settle(verifier, strict=False)
            asked = len(server.requests)
            for _ in range(11):
                clock.advance(10.5)
                assert verifier.metadata() == ()
            time.sleep(0.2)
            assert len(server.requests) == asked
            clock.advance(10)
            assert verifier.metadata() == ()
            server.wait_for_request()


def test_known_keys_answer_at_once_while_a_refresh_hangs(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        settle(verifier)
        clock.advance(301)
        with issuer.hold():
            for user in ("ada", "bob", "eve"):
                assert verifier.verify_now(issuer.mint(user)).user_id == user
            issuer.wait_until_held()
        settle(verifier)
        assert issuer.fetches["jwks"] == 2


def test_an_idle_process_waits_for_new_keys_and_goes_on_with_the_old_where_they_do_not_come(
    issuer: HeldIssuer, clock: Clock
) -> None:
    with issuer.verifier(fetch=FetchOptions(request_wait=0.1)) as verifier:
        settle(verifier)
        clock.advance(3 * HOUR)
        with issuer.hold():
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        settle(verifier)
        clock.advance(3 * HOUR)
        issuer.rotate()
        old = issuer.signing_key()
        issuer.rotate()
        issuer.retire(old.kid)
        with pytest.raises(KeyNotFoundError):  # it waited: by the keys at hand this one was unknown as well as gone
            verifier.verify_now(issuer.mint("ada", key=old))


def test_an_unknown_key_during_an_outage_is_unavailability_and_never_a_bad_token(
    issuer: HeldIssuer, clock: Clock
) -> None:
    with issuer.verifier() as verifier:
        settle(verifier)
        issuer.rotate()
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "20"}
        for _ in range(5):
            assert unavailable(verifier, issuer.mint("ada")).retry_after == 20
        assert issuer.fetches["jwks"] == 2
        for _ in range(10):  # after each backoff the same, however empty the budget is by then
            clock.advance(21)
            unavailable(verifier, issuer.mint("ada", key=FakeKey.generate("ES256")))
            unavailable(verifier, issuer.mint("ada"))
        issuer.status = None
        clock.advance(61)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_provider_that_dies_in_a_flood_does_not_make_bad_tokens_of_good_ones(
    issuer: HeldIssuer, clock: Clock
) -> None:
    with issuer.verifier() as verifier:
        settle(verifier)
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(issuer.mint(key=FakeKey.generate("ES256")))
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "3"}
        unavailable(verifier, issuer.mint(key=FakeKey.generate("ES256")))
        clock.advance(4)  # the backoff is over, and the budget is spent
        issuer.rotate()
        unavailable(verifier, issuer.mint("ada"))


def test_keys_go_on_for_four_hours_and_then_it_is_unavailability(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        token = issuer.mint("ada", expires_in=100_000)
        assert verifier.verify_now(token).user_id == "ada"
        with issuer.outage():
            clock.advance(4 * HOUR - 1)
            assert verifier.verify_now(token).user_id == "ada"
            clock.advance(62)
            assert unavailable(verifier, token).retry_after >= 1
            assert unavailable(verifier, token).retry_after >= 1
            unavailable(verifier, issuer.mint("ada", key=FakeKey.generate("ES256")))


def test_after_the_longest_outage_one_request_is_enough_to_come_back(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        with issuer.outage():
            clock.advance(5 * HOUR)
            unavailable(verifier, issuer.mint("ada"))
        verifier.pause()  # as after an idle hour: no timer runs that would ask again
        clock.advance(HOUR)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_longer_patience_can_be_chosen_and_none_at_all(issuer: HeldIssuer, clock: Clock) -> None:
    with (
        issuer.verifier(fetch=FetchOptions(max_stale=24 * HOUR)) as patient,
        issuer.verifier(fetch=FetchOptions(max_stale=0)) as strict,
    ):
        for verifier in (patient, strict):
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        with issuer.outage():
            clock.advance(301)
            unavailable(strict, issuer.mint("ada"))
            clock.advance(23 * HOUR)
            assert patient.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_suspended_machine_and_a_clock_set_back_do_not_make_keys_younger(issuer: HeldIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        settle(verifier)
        clock.suspend(6 * HOUR)
        old = issuer.signing_key()
        issuer.rotate()
        issuer.retire()
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(issuer.mint("ada", key=old))
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        before = issuer.fetches["jwks"]
        clock.set_time(clock.time() - 86400)
        clock.advance(299)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == before
        clock.advance(2)
        settle(verifier)
        assert issuer.fetches["jwks"] == before + 1


def test_an_outage_is_logged_when_it_begins_when_the_keys_grow_old_and_when_it_ends(
    issuer: HeldIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oidcbridge.keys")
    with issuer.verifier() as verifier:
        settle(verifier)
        caplog.clear()
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "200"}
        for _ in range(5):
            clock.advance(301)
            verifier.verify_now(issuer.mint("ada"))
            settle(verifier, strict=False)
        issuer.status = None
        clock.advance(301)
        settle(verifier)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "known keys go on" in said[0]
    assert "503" in said[0]
    assert "old keys are in use" in said[1]
    assert "again after 5 failures" in said[2]


def test_a_request_waits_no_longer_than_its_share_and_the_fetch_goes_on(issuer: HeldIssuer) -> None:
    with issuer.verifier(fetch=FetchOptions(request_wait=0.2)) as verifier:
        with issuer.hold():
            unavailable(verifier, issuer.mint("ada"))
            unavailable(verifier, issuer.mint("ada"))
        settle(verifier)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 1


def test_a_request_that_must_look_twice_waits_for_both_together_no_longer_than_for_one() -> None:
    issuer = HeldIssuer()
    waited: list[float] = []

    def verify(verifier: Verifier, token: str) -> None:
        started = time.monotonic()
        unavailable(verifier, token)
        waited.append(time.monotonic() - started)

    with issuer.serve(), issuer.verifier(fetch=FetchOptions(request_wait=0.6)) as verifier, issuer.hold() as let_go:
        verifier.start_warming()
        issuer.wait_until_held()
        issuer.rotate()  # the answer in the air does not hold the new key
        thread = threading.Thread(target=verify, args=(verifier, issuer.mint("ada")))
        thread.start()
        time.sleep(0.4)  # most of its share
        let_go()
        issuer.wait_until_held(2)
        thread.join()
    assert 0.5 < waited[0] < 0.9
