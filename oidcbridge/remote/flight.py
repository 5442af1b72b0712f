"""Flight: work in the background that callers wait for and nobody owns."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from oidcbridge.errors import ProviderError


class Flight:
    """One piece of work in the background that any number of callers wait for, on any loop or thread.

    ``error`` is set when it ends: what went wrong, or None. ``waiters`` counts those who wait now.
    """

    def __init__(self) -> None:
        self._future: Future[None] = Future()
        self._lock = threading.Lock()
        self._signals: dict[object, tuple[Any, Callable[[], object]]] = {}  # each loop's own, and what sets it
        self.error: ProviderError | None = None
        self.waiters = 0

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def land(self, error: ProviderError | None) -> None:
        """End the flight and wake everybody; a second call changes nothing."""
        with self._lock:
            if self._future.done():
                return
            self.error = error
            self._future.set_result(None)
            signals, self._signals = self._signals, {}
        for _signal, wake in signals.values():
            with contextlib.suppress(RuntimeError):  # that loop has been closed: nobody waits there any more
                wake()

    async def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` on asyncio or trio; True when it has ended. Cancelling harms nobody else."""
        token = trio_token()
        with self._waiting():
            return await (self._wait_on_asyncio(seconds) if token is None else self._wait_on_trio(token, seconds))

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        with self._lock:
            self.waiters += 1
        try:
            yield
        finally:
            with self._lock:
                self.waiters -= 1

    async def _wait_on_asyncio(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()

        def signal() -> tuple[Any, Callable[[], object]]:
            future = loop.create_future()
            return future, lambda: loop.call_soon_threadsafe(_settle, future)

        future = self._signal_for(loop, signal)
        if future is not None:
            await asyncio.wait((future,), timeout=seconds)  # never cancels the future that others share
        return self.done

    async def _wait_on_trio(self, token: Any, seconds: float) -> bool:
        trio: Any = sys.modules["trio"]

        def signal() -> tuple[Any, Callable[[], object]]:
            event = trio.Event()
            return event, lambda: token.run_sync_soon(event.set)

        event = self._signal_for(token, signal)
        if event is not None:
            with trio.move_on_after(seconds):
                await event.wait()
        return self.done

    def _signal_for(self, loop: object, make: Callable[[], tuple[Any, Callable[[], object]]]) -> Any:
        """The one signal of this loop, made where there is none yet; None where the flight has ended."""
        with self._lock:
            if self._future.done():
                return None
            if loop not in self._signals:
                self._signals[loop] = make()
            return self._signals[loop][0]

    def wait_blocking(self, seconds: float) -> bool:
        """Wait up to ``seconds`` in a plain thread; True when it has ended."""
        with self._waiting():
            try:
                self._future.result(seconds)
            except TimeoutError:
                return False
        return True


def trio_token() -> Any:
    """Trio's name for its loop where this thread runs one, else None. Trio is never imported from here."""
    # Another thread may be importing trio at this moment; whoever runs it on this one has all of it.
    current = getattr(sys.modules.get("trio.lowlevel"), "current_trio_token", None)
    try:
        return None if current is None else current()
    except RuntimeError:
        return None


def runs_event_loop() -> bool:
    """Whether this thread runs an event loop (asyncio or trio), which must not be made to wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return trio_token() is not None
    return True


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
