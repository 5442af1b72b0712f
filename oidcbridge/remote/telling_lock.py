"""TellingLock: a lock under which reports are put aside, to be made when it is free again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack


class TellingLock:
    """A report runs code of others: log handlers, which may be slow, or verify a token themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._later: list[Callable[[], object]] = []

    def later(self, report: Callable[[], object]) -> None:
        """Call ``report`` once the lock is free. It is held now."""
        self._later.append(report)

    def locked(self) -> bool:
        """Whether anybody holds it."""
        return self._lock.locked()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_raised: object) -> None:
        reports = self._later
        if not reports:
            self._lock.release()
            return
        self._later = []
        self._lock.release()
        with ExitStack() as stack:  # all of them, though one raises
            for report in reversed(reports):
                stack.callback(report)
