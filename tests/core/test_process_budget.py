"""What strangers may cost a whole process, and how it is shared between issuers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcbridge.core.freshness import ProcessBudget


def test_twenty_issuers_get_one_each_and_the_next_waits_for_the_window() -> None:
    budget = ProcessBudget()
    assert [budget.take(f"issuer {number}", 0.0) for number in range(21)] == [True] * 20 + [False]
    assert budget.next_slot("another", 4.0) == 6.0
    assert not budget.take("another", 9.9)
    assert budget.take("another", 10.0)


def test_a_flood_on_one_issuer_leaves_half_to_the_others() -> None:
    budget = ProcessBudget()
    assert [budget.take("flooded", float(second)) for second in range(10)] == [True] * 10
    assert not budget.take("flooded", 9.0)
    assert all(budget.take(f"honest {number}", 9.0) for number in range(10))
    assert not budget.take("one too many", 9.0)


def test_the_flooded_issuer_goes_on_when_its_first_fetch_leaves_the_window() -> None:
    budget = ProcessBudget()
    for number in range(10):
        budget.take("flooded", float(number) / 10)
    assert budget.next_slot("flooded", 5.0) == 5.0
    assert budget.take("flooded", 10.0)
    assert not budget.take("flooded", 10.0)


@given(st.lists(st.tuples(st.floats(0, 200), st.sampled_from("abcdefghijklmnopqrstuvwxyz")), max_size=200))
def test_no_ten_seconds_ever_see_more_than_twenty_and_whoever_waits_gets_one(asks: list[tuple[float, str]]) -> None:
    budget, spent = ProcessBudget(), []
    for now, issuer in sorted(asks):
        wait = budget.next_slot(issuer, now)
        assert 0.0 <= wait <= 10.0
        took = budget.take(issuer, now)
        assert took == (wait == 0.0)
        if took:
            spent.append(now)
        assert sum(now - moment < 10.0 for moment in spent) <= 20


def test_what_was_given_back_can_be_spent_again_by_its_issuer_and_only_that() -> None:
    budget = ProcessBudget()
    for number in range(20):
        budget.take(f"issuer {number}", 0.0)
    budget.give_back("somebody who took nothing")
    assert not budget.take("another", 1.0)
    budget.give_back("issuer 3")
    assert budget.take("another", 1.0)
    assert not budget.take("one too many", 1.0)


@pytest.mark.parametrize("number", range(20))
def test_whichever_of_twenty_is_given_back_makes_room_for_one(number: int) -> None:
    budget = ProcessBudget()
    for other in range(20):
        budget.take(f"issuer {other}", 0.0)
    budget.give_back(f"issuer {number}")
    assert [budget.take("another", 1.0), budget.take("one too many", 1.0)] == [True, False]


def test_whose_fetch_has_left_the_window_is_one_that_has_had_none() -> None:
    budget = ProcessBudget()
    assert budget.take("first", 0.0)
    assert all(budget.take(f"issuer {number}", 5.0) for number in range(19))
    assert not budget.take("first", 9.9)
    assert budget.take("first", 10.0)


def test_giving_back_where_nothing_was_taken_changes_nothing() -> None:
    budget = ProcessBudget()
    budget.give_back("anybody")
    assert budget.take("anybody", 0.0)
