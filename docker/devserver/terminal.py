"""What the user reads: faults of one line, and steps that show time passing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class KeycloakError(Exception):
    """Something went wrong that the user can put right; the text says how."""

    exit_code = 1


class UnavailableError(KeycloakError):
    """This machine lacks what Keycloak needs. Its own exit code lets a test suite skip instead of fail."""

    exit_code = 3


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a slow piece of work on stderr, with a dot every second and the seconds it took."""
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1.0):
            say(".", end="")

    say(f"{text} ", end="")
    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        over.set()
        ticking.join()
        say(f" {outcome} {time.monotonic() - started:.0f} s")


def say(text: str, end: str = "\n") -> None:
    """Write progress to stderr: stdout carries results only."""
    print(text, end=end, file=sys.stderr, flush=True)
