"""Time that moves when a test says so."""

from __future__ import annotations

import threading
import time

from oidcbridge.core import policy


class Clock(policy.Clock):
    """A clock for tests, to be given to both the verifier and the fake issuer: ``clock=clock``.

    It stands still until it is moved. ``start`` is the wall clock's first reading in seconds since the epoch, by
    default the real time of now. The other two clocks start at figures of their own, so that code which confuses
    one clock with another shows. All methods are thread-safe.
    """

    def __init__(self, start: float | None = None) -> None:
        self._lock = threading.Lock()
        self._wall = time.time() if start is None else float(start)
        self._monotonic = 1_000.0
        self._boottime = 5_000.0

    def time(self) -> float:
        """Wall clock: seconds since the epoch, as ``time.time``; the one that can jump."""
        with self._lock:
            return self._wall

    def monotonic(self) -> float:
        """Seconds since some past moment, as ``time.monotonic``: never jumps, stands still while suspended."""
        with self._lock:
            return self._monotonic

    def boottime(self) -> float:
        """Seconds since some past moment, as Linux's ``CLOCK_BOOTTIME``: never jumps, goes on while suspended."""
        with self._lock:
            return self._boottime

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on all three clocks; raises ``ValueError`` for a negative figure."""
        self._pass(seconds, awake=True)

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep for ``seconds``: wall and boot time pass, monotonic time does not."""
        self._pass(seconds, awake=False)

    def set_time(self, wall: float) -> None:
        """Set the wall clock alone, back or forth, as a time server would; ``wall`` is in seconds since the epoch."""
        with self._lock:
            self._wall = float(wall)

    def _pass(self, seconds: float, *, awake: bool) -> None:
        if seconds < 0:
            raise ValueError("time only passes forwards; to turn the wall clock back use Clock.set_time()")
        with self._lock:
            self._wall += seconds
            self._boottime += seconds
            if awake:
                self._monotonic += seconds

    def __repr__(self) -> str:
        return f"Clock({self.time()!r})"
