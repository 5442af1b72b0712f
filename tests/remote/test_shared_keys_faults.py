"""A key store that is slow, raises or hangs holds no request up; and what others did through it is not lost."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from oidcbridge import Event, FetchOptions, Verifier
from oidcbridge.errors import KeyStoreError
from oidcbridge.testing import Clock, FakeIssuer
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import PATIENCE, HeldIssuer
from tests.remote.odd_store import OddStore, never, no, nothing, raising

METHODS = ["load", "lead", "spend", "save", "end"]


@pytest.fixture
def store(tmp_path: Path) -> OddStore:
    return OddStore(tmp_path / "keys")


@pytest.fixture
def neighbour(issuer: HeldIssuer, tmp_path: Path, store: OddStore) -> Iterator[Verifier]:
    """Another worker, whose way to the same store is in order."""
    with issuer.verifier(key_store=tmp_path / "keys") as verifier:
        yield verifier


def seconds_for(verifier: Verifier, token: str, user: str = "ada") -> float:
    """How long a good token took; it must be accepted."""
    started = time.monotonic()
    assert verifier.verify_now(token).user_id == user
    return time.monotonic() - started


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def keys_at(verifier: Verifier) -> int:
    return verifier.health()[0].keys


@pytest.mark.parametrize("failing", ["load", "save", "spend"])
def test_a_store_that_fails_fails_no_request_and_is_said_once(
    issuer: HeldIssuer, store: OddStore, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    store.odd[failing] = raising(KeyStoreError("the store is out of order"))
    with issuer.verifier(key_store=store) as verifier:
        with caplog.at_level(logging.WARNING, "oidcbridge.keys"):
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            issuer.rotate()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            issuer.rotate()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        refuse(verifier, stranger(issuer))
    assert issuer.fetches["jwks"] == 3, "each worker has its own budget then"
    assert [record.getMessage() for record in caplog.records if "store" in record.getMessage()] == [
        f"{issuer.issuer_url}: key store: the store is out of order"
    ]


def test_a_store_that_is_back_is_used_again(
    issuer: HeldIssuer, store: OddStore, neighbour: Verifier, clock: Clock
) -> None:
    store.odd["load"] = raising(KeyStoreError("the store is out of order"))
    with issuer.verifier(key_store=store) as verifier:
        settle(verifier)
        store.odd.clear()
        clock.advance(301)
        settle(verifier)
        settle(neighbour)
    assert issuer.fetches["jwks"] == 2


@pytest.mark.parametrize("failing", METHODS)
@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyError("hunter2"), RecursionError(), OSError("hunter2")])
def test_a_store_may_raise_anything_and_no_request_and_no_log_line_suffers(
    issuer: HeldIssuer, store: OddStore, caplog: pytest.LogCaptureFixture, failing: str, error: Exception
) -> None:
    events: list[Event] = []
    store.odd[failing] = raising(error)
    with issuer.verifier(key_store=store, observer=events.append) as verifier:
        for _ in range(2):
            assert seconds_for(verifier, issuer.mint("ada")) < 1.0
            issuer.rotate()
        assert seconds_for(verifier, issuer.mint("ada")) < 1.0
    assert issuer.fetches["jwks"] == 3
    assert "hunter2" not in caplog.text
    assert all("hunter2" not in str(event) for event in events)
    if failing != "end":  # whose lead ends by itself
        assert f"the key store raised {type(error).__name__}" in caplog.text


@pytest.mark.parametrize("cancelled", METHODS)
def test_a_store_whose_own_work_was_cancelled_is_a_store_that_failed_and_no_more(
    real_time_issuer: HeldIssuer, store: OddStore, cancelled: str
) -> None:
    issuer = real_time_issuer
    store.odd[cancelled] = raising(asyncio.CancelledError())  # as when its connection's task has been ended
    with issuer.verifier(key_store=store) as verifier:
        assert seconds_for(verifier, issuer.mint("ada")) < 1.0
        issuer.rotate()
        assert seconds_for(verifier, issuer.mint("ada")) < 1.0
    assert issuer.fetches["jwks"] == 2


def test_a_save_that_never_ends_holds_nobody_up(issuer: HeldIssuer, store: OddStore, neighbour: Verifier) -> None:
    store.odd["save"] = never
    with issuer.verifier(key_store=store) as verifier:
        assert seconds_for(verifier, issuer.mint("ada")) < 1.0
        wait_until(lambda: store.calls["save"], "it was not saved")
        assert seconds_for(verifier, issuer.mint("bob"), "bob") < 0.5
        assert seconds_for(neighbour, issuer.mint("ada")) < FetchOptions().request_wait
        issuer.rotate()
        assert seconds_for(verifier, issuer.mint("ada")) < FetchOptions().request_wait


def test_a_slow_store_delays_no_request_beyond_its_wait_and_then_rests(
    issuer: HeldIssuer, store: OddStore, clock: Clock
) -> None:
    store.pause = 0.4
    with issuer.verifier(key_store=store, fetch=FetchOptions(request_wait=1.0)) as verifier:
        assert seconds_for(verifier, issuer.mint("ada")) < 1.0
        issuer.rotate()
        assert seconds_for(verifier, issuer.mint("ada")) < 0.3
        store.pause = 0.0
        asked = store.calls.total()
        clock.advance(10.1)
        issuer.rotate()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert store.calls.total() > asked, "it is used again after its rest"
    assert issuer.fetches["jwks"] == 3


def test_a_lead_that_somebody_holds_for_ever_leaves_each_worker_to_itself_in_time_and_then_the_store_rests(
    issuer: HeldIssuer, tmp_path: Path, clock: Clock
) -> None:
    stores = [OddStore(tmp_path / "keys") for _ in range(2)]
    options = FetchOptions(request_wait=1.0)
    for store in stores:
        store.odd = {"lead": nothing, "load": nothing}
    with (
        issuer.verifier(key_store=stores[0], fetch=options) as first,
        issuer.verifier(key_store=stores[1], fetch=options) as second,
    ):
        for verifier in (first, second):
            assert 0.7 < seconds_for(verifier, issuer.mint("ada")) < 1.0
        issuer.rotate()
        for verifier in (first, second):
            assert seconds_for(verifier, issuer.mint("ada")) < 0.3
        assert issuer.fetches["jwks"] == 4
        for store in stores:
            store.odd.clear()
        clock.advance(10.1)
        issuer.rotate()
        for verifier in (first, second):
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 5, "they share again"


def test_those_who_wait_for_a_lead_do_not_keep_another_issuer_from_being_asked(
    issuer: HeldIssuer, store: OddStore
) -> None:
    store.odd = {"lead": nothing, "load": nothing}
    healthy = FakeIssuer(url=None, algorithms=("ES256",), clock=issuer._clock)
    waiting = [issuer.verifier(key_store=store) for _ in range(17)]  # one more than may be asked at once
    with healthy.serve(), healthy.verifier() as verifier:
        for one in waiting:
            one.start_warming()
        wait_until(lambda: store.calls["lead"] >= 17, "not all of them wait")
        assert seconds_for(verifier, healthy.mint("ada")) < 0.5
        assert issuer.fetches["jwks"] == 0
    store.odd.clear()
    for one in waiting:
        settle(one)
        one.close()
    assert issuer.fetches["jwks"] == 1


def test_a_look_that_was_put_off_takes_the_newer_keys_from_the_store_though_others_spent_the_budget(
    issuer: HeldIssuer, store: OddStore, neighbour: Verifier, clock: Clock
) -> None:
    with issuer.verifier(key_store=store, fetch=FetchOptions(unknown_kid_interval=0.1)) as verifier:
        settle(verifier)
        for _ in range(3):
            refuse(verifier, stranger(issuer))
        store.odd["spend"] = no
        issuer.rotate()
        asyncio.run(neighbour.refresh(force=True))
        fetches = issuer.fetches["jwks"]
        assert keys_at(verifier) == 1
        clock.advance(0.11)
        wait_until(lambda: keys_at(verifier) == 2, "the new key did not come by itself")
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == fetches


def test_a_look_that_was_put_off_is_put_off_again_while_others_spend_the_budget_and_never_forgotten(
    issuer: HeldIssuer, store: OddStore, clock: Clock
) -> None:
    with issuer.verifier(key_store=store, fetch=FetchOptions(unknown_kid_interval=0.1)) as verifier:
        settle(verifier)
        for _ in range(3):
            refuse(verifier, stranger(issuer))
        issuer.rotate()
        store.odd["spend"] = no

        def three_more_were_refused_after(asked: int) -> bool:
            clock.advance(0.02)
            return store.calls["spend"] >= asked + 3

        wait_until(partial(three_more_were_refused_after, store.calls["spend"]), "it was forgotten")
        assert (issuer.fetches["jwks"], keys_at(verifier)) == (3, 1)
        store.odd.clear()

        def has_the_new_key() -> bool:
            clock.advance(0.02)
            return keys_at(verifier) == 2

        wait_until(has_the_new_key, "the new key did not come by itself")
        assert issuer.fetches["jwks"] == 4


def test_one_request_after_an_outage_looks_into_the_store_once_or_twice_where_others_spent_the_budget(
    issuer: HeldIssuer, store: OddStore, clock: Clock
) -> None:
    with issuer.verifier(key_store=store) as verifier:
        settle(verifier)
        with issuer.outage():
            unavailable(verifier, stranger(issuer))
        verifier.pause()  # no timer comes to its help

        async def no_and_no_more_than_twenty_times() -> bool:
            if store.calls["spend"] > 20:
                raise KeyStoreError("this request asks for ever")
            return False

        store.odd["spend"] = no_and_no_more_than_twenty_times
        clock.advance(61)
        loads, fetches = store.calls["load"], issuer.fetches["jwks"]
        unavailable(verifier, stranger(issuer))
        assert 1 <= store.calls["load"] - loads <= 4
        assert issuer.fetches["jwks"] == fetches
        store.odd.clear()
        clock.advance(61)
        issuer.rotate()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_looks_that_fetched_nothing_cost_the_process_nothing(issuer: HeldIssuer, store: OddStore, clock: Clock) -> None:
    with issuer.verifier(key_store=store, fetch=FetchOptions(unknown_kid_interval=0.05)) as verifier:
        settle(verifier)
        store.odd["spend"] = no
        for _ in range(30):  # more than an issuer may have fetched for strangers in ten seconds
            clock.advance(0.06)
            refuse(verifier, stranger(issuer))
        assert store.calls["spend"] >= 20
        assert issuer.fetches["jwks"] == 1
        store.odd.clear()
        issuer.rotate()
        clock.advance(0.06)
        threading.Event().wait(0.2)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_what_was_taken_for_want_of_better_is_taken_once(
    issuer: HeldIssuer, neighbour: Verifier, tmp_path: Path, clock: Clock
) -> None:
    settle(neighbour)
    with issuer.verifier(key_store=tmp_path / "keys", fetch=FetchOptions(unknown_kid_burst=3)) as verifier:
        settle(verifier)
        for _ in range(5):
            refuse(neighbour, stranger(issuer))  # the budget that both share is spent
        issuer.rotate()
        asyncio.run(neighbour.refresh(force=True))
        wait_until(lambda: neighbour.metrics().issuers[0].fetched >= 3, "it was not fetched")
        before = verifier.metrics().issuers[0].adopted
        for _ in range(3):
            refuse(verifier, stranger(issuer))
        assert verifier.metrics().issuers[0].adopted == before + 1
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
