"""What the scenarios of several families share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from oidcbridge import Verifier
from oidcbridge.health import IssuerHealth
from oidcbridge.remote.refresher import refresher
from tests.remote.hostile import PATIENCE

LOAD = 0.7  # seconds that a busy machine may add to a deadline of ours


class Stopwatch:
    """``seconds``: how long the ``with`` took, as soon as it has ended."""

    seconds = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measures the ``with`` in real time."""
    watch, started = Stopwatch(), time.monotonic()
    try:
        yield watch
    finally:
        watch.seconds = time.monotonic() - started


def eventually(condition: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Wait until ``condition()`` holds; fails after ``within`` seconds. For what happens on other threads."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not so within {within} s"
        time.sleep(0.005)


def at_rest() -> None:
    """Wait until nothing is under way in the background, such as what is saved for others once requests have theirs."""
    eventually(lambda: not refresher()._tasks)


def health(verifier: Verifier) -> IssuerHealth:
    """How the keys of the verifier's one issuer stand."""
    (one,) = verifier.health()
    return one
