"""Time moves when a test says so, and the three clocks differ where real ones do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from oidcbridge.testing import Clock


def readings(clock: Clock) -> tuple[float, float, float]:
    return clock.time(), clock.monotonic(), clock.boottime()


def moved(clock: Clock, before: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(after - start for start, after in zip(before, readings(clock), strict=True))


def test_a_clock_starts_now_or_where_it_is_told_and_stands_still() -> None:
    assert abs(Clock().time() - time.time()) < 5
    clock = Clock(1_700_000_000)
    assert clock.time() == clock.time() == 1_700_000_000.0
    assert repr(clock) == "Clock(1700000000.0)"


def test_the_three_clocks_are_told_apart_by_their_readings() -> None:
    assert len(set(readings(Clock(0)))) == 3


def test_time_passes_on_all_three_clocks() -> None:
    clock = Clock(1_700_000_000)
    before = readings(clock)
    clock.advance(2.5)
    assert moved(clock, before) == (2.5, 2.5, 2.5)


def test_a_suspended_machine_has_no_monotonic_time() -> None:
    clock = Clock(1_700_000_000)
    before = readings(clock)
    clock.suspend(3600)
    assert moved(clock, before) == (3600, 0, 3600)


def test_a_time_server_moves_the_wall_clock_alone_also_back() -> None:
    clock = Clock(1_700_000_000)
    before = readings(clock)
    clock.set_time(1_699_999_000)
    assert moved(clock, before) == (-1000, 0, 0)


def test_time_does_not_pass_backwards() -> None:
    clock = Clock(1_700_000_000)
    for move in (clock.advance, clock.suspend):
        with pytest.raises(ValueError, match="set_time"):
            move(-1)
    assert clock.time() == 1_700_000_000


def test_no_step_is_lost_under_many_threads() -> None:
    clock = Clock(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(clock.advance, [1] * 2000))
    assert clock.time() == 2000
