"""Family H: time that jumps, sleeps and is written in odd ways. Keys never look younger than they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from math import inf, nan

import pytest

from oidcbridge import ConfigurationError, Verifier
from oidcbridge.errors import ClaimError, ExpiredTokenError, NotYetValidError, TokenError
from oidcbridge.testing import OMIT, Clock, FakeIssuer
from tests.faults.kit import eventually, health
from tests.faults.rotation import is_refused, landed, passes
from tests.faults.table import Row, scenario
from tests.remote.asking import refuse, settle, stranger
from tests.remote.hostile import HeldIssuer, HostileServer, answer

HOUR = 3600.0
DAY = 86400.0


def http_date(seconds: float) -> str:
    """An HTTP-date (RFC 9110 section 5.6.7), whatever the process's time zone."""
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def strangers_ask(verifier: Verifier, issuer: HeldIssuer) -> None:
    for _ in range(50):
        refuse(verifier, stranger(issuer))


@scenario("H75")
def test_h75_a_wall_clock_that_jumps_a_day_makes_no_keys_younger_and_no_storm_and_judges_tokens(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    today = issuer.mint()
    passes(verifier, today)
    strangers_ask(verifier, issuer)
    assert issuer.fetches["jwks"] == 1 + 2  # their budget is spent
    clock.set_time(clock.time() + DAY)
    refuse(verifier, today, ExpiredTokenError)  # by the clock as it stands, also from the cache
    tomorrow = issuer.mint()
    passes(verifier, tomorrow, *(issuer.mint() for _ in range(100)))
    strangers_ask(verifier, issuer)
    assert issuer.fetches["jwks"] == 4  # the keys may be a day old: asked once, and no day has refilled the budget

    clock.set_time(clock.time() - DAY)
    refuse(verifier, tomorrow, NotYetValidError)
    clock.advance(299)
    passes(verifier, today, *(issuer.mint() for _ in range(100)))
    assert issuer.fetches["jwks"] == 4
    clock.advance(1)  # due by the time that has passed, though they were fetched tomorrow
    passes(verifier, *(issuer.mint() for _ in range(100)))
    landed(verifier)
    assert issuer.fetches["jwks"] == 5
    issuer.rotate()
    passes(verifier, issuer.mint())  # five minutes have refilled the budget, whatever the wall clock did
    assert issuer.fetches["jwks"] == 6
    assert issuer.fetches["discovery"] <= 2  # that may have been a day old as well
    row.saw("tokens judged by the new time; one fetch for the jump ahead, none for the one back", issuer.fetches)


@scenario("H76")
def test_h76_after_six_hours_of_sleep_the_keys_are_asked_for_before_any_is_used(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    seen = issuer.mint("eve", expires_in=12 * 3600)
    passes(verifier, seen)
    clock.suspend(6 * HOUR)  # monotonic time stood still
    issuer.rotate()
    issuer.retire()
    refuse(verifier, seen)  # the very first request: it was in the cache, and its key has gone meanwhile
    assert issuer.fetches["jwks"] == 2
    passes(verifier, *(issuer.mint() for _ in range(100)))
    assert issuer.fetches["jwks"] == 2

    clock.set_time(clock.time() - 12 * HOUR)  # a board without a battery: even the wall clock says nothing
    lost = issuer.signing_key()
    clock.suspend(6 * HOUR)
    issuer.rotate()
    issuer.retire()
    refuse(verifier, issuer.mint("eve", key=lost))
    passes(verifier, issuer.mint())
    assert issuer.fetches["jwks"] == 3
    row.saw("asked before use; a key removed during the sleep refused on the first request", issuer.fetches)


#: What stands in a time claim, as seconds from the verifier's limit for it, and whether the token is good.
AT_THE_LIMIT = {
    "exp": ((-1, False), (0, False), (0.5, True), (1, True)),
    "nbf": ((-1, True), (0, True), (0.5, False), (1, False)),
    "iat": ((-1, True), (0, True), (0.5, False), (1, False)),
}
NO_POINT_IN_TIME: tuple[object, ...] = (
    "1900000000",
    "",
    -1,
    -1e308,
    1e308,
    10**400,
    inf,
    nan,
    True,
    False,
    None,
    [1900000000],
    {},
)


@scenario("H77")
def test_h77_exp_nbf_and_iat_hold_to_the_second_of_the_leeway_and_only_numbers_are_times(
    issuer: HeldIssuer, clock: Clock, row: Row
) -> None:
    """A number is a time from 1970 to the year 10000: a negative one or 1e308 is refused, whatever it would mean."""
    clock.set_time(1_800_000_000)  # whole seconds, so that sums are exact
    judged = 0
    for leeway in (0, 60, 300):
        asked = issuer.fetches["jwks"]
        with issuer.verifier(leeway=leeway) as verifier:
            for name, cases in AT_THE_LIMIT.items():
                limit = clock.time() + (-leeway if name == "exp" else leeway)
                for seconds, good in cases:
                    token = issuer.mint(claims={name: limit + seconds})
                    assert is_refused(verifier, token, ClaimError) is not good, (leeway, name, seconds)
                for odd in NO_POINT_IN_TIME:
                    refuse(verifier, issuer.mint(claims={name: odd}), TokenError)
                judged += len(cases) + len(NO_POINT_IN_TIME)
            refuse(verifier, issuer.mint(claims={"exp": OMIT}), ClaimError)
            passes(verifier, issuer.mint(claims={"nbf": OMIT, "iat": OMIT}))
            assert issuer.fetches["jwks"] == asked + 1
            grows_old(verifier, issuer, clock, leeway)
    for wrong in (-1, -0.001, 300.001, 301, nan, True, "60"):
        with pytest.raises(ConfigurationError, match="leeway"):
            issuer.verifier(leeway=wrong)  # type: ignore[arg-type]
    row.saw(f"{judged} claims judged; leeway outside 0 to 300: ConfigurationError", issuer.fetches)


def grows_old(verifier: Verifier, issuer: HeldIssuer, clock: Clock, leeway: int) -> None:
    """A token that was accepted is refused at the second its leeway ends, from the cache as well."""
    token = issuer.mint(expires_in=10)
    passes(verifier, token)
    clock.advance(10 + leeway - 0.5)
    passes(verifier, token)
    landed(verifier)  # what the longest leeway has made due
    clock.advance(0.5)
    refuse(verifier, token, ExpiredTokenError)


#: Header lines of a key set's answer, by a provider's clock that is right, and the seconds for which it is fresh.
NOW = 1_800_000_000
LIFETIMES: list[tuple[int, list[str]]] = [
    (300, []),
    (60, ["Cache-Control: max-age=0"]),
    (300, ["Cache-Control: max-age=-5"]),  # no number, so it says nothing
    (300, ["Cache-Control: max-age=1e30"]),
    (300, ["Cache-Control: max-age=abc"]),
    (900, [f"Cache-Control: max-age={10**30}"]),
    (120, ["Cache-Control: max-age=120, max-age=600"]),
    (120, ["Cache-Control: max-age=120", "Cache-Control: max-age=600"]),
    (60, ["Cache-Control: max-age=100", "Age: 500"]),
    (400, ["Cache-Control: max-age=600", "Age: 200"]),
    (60, [f"Date: {http_date(NOW)}", f"Expires: {http_date(NOW - 3600)}"]),
    (60, [f"Date: {http_date(NOW)}", "Expires: 0"]),
    (240, [f"Date: {http_date(NOW + 3600)}", f"Expires: {http_date(NOW + 3600 + 240)}"]),
    (240, [f"Date: {http_date(NOW - 3600)}", f"Expires: {http_date(NOW - 3600 + 240)}"]),
    (900, [f"Date: {http_date(NOW)}", f"Expires: {http_date(NOW + 86400)}"]),
]


def publish_at(server: HostileServer, issuer: FakeIssuer, *lines: str) -> None:
    """Serve the issuer's documents; the keys under these header lines, which may be odd or stand twice."""
    server.routes["/.well-known/openid-configuration"] = answer(json.dumps(issuer.discovery()).encode())
    body = json.dumps(issuer.jwks()).encode()
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *lines, "", ""])
    server.routes["/jwks"] = lambda request: request.send(head.encode() + body)


@scenario("H78")
def test_h78_whatever_an_answer_says_of_its_age_its_keys_are_fresh_for_60_to_900_seconds(row: Row) -> None:
    with HostileServer(answer(status=404)) as server:
        for fresh_for, lines in LIFETIMES:
            clock = Clock(NOW)
            issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
            publish_at(server, issuer, *lines)
            with issuer.verifier() as verifier:
                settle(verifier)
                asked = len(server.requests)
                clock.advance(fresh_for - 1)
                passes(verifier, issuer.mint())
                assert (health(verifier).state, len(server.requests)) == ("fresh", asked), lines
                clock.advance(1)
                assert health(verifier).state == "stale", lines
                passes(verifier, issuer.mint())
                landed(verifier)
                assert len(server.requests) == asked + 1
        targets = server.targets
    assert targets.count("/jwks") == 2 * len(LIFETIMES)
    row.saw(f"{len(LIFETIMES)} answers, each fresh for 60 to 900 s", {"jwks": targets.count("/jwks")})


ZONES = ("UTC0", "EST5EDT,M3.2.0,M11.1.0", "IST-5:30", "<+14>-14")
MOMENTS = {
    "clocks go forward in New York": datetime(2027, 3, 14, 7, tzinfo=UTC),
    "clocks go back in New York": datetime(2027, 11, 7, 6, tzinfo=UTC),
    "32 bits overflow": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
}


@pytest.fixture
def move_to() -> Iterator[Callable[[str], None]]:
    """Moves the process to another time zone; back home at the end."""
    with pytest.MonkeyPatch.context() as patch:

        def move_to(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()
            assert time.tzname[0] in zone

        yield move_to
    time.tzset()


@scenario("H79")
def test_h79_time_zones_summer_time_and_the_year_2038_change_nothing(move_to: Callable[[str], None], row: Row) -> None:
    with HostileServer(answer(status=404)) as server:
        for zone in ZONES:
            for moment in MOMENTS.values():
                move_to("UTC0")
                clock = Clock(moment.timestamp() - 100)
                issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
                with issuer.verifier() as verifier:
                    lives_through(verifier, issuer, server, clock, partial(move_to, zone))
        targets = server.targets
    assert targets.count("/jwks") == 3 * len(ZONES) * len(MOMENTS)
    row.saw(f"{len(ZONES)} zones at {len(MOMENTS)} moments: the same schedule", {"jwks": targets.count("/jwks")})


def lives_through(
    verifier: Verifier, issuer: FakeIssuer, server: HostileServer, clock: Clock, travel: Callable[[], None]
) -> None:
    """A hundred seconds before the moment and five minutes after it: fresh for 240 s, then told to wait for 120 s."""
    now = clock.time()
    publish_at(server, issuer, f"Date: {http_date(now)}", f"Expires: {http_date(now + 240)}")
    before = issuer.mint()
    passes(verifier, before)
    asked = len(server.requests)
    clock.advance(100)
    travel()
    passes(verifier, before, issuer.mint())
    clock.advance(139)
    passes(verifier, before, issuer.mint())
    assert len(server.requests) == asked
    clock.advance(1)
    publish_at(server, issuer)
    passes(verifier, before)
    landed(verifier)
    assert len(server.requests) == asked + 1
    clock.advance(300)
    server.routes["/jwks"] = answer(status=503, headers={"Retry-After": http_date(clock.time() + 120)})
    passes(verifier, issuer.mint())
    eventually(lambda: health(verifier).state == "degraded")
    assert health(verifier).next_try_in == 120
    refuse(verifier, before, ExpiredTokenError)
