"""A watcher: an observer that keeps what it hears, for the scenarios that speak of an event."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from oidcbridge.core.events import Event, EventName
from tests.faults.kit import at_rest
from tests.remote.hostile import PATIENCE

Told = tuple[str, Mapping[str, object]]


class Watcher:
    """What a verifier has told, in order: ``Verifier(observer=Watcher())``.

    It looks at them when the background has come to rest.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._seen = 0

    def __call__(self, event: Event) -> None:
        self._events.append(event)

    def events(self) -> list[Event]:
        """All that was told until now."""
        at_rest()
        for thread in threading.enumerate():
            if thread.name == "oidcbridge-observer":  # it ends when it has delivered everything
                thread.join(PATIENCE)
                assert not thread.is_alive(), "an observer blocks"
        return list(self._events)

    def of(self, *names: EventName) -> list[Mapping[str, object]]:
        """The details of each event of these names."""
        return [event.details for event in self.events() if event.name in names]

    def news(self) -> list[Told]:
        """Names and details of what was told since the last call."""
        events = self.events()
        new, self._seen = events[self._seen :], len(events)
        return [(event.name, dict(event.details)) for event in new]
