"""Flight: work in the background that callers wait for and nobody owns."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future

import anyio.to_thread


class Flight:
    """One piece of work in the background that any number of callers wait for, on any loop or thread.

    ``error`` is set when it ends: what went wrong, or None.
    """

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        self._lock = threading.Lock()
        self._waiting_loops: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def land(self, error: Exception | None) -> None:
        """End the flight and wake everybody; a second call changes nothing."""
        with self._lock:
            if self._future.done():
                return
            self.error = error
            self._future.set_result(None)
            waiting, self._waiting_loops = self._waiting_loops, {}
        for loop, future in waiting.items():
            with contextlib.suppress(RuntimeError):  # that loop has been closed: nobody waits there any more
                loop.call_soon_threadsafe(_wake, future)

    async def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` on asyncio or trio; True when it has ended. Cancelling harms nobody else."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio: no asyncio loop runs here
            return await anyio.to_thread.run_sync(self.wait_blocking, seconds, abandon_on_cancel=True)
        with self._lock:
            if self._future.done():
                return True
            future = self._waiting_loops.get(loop)
            if future is None:
                future = self._waiting_loops[loop] = loop.create_future()
        await asyncio.wait((future,), timeout=seconds)  # never cancels the future that others share
        return self._future.done()

    def wait_blocking(self, seconds: float) -> bool:
        """Wait up to ``seconds`` in a plain thread; True when it has ended."""
        try:
            self._future.result(seconds)
        except TimeoutError:
            return False
        return True


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
