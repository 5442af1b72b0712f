"""What oidcbridge logs meanwhile: the fault of a refused token stands there, and never in the answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Journal(logging.Handler):
    """Keeps the lines since the last look; or hands each on at once, after `follow`."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque()
        self._follower: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record; called on the thread that logs."""
        if self._follower is not None:
            self._follower(record.getMessage())
        else:
            self._lines.append(record.getMessage())

    def take(self) -> list[str]:
        """The lines since the last look."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def follow(self, tell: Callable[[str], None]) -> None:
        """From now on ``tell`` gets every line as it comes."""
        self._follower = tell


@contextmanager
def keep_journal() -> Iterator[Journal]:
    """Listen to oidcbridge's loggers, which stay silent otherwise; all is as before at the end."""
    logger = logging.getLogger("oidcbridge")
    level, propagate = logger.level, logger.propagate
    journal = Journal()
    logger.addHandler(journal)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield journal
    finally:
        logger.removeHandler(journal)
        logger.setLevel(level)
        logger.propagate = propagate
