"""What holds for a key set's freshness and for its budget under any course of events."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oidcbridge.core.freshness import (
    MAX_RETRY_AFTER,
    Attempts,
    Lifetime,
    State,
    UnknownKidBudget,
    retry_delay,
    soft_lifetime,
    state_of,
)
from oidcbridge.core.policy import FetchOptions

SERVED_AT_ONCE = {State.FRESH, State.STALE, State.DEGRADED}
calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seconds = st.floats(0, 20_000, allow_nan=False)


class KeySetLife(RuleBasedStateMachine):
    """A key set that is fetched, ages, and fails to be fetched, in any order."""

    @initialize(soft=st.floats(60, 900), max_stale=st.floats(0, 50_000))
    def first_fetch(self, soft: float, max_stale: float) -> None:
        self.now = self.fetched_at = 0.0
        self.soft, self.max_stale = soft, max_stale
        self.lifetime = Lifetime.of(soft, FetchOptions(max_stale=max_stale))
        self.attempts = Attempts()
        self.failed_past_the_bound = False

    @property
    def age(self) -> float:
        return self.now - self.fetched_at

    def state(self) -> State:
        return state_of(self.age, self.lifetime, self.attempts)

    @rule(passed=seconds)
    def time_passes(self, passed: float) -> None:
        self.now += passed

    @rule()
    def a_fetch_succeeds(self) -> None:
        self.fetched_at, self.attempts, self.failed_past_the_bound = self.now, Attempts(), False

    @rule()
    def a_fetch_fails(self) -> None:
        past = self.age >= self.max_stale
        self.attempts = Attempts(self.attempts.failures + 1, self.attempts.failed_past_max_stale or past)
        self.failed_past_the_bound |= past

    @precondition(lambda self: self.age >= max(self.soft, self.max_stale))
    @rule()
    def past_the_bound_a_failure_ends_it(self) -> None:
        assert self.state() is (State.DEAD if self.failed_past_the_bound else State.EXPIRED)
        self.a_fetch_fails()
        assert self.state() is State.DEAD

    @invariant()
    def a_known_key_is_never_served_past_the_bound_without_asking(self) -> None:
        if self.state() in SERVED_AT_ONCE:
            assert self.age < max(self.soft, self.max_stale)

    @invariant()
    def a_known_key_is_never_dropped_before_the_bound(self) -> None:
        if self.age < self.max_stale:
            assert self.state() is not State.DEAD
            assert not self.failed_past_the_bound

    @invariant()
    def a_failed_fetch_takes_nothing_away_before_the_bound(self) -> None:
        if self.attempts.failures and self.age < self.max_stale:
            assert self.state() in SERVED_AT_ONCE

    @invariant()
    def an_answer_is_fresh_exactly_as_long_as_it_said(self) -> None:
        assert (self.state() is State.FRESH) == (self.age < self.soft)


KeySetLife.TestCase.settings = settings(calm, max_examples=40, stateful_step_count=25)
TestKeySetLife = KeySetLife.TestCase


@calm
@given(
    st.integers(0, 5),
    st.floats(0.5, 60),
    st.lists(st.floats(0, 500, allow_nan=False), min_size=1, max_size=120),
    st.booleans(),
)
def test_a_stranger_never_causes_more_fetches_than_the_burst_and_one_an_interval(
    burst: int, interval: float, moments: list[float], in_order: bool
) -> None:
    budget = UnknownKidBudget(FetchOptions(unknown_kid_burst=burst, unknown_kid_interval=interval), now=0.0)
    spent, latest = 0, 0.0
    for now in sorted(moments) if in_order else moments:
        latest = max(latest, now)
        spent += budget.take(now)
        assert spent <= burst + latest / interval + 1e-6


@calm
@given(st.lists(st.floats(0, 100, allow_nan=False), max_size=30))
def test_whoever_waits_for_the_refill_gets_a_fetch(pauses: list[float]) -> None:
    budget, now = UnknownKidBudget(FetchOptions(), now=0.0), 0.0
    for pause in pauses:
        now += pause
        if not budget.take(now):
            wait = budget.next_refill(now)
            assert 0 < wait <= 10
            now += wait + 1e-6
            assert budget.take(now)


header_text = st.one_of(
    st.text(max_size=40),
    st.text('max-ge=0123456789," noctr;', max_size=40),
    st.text("Sun, 06Nov19:+-GMT()", max_size=40),
    st.builds("max-age={}".format, st.integers()),
    st.builds(
        "Sun, {} Nov {} {}:{}:{} {}".format, *[st.integers(-9, 99_999)] * 5, st.text("+-0123456789GMT", max_size=20)
    ),
)


@calm
@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "etag"]), header_text))
def test_whatever_a_provider_says_its_answer_is_fresh_within_the_bounds(headers: dict[str, str]) -> None:
    assert 60 <= soft_lifetime(headers, FetchOptions()) <= 900


@calm
@given(
    st.integers(1, 10**6),
    st.none() | header_text,
    st.floats(0, 1e12),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.1, 3600),
)
def test_whatever_a_provider_says_the_next_try_is_neither_at_once_nor_never(
    failures: int, retry_after: str | None, now: float, jitter: float, ceiling: float
) -> None:
    delay = retry_delay(failures, retry_after, now, jitter, ceiling)
    assert 0.1 <= delay <= max(ceiling, MAX_RETRY_AFTER)
