"""RemoteKeySet by itself: what the verifier does not show."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from oidcbridge import FetchOptions
from oidcbridge.core.freshness import Instant, State
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.testing import Clock
from tests.remote.hostile import PATIENCE, HeldIssuer


@pytest.fixture
def key_set(issuer: HeldIssuer, clock: Clock) -> RemoteKeySet:
    options = FetchOptions()
    metadata = RemoteMetadata(issuer.issuer_url, options, clock, discovery_url=None)
    return RemoteKeySet(issuer.issuer_url, options, clock, jwks_uri=None, metadata=metadata)


def test_a_refresh_is_made_whatever_the_budgets_say_and_joins_what_is_under_way(
    issuer: HeldIssuer, key_set: RemoteKeySet
) -> None:
    for expected in (1, 2, 3, 4):
        assert key_set.refresh()[0].wait_blocking(PATIENCE)
        assert issuer.fetches["jwks"] == expected
    with issuer.hold():
        flight = key_set.refresh()[0]
        issuer.wait_until_held()
        assert key_set.refresh()[0] is flight
        assert not flight.done
    assert flight.wait_blocking(PATIENCE)
    assert flight.error is None


def test_its_state_follows_its_age_and_its_attempts(issuer: HeldIssuer, key_set: RemoteKeySet, clock: Clock) -> None:
    def state() -> State:
        return key_set.state(Instant.now(clock))

    assert state() is State.EMPTY
    key_set.refresh()[0].wait_blocking(PATIENCE)
    states = [state()]
    for seconds in (299, 1, 299, 1):
        clock.advance(seconds)
        states.append(state())
    assert states == [State.FRESH, State.FRESH, State.STALE, State.STALE, State.EXPIRED]
    issuer.status = 500
    key_set.refresh()[0].wait_blocking(PATIENCE)
    assert state() is State.DEGRADED
    clock.advance(4 * 3600)
    assert state() is State.EXPIRED
    key_set.refresh()[0].wait_blocking(PATIENCE)
    assert state() is State.DEAD
    issuer.status = None
    key_set.refresh()[0].wait_blocking(PATIENCE)
    assert state() is State.FRESH
    assert key_set.last_error is None


def test_its_keys_count_as_changed_only_where_they_have_changed(issuer: HeldIssuer, key_set: RemoteKeySet) -> None:
    generations = []
    for rotate in (False, False, True, False):
        if rotate:
            issuer.rotate()
        key_set.refresh()[0].wait_blocking(PATIENCE)
        assert key_set.snapshot is not None
        generations.append(key_set.snapshot.generation)
    assert generations == [1, 1, 2, 2]


def test_nothing_in_the_background_keeps_one_alive_that_nobody_uses(issuer: HeldIssuer, clock: Clock) -> None:
    options = FetchOptions()
    metadata = RemoteMetadata(issuer.issuer_url, options, clock, discovery_url=None)
    key_set = RemoteKeySet(issuer.issuer_url, options, clock, jwks_uri=None, metadata=metadata)
    assert key_set.refresh()[0].wait_blocking(PATIENCE)  # a timer for the next refresh runs now
    gone = weakref.ref(key_set)
    del key_set
    for _ in range(500):
        gc.collect()
        if gone() is None:
            return
    pytest.fail("it is still there")


def test_a_child_forked_in_the_middle_of_a_change_has_a_budget_of_its_own(
    issuer: HeldIssuer, key_set: RemoteKeySet
) -> None:
    key_set.refresh()[0].wait_blocking(PATIENCE)
    with issuer.hold():
        parents = key_set.refresh()[0]
        issuer.wait_until_held()
        key_set._lock.__enter__()  # as a thread of the parent that is not here any more
        key_set.start_anew_in_child()
        own = key_set.refresh()[0]
        assert own is not parents
    assert own.wait_blocking(PATIENCE)
    assert key_set.usable(time.time()) is not None
