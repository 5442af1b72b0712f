"""What may not happen beside the answer: the network, files, other programs, a log line with the token in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.attacks.watch import watched


class Watch(logging.Handler):
    """Keeps what is logged; ``outside`` are the audit events of `tests.attacks.watch`."""

    def __init__(self, outside: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.outside = outside

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line with all that a formatter could make of it."""
        self.lines.append(f"{record.getMessage()} {record.args!r} {record.exc_info!r}")

    def start(self) -> None:
        """Forget what was."""
        self.lines.clear()
        self.outside.clear()


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch all loggers and the world outside."""
    ours = logging.getLogger("oidcbridge")
    before = ours.level
    with watched() as outside:
        watch = Watch(outside)
        logging.getLogger().addHandler(watch)
        ours.setLevel(logging.DEBUG)
        try:
            yield watch
        finally:
            ours.setLevel(before)
            logging.getLogger().removeHandler(watch)
