"""Events on their way to an observer that may block or raise."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from oidcbridge.core.events import Event
from oidcbridge.errors import ProviderError
from oidcbridge.remote.observation import MAX_WAITING, Observation
from oidcbridge.testing import Clock
from tests.remote.asking import settle
from tests.remote.hostile import PATIENCE, HeldIssuer


def event(number: int = 0) -> Event:
    return Event("fetch_started", "https://id.example.com", float(number), {})


class Listener:
    """Keeps what it hears; can be waited for, and can be made to block."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        assert self.may_go_on.wait(PATIENCE)
        with self._changed:
            self.heard.append(event.time)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, PATIENCE), self.heard


def test_events_arrive_in_order_in_another_thread() -> None:
    listener = Listener()
    observation = Observation(listener)
    for number in range(100):
        observation.tell(event(number))
    listener.wait_for(100)
    assert listener.heard == [float(number) for number in range(100)]


def test_no_thread_is_left_when_all_has_been_told() -> None:
    listener = Listener()
    Observation(listener).tell(event())
    listener.wait_for(1)
    for thread in threading.enumerate():
        if thread.name == "oidcbridge-observer":
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_an_observer_that_blocks_holds_up_nobody_and_what_is_too_much_is_counted() -> None:
    listener = Listener()
    listener.may_go_on.clear()
    observation = Observation(listener)
    for number in range(MAX_WAITING + 50):
        observation.tell(event(number))
    assert 49 <= observation.dropped <= 50  # the one that is being told waits no more
    listener.may_go_on.set()
    listener.wait_for(MAX_WAITING)
    assert listener.heard[0] == 0.0


@pytest.mark.parametrize("error", [RuntimeError("secret words"), SystemExit("secret words")])
def test_an_observer_that_raises_is_told_the_next_event_all_the_same(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener()

    def observer(event: Event) -> None:
        if event.time < 3:
            raise error
        listener(event)

    observation = Observation(observer)
    with caplog.at_level(logging.DEBUG, "oidcbridge"):
        for number in range(5):
            observation.tell(event(number))
        listener.wait_for(2)
    assert observation.errors == 3
    assert listener.heard == [3.0, 4.0]
    assert [record.getMessage() for record in caplog.records] == [
        f"the observer raised {type(error).__name__} at fetch_started; further ones are counted"
    ]
    assert "secret" not in caplog.text


def test_where_no_thread_can_be_had_the_next_event_brings_the_first_along(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    listener = Listener()
    observation = Observation(listener)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        observation.tell(event(1))
    assert "can't start new thread" in caplog.text
    observation.tell(event(2))
    listener.wait_for(2)
    assert listener.heard == [1.0, 2.0]


def test_a_forked_child_tells_its_own_events_and_none_of_its_parents() -> None:
    listener = Listener()
    listener.may_go_on.clear()
    observation = Observation(listener)
    for number in range(3):
        observation.tell(event(number))
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        listener.may_go_on = threading.Event()
        listener.may_go_on.set()
        listener._changed = threading.Condition()
        observation.tell(event(7))
        listener.wait_for(1)
        os.write(write_end, repr(listener.heard).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        assert pipe.read() == "[7.0]"
    assert os.waitpid(child, 0)[1] == 0
    listener.may_go_on.set()
    listener.wait_for(3)
    assert listener.heard == [0.0, 1.0, 2.0]


def test_a_crowd_that_meets_old_keys_at_once_is_told_of_once(issuer: HeldIssuer, clock: Clock) -> None:
    told: list[str] = []
    with issuer.verifier(observer=lambda event: told.append(event.name)) as verifier:
        settle(verifier)
        token = issuer.mint("ada", expires_in=86_400)
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "120"}
        clock.advance(200)
        with pytest.raises(ProviderError):
            asyncio.run(verifier.refresh(force=True))  # failed while fresh: it is the next requests that find them old
        clock.advance(110)
        with ThreadPoolExecutor(16) as pool:
            assert {one.user_id for one in pool.map(lambda _: verifier.verify_now(token), range(400))} == {"ada"}
        clock.advance(400)
        issuer.status, issuer.jwks_headers = None, {}
        settle(verifier)
        for _ in range(500):  # events come a moment later, in a thread of their own
            if "recovered" in told:
                break
            threading.Event().wait(0.01)
    assert "recovered" in told
    assert told.count("serving_stale") == 1
