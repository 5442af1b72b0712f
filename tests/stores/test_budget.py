"""The shared budget as a record: what it grants, and what becomes of one that is spoilt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcbridge.stores.budget import RECORD_BYTES, take_fetch

NOW = 1_800_000_000.0


def take(record: bytes, now: float, *, burst: int = 2, interval: float = 10.0) -> tuple[bool, bytes]:
    granted, after = take_fetch(record, now, burst=burst, interval=interval)
    assert len(after) == RECORD_BYTES
    return granted, after


def grants(record: bytes, *times: float) -> list[bool]:
    granted = []
    for now in times:
        one, record = take(record, now)
        granted.append(one)
    return granted


def test_a_budget_that_was_never_used_is_full() -> None:
    assert grants(b"", NOW, NOW, NOW) == [True, True, False]


def test_one_fetch_more_comes_with_each_interval_up_to_the_burst() -> None:
    assert grants(b"", NOW, NOW, NOW + 9.9, NOW + 10.1, NOW + 10.2, NOW + 20.2) == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert grants(b"", NOW, NOW, *[NOW + 3600.0] * 3) == [True, True, True, True, False]


def test_a_flood_of_requests_does_not_keep_the_budget_from_filling() -> None:
    _, record = take(b"", NOW, burst=1, interval=3600.0)
    granted = []
    for tick in range(1, 40_000):
        one, record = take(record, NOW + tick / 10, burst=1, interval=3600.0)
        granted.append(one)
    assert granted.count(True) == 1
    assert granted.index(True) == pytest.approx(36_000, abs=2)


SOUND = take(b"", NOW)[1]


@pytest.mark.parametrize(
    "record",
    [
        SOUND[:-1],
        SOUND[:10],
        SOUND + b"\n",
        b"\x00" * RECORD_BYTES,
        b"nan".ljust(RECORD_BYTES - 1) + b"\n",
        b"9999.000000000 1800000000.000000".ljust(RECORD_BYTES - 1) + b"\n",
        b"-1.000000000 1800000000.000000".ljust(RECORD_BYTES - 1) + b"\n",
        b"inf 1800000000.000000".ljust(RECORD_BYTES - 1) + b"\n",
    ],
)
def test_a_spoilt_record_grants_nothing_at_once_and_one_fetch_after_an_interval(record: bytes) -> None:
    assert grants(record, NOW, NOW + 9.0, NOW + 10.0, NOW + 10.0) == [False, False, True, False]
    assert grants(SOUND, NOW) == [True]


def test_a_record_of_the_future_is_neither_a_gift_nor_a_lock() -> None:
    _, ahead = take(b"", NOW + 1e8)
    assert grants(ahead, NOW, NOW, NOW + 10.0) == [True, False, True]


def test_more_than_the_burst_is_never_had_from_a_record_written_under_a_larger_one() -> None:
    _, record = take(b"", NOW, burst=100)
    assert grants(record, NOW, NOW, NOW) == [True, True, False]


def test_a_burst_of_none_grants_none() -> None:
    assert take(b"", NOW, burst=0)[0] is False


@given(
    steps=st.lists(st.floats(min_value=0.0, max_value=30.0), max_size=60),
    burst=st.integers(min_value=0, max_value=5),
    interval=st.floats(min_value=0.01, max_value=60.0),
)
def test_no_sequence_of_requests_is_granted_more_than_the_burst_and_one_each_interval(
    steps: list[float], burst: int, interval: float
) -> None:
    record, now, granted = b"", NOW, 0
    for step in steps:
        now += step
        one, record = take(record, now, burst=burst, interval=interval)
        granted += one
    # Times are kept to the microsecond, and tokens to a thousandth of a millionth.
    assert granted <= burst + (now - NOW) / interval + len(steps) * (1e-6 / interval + 1e-9)
