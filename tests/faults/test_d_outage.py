"""D: outage. Known keys go on without delay, unknown ones are a 503 and never a 401, and the provider has its peace."""

from __future__ import annotations

import asyncio
import math
import statistics
from email.utils import formatdate

import pytest

from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.errors import KeysUnavailableError
from oidcbridge.testing import Clock
from tests.asgi.kit import Answer, Probe, ask, bearer
from tests.faults.kit import LOAD, eventually, health, stopwatch
from tests.faults.outages import accept, fetches_of_ten_minutes
from tests.faults.table import Row, scenario
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import HeldIssuer

HOUR = 3600.0


@scenario("D35")
def test_d35_a_provider_whose_refresh_fails_delays_and_refuses_no_known_key(clock: Clock, row: Row) -> None:
    asked = [fetches_of_an_outage(status, clock) for status in (500, 502, 503, 429, 404)]
    row.saw("all accepted, none delayed", f"{min(asked)} to {max(asked)} jwks in 10 min of a request a second")


def fetches_of_an_outage(status: int, clock: Clock) -> int:
    """Known keys go on through refreshes that are answered ``status``; what ten minutes of it cost the provider."""
    issuer = HeldIssuer(clock=clock)
    with issuer.serve(), issuer.verifier() as verifier:
        settle(verifier)
        quiet = accept(verifier, issuer, 300)
        issuer.status, issuer.slow = status, 1.0
        clock.advance(301)
        meanwhile = accept(verifier, issuer, 300)  # the refresh that will fail takes its second
        issuer.slow = 0.0
        settle(verifier, strict=False)
        assert health(verifier).state == "degraded"
        meanwhile += accept(verifier, issuer, 300)
        assert max(meanwhile) < 1.0
        assert statistics.median(meanwhile) < 3 * statistics.median(quiet)
        spent = fetches_of_ten_minutes(verifier, issuer, clock, lambda: issuer.fetches["jwks"])
        issuer.status = None
        clock.advance(60)
        accept(verifier, issuer)
        settle(verifier)
        assert health(verifier).state == "fresh"
    return spent


@scenario("D36")
def test_d36_an_outage_of_five_hours_is_a_503_after_four_and_over_within_a_minute(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, watcher: Watcher, row: Row
) -> None:
    app, known = OIDCMiddleware(Probe(), verifier=verifier), issuer.mint("ada", expires_in=100_000)

    def ask_as(token: str) -> Answer:
        return ask(app, headers=bearer(token))

    issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}
    seen = []
    for _ in range(30):  # every ten minutes
        clock.advance(600)
        one, unknown = ask_as(known), ask_as(stranger(issuer))
        assert (unknown.status, unknown.header("retry-after")) == (503, "60")
        seen.append((one.status, one.header("retry-after"), health(verifier).state))
    assert seen == 23 * [(200, None, "degraded")] + 7 * [(503, "60", "dead")]
    assert issuer.fetches["jwks"] == 1 + 30
    assert watcher.of("serving_stale", "dead") == [{"budget_left": 4 * HOUR - 600}, {}]
    issuer.status = None
    clock.advance(59)
    assert (ask_as(known).status, ask_as(known).header("retry-after")) == (503, "1")
    clock.advance(1)
    assert ask_as(known).status == 200
    assert ask_as(stranger(issuer)).status == 401
    assert (health(verifier).state, issuer.fetches["jwks"]) == ("fresh", 1 + 30 + 2)
    assert watcher.of("recovered") == [{"failures": 30}]
    (numbers,) = verifier.metrics().issuers
    assert (numbers.failed, numbers.fetched, numbers.stale_served) == (30, 3, 23)
    row.saw("200 for 4 h, then 503 with Retry-After; 200 within 60 s of the return", issuer.fetches)


@scenario("D37")
def test_d37_a_provider_that_asks_for_quiet_has_it_for_five_minutes_at_most(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, watcher: Watcher, row: Row
) -> None:
    ten_years = 10 * 365 * 86_400
    in_two_minutes = formatdate(math.ceil(clock.time()) + 301 + 120, usegmt=True)
    for retry_after, quiet in ((in_two_minutes, 120), ("120", 120), (str(ten_years), 300)):
        before = issuer.fetches["jwks"]
        issuer.status, issuer.jwks_headers = 429, {"retry-after": retry_after}
        clock.advance(301)
        accept(verifier, issuer)
        settle(verifier, strict=False)
        issuer.status = None
        for left in range(quiet, 0, -1):
            assert left <= unavailable(verifier, stranger(issuer)).retry_after <= left + 1
            accept(verifier, issuer)
            assert issuer.fetches["jwks"] == before + 1
            clock.advance(1)
        clock.advance(1)  # a date has whole seconds
        accept(verifier, issuer)
        settle(verifier)
        assert (health(verifier).state, issuer.fetches["jwks"]) == ("fresh", before + 2)
        assert watcher.of("fetch_failed")[-1]["next_try_in"] == pytest.approx(quiet + 0.5, abs=0.5)
    row.saw("no fetch for 120 s, for 300 s where ten years were asked", issuer.fetches)


@scenario("D40")
def test_d40_an_unknown_kid_in_an_outage_is_a_503_after_2_5_s_at_most_and_at_once_in_the_backoff(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer = real_time_issuer

    async def wait_for_nothing(verifier: Verifier, token: str) -> float:
        with stopwatch() as watch:
            outcome = (await asyncio.gather(verifier.verify(token), return_exceptions=True))[0]
        assert isinstance(outcome, KeysUnavailableError), outcome
        return watch.seconds

    async def crowd(verifier: Verifier) -> list[float]:
        return await asyncio.gather(*(wait_for_nothing(verifier, stranger(issuer)) for _ in range(50)))

    with issuer.verifier() as verifier:
        settle(verifier)
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}
        with issuer.hold():  # it says nothing for longer than the 5 s of a fetch
            waited = asyncio.run(crowd(verifier))
            assert 2.5 <= min(waited) <= max(waited) < 2.5 + LOAD
            accept(verifier, issuer)
            eventually(lambda: health(verifier).failures >= 1)
        eventually(lambda: health(verifier).failures >= 2)
        asked = issuer.fetches["jwks"]
        assert max(max(asyncio.run(crowd(verifier))) for _ in range(20)) < 2.5 / 2
        accept(verifier, issuer)
        assert issuer.fetches["jwks"] == asked
    row.saw("503 at 2.5 s, then at once", issuer.fetches)


@scenario("D41")
def test_d41_an_error_that_may_be_cached_for_a_day_delays_nothing(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    for status in (503, 404):
        before = issuer.fetches["jwks"]
        tomorrow = formatdate(clock.time() + 86_400, usegmt=True)
        issuer.status, issuer.jwks_headers = status, {"cache-control": "max-age=86400", "expires": tomorrow}
        clock.advance(301)
        accept(verifier, issuer)
        issuer.wait_for_fetches(before + 3)  # by itself, within a second or two of real time
        settle(verifier, strict=False)
        assert health(verifier).state == "degraded"
        issuer.status, issuer.jwks_headers = None, {}
        clock.advance(60)
        accept(verifier, issuer)
        eventually(lambda: health(verifier).state == "fresh")  # one that began before that may have to fail first
        recovered = issuer.fetches["jwks"]
        for age, expected in ((299, recovered), (301, recovered + 1)):  # what it said then counts for nothing now
            clock.advance(age - (health(verifier).age or 0.0))
            accept(verifier, issuer)
            settle(verifier)
            assert issuer.fetches["jwks"] == expected
    row.saw("tried again after a second, fresh for 300 s after that", issuer.fetches)


@scenario("D43")
def test_d43_after_idle_hours_the_first_requests_wait_for_one_fetch_and_go_on_without_it_where_it_fails(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    async def crowd() -> set[str]:
        return {one.user_id for one in await asyncio.gather(*(verifier.verify(issuer.mint("ada")) for _ in range(100)))}

    for idle, expected in ((3 * HOUR, 2), (5 * HOUR, 3)):
        withdrawn = issuer.signing_key()
        issuer.rotate()
        issuer.retire()
        clock.advance(idle)
        assert health(verifier).state == "expired"
        refuse(verifier, issuer.mint(key=withdrawn))  # so it was not the old set that answered
        assert asyncio.run(crowd()) == {"ada"}
        assert (health(verifier).state, issuer.fetches["jwks"]) == ("fresh", expected)
    with issuer.outage():
        clock.advance(3 * HOUR)
        assert asyncio.run(crowd()) == {"ada"}
        assert health(verifier).state == "degraded"
        clock.advance(2 * HOUR)
        unavailable(verifier, issuer.mint("ada"))
    assert issuer.fetches["discovery"] == 1
    row.saw("one fetch before use; served stale at 3 h of outage, 503 at 5 h", issuer.fetches)
