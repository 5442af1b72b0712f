"""Reports run code of others, so they are made when the lock is free: in order, each once, whatever they do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from oidcbridge.remote.telling_lock import TellingLock
from tests.remote.asking import unavailable
from tests.remote.hostile import PATIENCE, HeldIssuer


def test_reports_are_made_in_order_when_the_lock_is_free_and_once() -> None:
    lock, told = TellingLock(), list[object]()
    with lock:
        for name in ("first", "second"):
            lock.later(lambda name=name: told.append((name, lock.locked())))  # type: ignore[misc]
        assert told == []
        assert lock.locked()
    assert told == [("first", False), ("second", False)]
    with lock:
        pass
    assert len(told) == 2


def test_a_report_may_take_the_lock_itself_and_have_something_to_report() -> None:
    lock, told = TellingLock(), list[str]()

    def report() -> None:
        told.append("outer")
        with lock:
            lock.later(lambda: told.append("inner"))

    with lock:
        lock.later(report)
        lock.later(lambda: told.append("next"))
    assert told == ["outer", "inner", "next"]
    assert not lock.locked()


def test_a_slow_report_keeps_nobody_else_from_the_lock() -> None:
    lock, gate, entered = TellingLock(), threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        gate.wait(PATIENCE)

    def work() -> None:
        with lock:
            lock.later(slow)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(PATIENCE)
    with lock:
        assert thread.is_alive()
    gate.set()
    thread.join()


def tell(lock: TellingLock, *reports: Callable[[], object], error: Exception | None = None) -> None:
    with lock:
        for report in reports:
            lock.later(report)
        if error is not None:
            raise error


def test_what_is_raised_under_the_lock_comes_through_and_what_was_to_be_told_is_told() -> None:
    lock, told = TellingLock(), list[str]()
    with pytest.raises(ZeroDivisionError):
        tell(lock, lambda: told.append("told"), error=ZeroDivisionError())
    assert told == ["told"]
    assert not lock.locked()


def test_a_report_that_raises_frees_the_lock_and_takes_no_other_report_with_it() -> None:
    lock, told = TellingLock(), list[str]()
    with pytest.raises(ZeroDivisionError):
        tell(lock, lambda: told.append("before"), lambda: 1 // 0, lambda: told.append("after"))
    assert not lock.locked()
    assert told == ["before", "after"]


class BrokenFilter(logging.Filter):
    """A user's own, with a bug: unlike a handler's, what a filter raises comes out of the logging call."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise LookupError("a filter with a bug")


@pytest.fixture
def broken_log() -> Iterator[None]:
    logger, broken = logging.getLogger("oidcbridge.keys"), BrokenFilter()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addFilter(broken)
    yield
    logger.removeFilter(broken)
    logger.setLevel(level)


@pytest.mark.usefixtures("broken_log")
def test_keys_that_came_are_used_at_once_and_not_asked_for_again_though_the_log_raises(issuer: HeldIssuer) -> None:
    started = time.monotonic()
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert time.monotonic() - started < 1.0
        assert issuer.fetches["jwks"] == 1
        (health,) = verifier.health()
        assert (health.state, health.failures, health.last_error) == ("fresh", 0, None)


@pytest.mark.usefixtures("broken_log")
def test_an_outage_is_said_to_a_request_at_once_though_the_log_raises(issuer: HeldIssuer) -> None:
    issuer.status, issuer.jwks_headers = 503, {"retry-after": "120"}
    started = time.monotonic()
    with issuer.verifier() as verifier:
        assert unavailable(verifier, issuer.mint("ada")).retry_after == 120
        assert time.monotonic() - started < 1.0
        assert issuer.fetches["jwks"] == 1
