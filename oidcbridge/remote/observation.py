"""Observation: events on their way to a user's observer, which may block or raise without harm to anybody else."""

from __future__ import annotations

import logging
import threading
from collections import deque

from oidcbridge.core.events import Event, Observer
from oidcbridge.remote.refresher import start_anew_after_fork

logger = logging.getLogger("oidcbridge.events")

MAX_WAITING = 1000


class Observation:
    """Hands events over in order, in a daemon thread that lives while there are some.

    At most 1000 wait for an observer that blocks; what comes then is counted in ``dropped``. What it raises is counted
    in ``errors``, and logged once by the name of its class: its words may hold anything.
    """

    def __init__(self, observer: Observer) -> None:
        self.dropped = 0
        self.errors = 0
        self._observer = observer
        self._events: deque[Event] = deque()
        self._delivering = False
        self._lock = threading.Lock()
        start_anew_after_fork(self)

    def tell(self, event: Event) -> None:
        """Hand over ``event`` soon. Never waits and never raises."""
        with self._lock:
            if len(self._events) >= MAX_WAITING:
                self.dropped += 1
                return
            self._events.append(event)
            if self._delivering:
                return
            self._delivering = True
        try:
            threading.Thread(target=self._deliver, name="oidcbridge-observer", daemon=True).start()
        except RuntimeError as error:  # no thread to be had: the next event brings this one along
            with self._lock:
                self._delivering = False
            logger.warning("the observer is not told for now: %s", error)

    def _deliver(self) -> None:
        while True:
            with self._lock:
                if not self._events:
                    self._delivering = False
                    return
                event = self._events.popleft()
            try:
                self._observer(event)
            except BaseException as error:  # noqa: BLE001 - a boundary: their code may raise anything, also SystemExit
                self.errors += 1
                if self.errors == 1:
                    logger.error(  # noqa: TRY400 - without the traceback: it could show what must not be logged
                        "the observer raised %s at %s; further ones are counted", type(error).__name__, event.name
                    )

    def start_anew_in_child(self) -> None:
        """After a fork: what was waiting is the parent's to tell."""
        self._lock = threading.Lock()
        self._events = deque()
        self._delivering = False
