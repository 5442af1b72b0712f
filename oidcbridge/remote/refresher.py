"""The process's one background thread: a private asyncio loop that does all outbound IO.

A request never owns a fetch; it waits for a `Flight`. So cancelling a request, closing its event loop or forking the
process cannot break anyone else, and sync callers get the same answer as async ones. The thread starts with the first
job, is a daemon, ends with the interpreter, and is started anew after a fork.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

logger = logging.getLogger("oidcbridge.keys")

MAX_CONCURRENT_FETCHES = 16
MAX_FETCHES_FOR_STRANGERS = 6
#: What starting work raises where the machine has no thread or descriptor left, or the interpreter is ending.
CANNOT_START = (RuntimeError, OSError)
Job = Callable[[], Coroutine[Any, Any, None]]


class Forkable(Protocol):
    """Has locks or work under way that a forked child inherits as they stood, with nobody to end them."""

    def start_anew_in_child(self) -> None: ...  # noqa: D102


class _Loop(asyncio.SelectorEventLoop):
    """Looks names up in daemon threads that are abandoned at the deadline: a look-up cannot be interrupted.

    The default executor's threads would be joined at interpreter exit, and a dead name server would hold it.
    """

    _is_whole = False

    def __init__(self) -> None:
        super().__init__()
        self._is_whole = True

    def is_closed(self) -> bool:
        """Also where no descriptors were left to finish it: there is nothing to close then, or to complain of."""
        return not self._is_whole or super().is_closed()

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        future: asyncio.Future[Any] = self.create_future()

        def look_up() -> None:
            outcome: Any
            try:
                outcome = socket.getaddrinfo(host, port, **options)
            except OSError as error:
                outcome = error
            except UnicodeError as error:  # the IDNA codec's word for a label that is empty or too long
                outcome = socket.gaierror(
                    socket.EAI_NONAME, f"no name that could be looked up ({type(error).__name__})"
                )
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                self.call_soon_threadsafe(_settle, future, outcome)

        try:
            threading.Thread(target=look_up, name="oidcbridge-dns", daemon=True).start()
        except RuntimeError as error:
            raise socket.gaierror(socket.EAI_AGAIN, f"no thread to look the name up: {error}") from None
        return await future


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, OSError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Refresher:
    """Runs coroutines on the background loop. One for the process: `refresher()`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)
        self._strangers_slots = asyncio.Semaphore(MAX_FETCHES_FOR_STRANGERS)
        self._tasks: set[asyncio.Task[None]] = set()  # a loop itself holds tasks weakly

    def run(self, job: Job, *, in_slot: bool = True) -> None:
        """Start ``job`` on the background loop, at most 16 at once. The job reports its own errors.

        ``in_slot`` False: at once; it takes a `slot` itself for what it asks a provider. Raises one of `CANNOT_START`;
        a later call may succeed.
        """
        self._running_loop().call_soon_threadsafe(self._start, job if not in_slot else lambda: self._in_slot(job))

    def slot(self, *, for_stranger: bool = False) -> asyncio.Semaphore:
        """One of the 16, to be held while a provider is asked.

        ``for_stranger``: one of six apart, for issuers that nobody has written down and no good token has come from. If
        they hang, the others do not notice.
        """
        return self._strangers_slots if for_stranger else self._slots

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the background loop in ``delay`` seconds. Raises like `run`."""
        loop = self._running_loop()
        loop.call_soon_threadsafe(loop.call_later, delay, callback)

    def stop(self) -> None:
        """Cancel what runs and end the thread, within a second; the next job starts it again."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(1.0)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                loop = _Loop()
                thread = threading.Thread(target=self._serve, args=(loop,), name="oidcbridge-refresher", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                # Kept only now: a loop that nobody runs would take every later job, and end none.
                self._loop, self._thread = loop, thread
                # Each bound to the loop that first waits for it.
                self._slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)
                self._strangers_slots = asyncio.Semaphore(MAX_FETCHES_FOR_STRANGERS)
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(self._cancel_tasks())
        finally:
            loop.close()

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(job())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_slot(self, job: Job) -> None:
        async with self._slots:
            await job()


class Timer:
    """One appointment on the background loop; a later one replaces it. Its owner is held weakly.

    ``ring`` is a bound method that gets the appointment's number, to be compared with ``number`` under a lock: one
    that has been replaced or cancelled may ring all the same.
    """

    def __init__(self, ring: Callable[[int], None]) -> None:
        self.number = 0
        self._ring = weakref.WeakMethod(ring)

    def set(self, delay: float) -> int:
        """Ring in ``delay`` seconds; returns the appointment's number.

        Where the machine has no room for it nothing rings, and whoever next finds the keys old asks instead.
        """
        self.number += 1
        number, weak_ring = self.number, self._ring

        def ring() -> None:
            owner_rings = weak_ring()
            if owner_rings is not None:
                owner_rings(number)

        try:
            refresher().call_later(delay, ring)
        except CANNOT_START as error:
            logger.warning("no refresh could be planned: %s", error)
        return number

    def cancel(self) -> None:
        """No appointment is left."""
        self.number += 1


_refresher = Refresher()
_left_behind: list[Refresher] = []
_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def refresher() -> Refresher:
    """The process's refresher."""
    return _refresher


def start_anew_after_fork(forkable: Forkable) -> None:
    """Have ``forkable.start_anew_in_child()`` called in every forked child, while it lives."""
    _forkables.add(forkable)


def _start_anew_in_child() -> None:
    # Only the forking thread lives on in a child: the loop is dead there, and its lock may be held for ever. It is
    # kept and never closed: closing would unregister the pipe in the epoll set that the parent still uses.
    global _refresher  # noqa: PLW0603
    _left_behind.append(_refresher)
    _refresher = Refresher()
    for forkable in list(_forkables):
        forkable.start_anew_in_child()


@atexit.register
def _stop_at_exit() -> None:
    _refresher.stop()


if hasattr(os, "register_at_fork"):
    # No `before` hook: uvloop runs those for every subprocess it starts.
    os.register_at_fork(after_in_child=_start_anew_in_child)
