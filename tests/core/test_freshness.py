"""When a key set is fresh, stale or dead, how long an answer is good for, and when to ask again."""

from __future__ import annotations

import time

import pytest

from oidcbridge.core.freshness import (
    IAT_TOLERANCE,
    MAX_NEGATIVE_KIDS,
    Attempts,
    Instant,
    Lifetime,
    State,
    UnknownKidBudget,
    answer_age,
    is_conclusive,
    retry_delay,
    soft_lifetime,
    state_of,
)
from oidcbridge.core.policy import FetchOptions
from oidcbridge.testing import Clock

OPTIONS = FetchOptions()
LIFETIME = Lifetime(soft=300.0, hard=600.0, max_stale=14_400.0)
UNTRIED, FAILED, FAILED_PAST = Attempts(), Attempts(3), Attempts(3, failed_past_max_stale=True)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_WALL = 784_111_777.0


def test_age_is_the_largest_of_three_clocks_so_that_keys_never_look_younger() -> None:
    clock = Clock(1_800_000_000.0)
    begun = Instant.now(clock)
    clock.advance(10)
    assert begun.age(Instant.now(clock)) == 10
    clock.set_time(1_800_000_000.0 - 86_400)
    assert begun.age(Instant.now(clock)) == 10
    clock.suspend(3600)
    assert begun.age(Instant.now(clock)) == 3610
    clock.set_time(1_800_000_000.0 + 86_400)
    assert begun.age(Instant.now(clock)) == 86_400


def test_age_is_never_negative() -> None:
    assert Instant(100, 100, 100).age(Instant(50, 50, 50)) == 0


@pytest.mark.parametrize("later", [Instant(105, 100, 100), Instant(100, 105, 100), Instant(100, 100, 105)])
def test_any_one_clock_that_went_on_makes_keys_older(later: Instant) -> None:
    assert Instant(100, 100, 100).age(later) == 5


def test_a_state_goes_by_its_name_in_health_reports_and_metrics() -> None:
    assert [state.value for state in State] == ["empty", "fresh", "stale", "expired", "degraded", "dead"]


@pytest.mark.parametrize(
    ("age", "untried", "failed", "failed_past"),
    [
        (None, State.EMPTY, State.EMPTY, State.EMPTY),
        (0.0, State.FRESH, State.FRESH, State.FRESH),
        (299.9, State.FRESH, State.FRESH, State.FRESH),
        (300.0, State.STALE, State.DEGRADED, State.DEGRADED),
        (599.9, State.STALE, State.DEGRADED, State.DEGRADED),
        (600.0, State.EXPIRED, State.DEGRADED, State.DEGRADED),
        (14_399.9, State.EXPIRED, State.DEGRADED, State.DEGRADED),
        (14_400.0, State.EXPIRED, State.EXPIRED, State.DEAD),
        (1e9, State.EXPIRED, State.EXPIRED, State.DEAD),
    ],
)
def test_the_table_of_states_holds_to_the_second(
    age: float | None, untried: State, failed: State, failed_past: State
) -> None:
    assert state_of(age, LIFETIME, UNTRIED) is untried
    assert state_of(age, LIFETIME, FAILED) is failed
    assert state_of(age, LIFETIME, FAILED_PAST) is failed_past


@pytest.mark.parametrize(
    ("soft", "max_stale", "hard"),
    [(60, 14_400, 600), (300, 14_400, 600), (301, 14_400, 602), (900, 14_400, 1800), (300, 400, 400), (300, 0, 300)],
)
def test_a_busy_process_never_waits_and_an_idle_one_asks_after_twice_the_freshness(
    soft: float, max_stale: float, hard: float
) -> None:
    assert Lifetime.of(soft, FetchOptions(max_stale=max_stale)) == Lifetime(soft, hard, max_stale)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"cache-control": ""}, 300),
        ({"cache-control": "public, must-revalidate"}, 300),
        ({"cache-control": "s-maxage=700"}, 300),
        ({"cache-control": "max-age=59"}, 60),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "max-age=61"}, 61),
        ({"cache-control": "max-age=899"}, 899),
        ({"cache-control": "max-age=900"}, 900),
        ({"cache-control": "max-age=901"}, 900),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "Max-Age=600"}, 600),
        ({"cache-control": "public , max-age = 600 , x"}, 600),
        ({"cache-control": 'max-age="600"'}, 600),
        ({"cache-control": 'private="a", max-age=600'}, 600),
        ({"cache-control": "max-age=600, max-age=120"}, 600),
        ({"cache-control": "max-age=120, MAX-AGE=600"}, 120),
        ({"cache-control": "max-age=" + "9" * 12}, 900),
        ({"cache-control": "max-age=" + "9" * 400}, 900),
        ({"cache-control": "max-age=-5"}, 300),
        ({"cache-control": "max-age=1e30"}, 300),
        ({"cache-control": "max-age=abc"}, 300),
        ({"cache-control": "max-age=X600X"}, 300),
        ({"cache-control": "max-age="}, 300),
        ({"cache-control": "max-age"}, 300),
        ({"cache-control": "max-age=\u0661\u0662\u0663"}, 300),
        ({"cache-control": "max-age=6.5"}, 300),
        ({"cache-control": "no-cache"}, 60),
        ({"cache-control": "max-age=600, no-cache"}, 60),
        ({"cache-control": "NO-STORE"}, 60),
        ({"cache-control": 'no-cache="set-cookie", max-age=600'}, 60),
        ({"cache-control": "max-age=600", "age": "100"}, 500),
        ({"cache-control": "max-age=600", "age": "700"}, 60),
        ({"cache-control": "max-age=600", "age": "-5"}, 600),
        ({"cache-control": "max-age=600", "age": "x"}, 600),
        ({"cache-control": "max-age=21155", "age": "1"}, 900),
        ({"cache-control": "max-age=600", "expires": "0"}, 600),
        ({"cache-control": "max-age=x", "expires": "0"}, 300),
        ({"age": "100"}, 300),
    ],
)
def test_cache_control_says_how_long_an_answer_is_fresh_within_bounds(headers: dict[str, str], seconds: float) -> None:
    assert soft_lifetime(headers, OPTIONS) == seconds


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:59:37 GMT", 600),
        ("Sunday, 06-Nov-94 08:59:37 GMT", 600),
        ("Sun Nov  6 08:59:37 1994", 600),
        ("Sun, 06 Nov 1994 08:59:37 -0000", 600),
        ("Sun, 06 Nov 1994 09:59:37 +0100", 600),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60),
        ("Sun, 06 Nov 1994 08:40:00 GMT", 60),
        ("Sun, 06 Nov 2094 08:49:37 GMT", 900),
        ("0", 60),
        ("-1", 60),
        ("", 60),
        ("soon", 60),
        ("Sun, 99 Nov 1994 08:59:37 GMT", 60),
        ("Sun, 06 Nov 99999 08:59:37 GMT", 60),
        ("Sun, 06 Nov 1994 08:59:37 +99999999999999", 60),
    ],
)
def test_expires_counts_from_the_answers_own_date_and_what_is_no_date_has_passed(expires: str, seconds: float) -> None:
    assert soft_lifetime({"date": DATE, "expires": expires}, OPTIONS) == seconds


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's time zone cannot be set for one process")
@pytest.mark.parametrize("expires", ["Sun Nov  6 08:59:37 1994", "Sun, 06 Nov 1994 08:59:37 -0000"])
def test_a_date_without_a_zone_is_in_utc_wherever_this_machine_stands(
    expires: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("TZ", "EST+5")
            time.tzset()
            assert soft_lifetime({"date": DATE, "expires": expires}, OPTIONS) == 600
    finally:
        time.tzset()


def test_expires_less_the_answers_age_and_nothing_where_its_date_is_unknown() -> None:
    expires = "Sun, 06 Nov 1994 08:59:37 GMT"
    assert soft_lifetime({"date": DATE, "expires": expires, "age": "100"}, OPTIONS) == 500
    for date in ({}, {"date": "yesterday"}):
        assert soft_lifetime({"expires": expires, **date}, OPTIONS) == 300


def test_the_bounds_are_the_options() -> None:
    options = FetchOptions(min_max_age=10, max_age=20, max_max_age=30)
    for said, seconds in (("max-age=5", 10), ("max-age=25", 25), ("max-age=35", 30), ("no-cache", 10), ("", 20)):
        assert soft_lifetime({"cache-control": said}, options) == seconds
    for headers in ({"cache-control": "no-cache"}, {"date": DATE, "expires": "0"}):
        assert soft_lifetime(headers, FetchOptions(min_max_age=0)) == 0


@pytest.mark.parametrize(("age", "seconds"), [("0", 0), ("7", 7), ("9" * 300, 2.0**31), ("", 0), ("-7", 0), ("7.5", 0)])
def test_the_age_of_an_answer_is_whole_seconds_or_nothing(age: str, seconds: float) -> None:
    assert answer_age({"age": age}) == seconds
    assert answer_age({}) == 0


def test_each_failure_doubles_the_wait_up_to_a_ceiling() -> None:
    waits = [retry_delay(failures, None, 0.0, 0.999999, 60.0) for failures in range(1, 9)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], rel=1e-4)
    assert retry_delay(10_000, None, 0.0, 0.5, 60.0) == 30
    assert retry_delay(3, None, 0.0, 0.5, 60.0) == 2


def test_the_wait_is_spread_and_never_quite_zero() -> None:
    assert retry_delay(1, None, 0.0, 0.0, 60.0) == pytest.approx(0.1)
    assert retry_delay(9, None, 0.0, 0.0, 60.0) == pytest.approx(0.1)
    assert retry_delay(9, None, 0.0, 0.05, 60.0) == pytest.approx(3)
    assert retry_delay(5, None, 0.0, 0.25, 60.0) == 4


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("300", 300),
        ("301", 300),
        ("315360000", 300),
        ("9" * 400, 300),
        ("1", 2),
        ("0", 2),
        ("-5", 2),
        ("1e3", 2),
        ("soon", 2),
        ("", 2),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
        ("Sun Nov  6 08:51:37 1994", 120),
        ("Sun, 06 Nov 1994 09:51:37 +0100", 120),
        ("Sun, 06 Nov 2004 08:51:37 GMT", 300),
        ("Sun, 06 Nov 1984 08:51:37 GMT", 2),
        ("Sun, 06 Nov 1994 08:51:37 +99999999999999", 2),
    ],
)
def test_retry_after_stands_where_it_is_longer_up_to_five_minutes(retry_after: str, wait: float) -> None:
    assert retry_delay(3, retry_after, DATE_WALL, 0.5, 60.0) == wait


def test_a_retry_after_that_says_nothing_changes_nothing() -> None:
    for nothing in ("soon", "", "0", "-5", "Sun, 06 Nov 1984 08:51:37 GMT", None):
        assert retry_delay(1, nothing, DATE_WALL, 0.5, 60.0) == 0.5


@pytest.mark.parametrize(
    ("iat", "conclusive"),
    [
        (10_000.0 - IAT_TOLERANCE - 1, True),
        (10_000.0 - IAT_TOLERANCE, False),
        (10_000.0 - IAT_TOLERANCE + 1, False),
        (10_000, False),
        (0, True),
        (None, False),
        ("0", False),
        ([], False),
        ({}, False),
    ],
)
def test_an_old_token_of_an_unknown_key_costs_no_fetch(iat: object, conclusive: bool) -> None:
    assert is_conclusive(iat, as_of=10_000.0) is conclusive
    assert IAT_TOLERANCE == 900


def test_the_budget_is_two_fetches_and_one_more_every_ten_seconds() -> None:
    budget = UnknownKidBudget(OPTIONS, now=1000.0)
    assert [budget.take(1000.0) for _ in range(4)] == [True, True, False, False]
    assert not budget.take(1009.9)
    assert budget.take(1010.1)
    assert not budget.take(1010.1)
    assert [budget.take(5000.0) for _ in range(4)] == [True, True, False, False]


def test_the_budget_says_whether_it_is_full_and_when_it_has_a_fetch_again() -> None:
    budget = UnknownKidBudget(OPTIONS, now=0.0)
    assert budget.is_full(0.0)
    assert budget.next_refill(0.0) == 0
    assert budget.take(0.0)
    assert not budget.is_full(0.0)
    assert not budget.is_full(9.9)
    assert budget.is_full(10.0)
    assert budget.take(10.0)
    assert budget.take(10.0)
    assert budget.next_refill(10.0) == 10
    assert budget.next_refill(14.0) == 6
    assert budget.next_refill(99.0) == 0


def test_a_clock_read_late_by_another_thread_refills_nothing_twice() -> None:
    budget = UnknownKidBudget(OPTIONS, now=0.0)
    assert [budget.take(100.0) for _ in range(3)] == [True, True, False]
    assert not budget.take(50.0)
    assert not budget.take(109.0)
    assert budget.take(110.0)


def test_a_clock_read_late_by_another_thread_takes_nothing_away() -> None:
    budget = UnknownKidBudget(OPTIONS, now=100.0)
    assert budget.is_full(99.9)
    assert [budget.take(50.0) for _ in range(3)] == [True, True, False]


def test_a_kid_that_nobody_has_is_remembered_for_thirty_seconds() -> None:
    budget = UnknownKidBudget(OPTIONS, now=0.0)
    budget.remember_absent("RS256:k", 100.0)
    assert budget.is_absent("RS256:k", 100.0)
    assert budget.is_absent("RS256:k", 129.9)
    assert not budget.is_absent("RS256:k", 130.0)
    assert not budget.is_absent("RS256:other", 100.0)
    budget.forget_absent()
    assert not budget.is_absent("RS256:k", 100.0)
    assert not budget.is_absent("RS256:k", 0.0), "a machine that has just started"


def test_a_flood_of_unknown_kids_takes_bounded_memory() -> None:
    budget = UnknownKidBudget(OPTIONS, now=0.0)
    for index in range(MAX_NEGATIVE_KIDS + 500):
        budget.remember_absent(f"k{index}", 0.0)
    known = sum(budget.is_absent(f"k{index}", 1.0) for index in range(MAX_NEGATIVE_KIDS + 500))
    assert known == MAX_NEGATIVE_KIDS == 1024
    assert budget.is_absent(f"k{MAX_NEGATIVE_KIDS + 499}", 1.0)


def test_a_budget_that_others_have_spent_refills_from_nothing() -> None:
    budget = UnknownKidBudget(OPTIONS, now=0.0)
    budget.drain(5.0)
    assert not budget.take(14.0)
    assert budget.next_refill(14.0) == pytest.approx(1.0)
    assert budget.take(15.0)
