"""A machine that has no thread or descriptor left for a moment: 503 for that moment, and no longer."""

from __future__ import annotations

import gc
import logging
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from oidcbridge import Verifier
from oidcbridge.remote import refresher as module
from oidcbridge.remote.refresher import Refresher
from oidcbridge.testing import Clock, FakeIssuer
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import PATIENCE


@contextmanager
def no_thread_left() -> Iterator[None]:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    lowest = os.dup(0)  # whatever is below it is in use
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


EXHAUSTED = pytest.mark.parametrize("exhausted", [no_thread_left, lambda: descriptors_left(0)])
Exhausted = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def refresher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refresher]:
    """The process's, which has not been started yet."""
    own = Refresher()
    monkeypatch.setattr(module, "_refresher", own)
    yield own
    own.stop()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture
def verifier(issuer: FakeIssuer, refresher: Refresher) -> Iterator[Verifier]:
    with issuer.verifier() as verifier:
        yield verifier


@EXHAUSTED
def test_a_fetch_that_cannot_begin_is_unavailability_and_the_next_one_begins(
    exhausted: Exhausted, issuer: FakeIssuer, verifier: Verifier, clock: Clock
) -> None:
    with exhausted():
        for _ in range(3):
            error = unavailable(verifier, issuer.mint("ada"))
            assert "could not be started" in str(error)
            assert 1 <= error.retry_after <= 15
        assert [one.failures for one in verifier.health()] == [1]
    clock.advance(16)
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 1


@EXHAUSTED
def test_known_keys_go_on_while_their_refresh_cannot_begin(
    exhausted: Exhausted, issuer: FakeIssuer, verifier: Verifier, clock: Clock, refresher: Refresher
) -> None:
    settle(verifier)
    refresher.stop()
    clock.advance(301)
    with exhausted():
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert [one.state for one in verifier.health()] == ["degraded"]
    clock.advance(61)
    assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
    settle(verifier)
    assert [one.state for one in verifier.health()] == ["fresh"]


@EXHAUSTED
def test_a_timer_that_cannot_be_set_fails_no_request(
    exhausted: Exhausted, issuer: FakeIssuer, verifier: Verifier, clock: Clock, refresher: Refresher
) -> None:
    settle(verifier)
    for _ in range(2):
        refuse(verifier, stranger(issuer))
    refresher.stop()
    with exhausted():  # the budget is spent: a look at the next refill is due, and nothing can be set to ring then
        refuse(verifier, stranger(issuer))
    clock.advance(10)
    issuer.rotate()
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


@EXHAUSTED
def test_metadata_that_cannot_be_asked_for_is_not_there_yet(
    exhausted: Exhausted, issuer: FakeIssuer, verifier: Verifier, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with exhausted(), caplog.at_level(logging.ERROR, "oidcbridge.discovery"):
        assert verifier.metadata() == ()
    assert "could not be started" in caplog.text
    clock.advance(16)
    assert verifier.metadata() == ()
    settle(verifier)
    assert [one.issuer for one in verifier.metadata()] == [issuer.issuer_url]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_loop_that_could_not_be_finished_leaves_nothing_behind(count: int, refresher: Refresher) -> None:
    ran = threading.Event()
    with descriptors_left(count), pytest.raises(OSError, match="Too many open files"):
        refresher.call_later(0, ran.set)
    gc.collect()  # a loop that is found unclosed is an error here
    with no_thread_left(), pytest.raises(RuntimeError, match="new thread"):
        refresher.call_later(0, ran.set)
    gc.collect()
    assert not ran.is_set()
    refresher.call_later(0, ran.set)
    assert ran.wait(PATIENCE)


def test_a_name_that_no_thread_can_look_up_is_a_name_that_is_not_found(
    refresher: Refresher, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = FakeIssuer("https://idp.example", clock=clock)
    ready = threading.Event()
    refresher.call_later(0, ready.set)
    assert ready.wait(PATIENCE)
    with issuer.verifier() as verifier:
        with no_thread_left():
            assert "name" in str(unavailable(verifier, issuer.mint("ada")))
            assert "broken off" not in caplog.text
        assert socket.getaddrinfo("127.0.0.1", 1)
