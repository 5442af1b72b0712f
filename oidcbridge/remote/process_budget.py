"""The one budget of the process for what strangers may cost, over all its issuers (`ProcessBudget`)."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from oidcbridge.core.freshness import ProcessBudget
from oidcbridge.core.policy import Clock
from oidcbridge.remote.refresher import start_anew_after_fork


class SharedBudget:
    """A `ProcessBudget` that many key sets spend from, in any thread. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._budget = ProcessBudget()
        self._lock = threading.Lock()
        start_anew_after_fork(self)

    def take(self, issuer: str, now: float) -> bool:
        """Spend one fetch for ``issuer``, if there is one."""
        with self._lock:
            return self._budget.take(issuer, now)

    def next_slot(self, issuer: str, now: float) -> float:
        """Seconds until ``issuer`` may spend one; 0 where it may now."""
        with self._lock:
            return self._budget.next_slot(issuer, now)

    def give_back(self, issuer: str) -> None:
        """One that ``issuer`` has taken was not needed."""
        with self._lock:
            self._budget.give_back(issuer)

    def forget(self) -> None:
        """Begin with the whole budget again."""
        with self._lock:
            self._budget = ProcessBudget()

    def start_anew_in_child(self) -> None:
        """After a fork: a new process has a budget of its own."""
        self._lock = threading.Lock()
        self._budget = ProcessBudget()


_process = SharedBudget()
_by_clock: WeakKeyDictionary[Clock, SharedBudget] = WeakKeyDictionary()


def forget_strangers() -> None:
    """What earlier tests have spent is not the next one's to pay: for the test kit."""
    _process.forget()


def budget_for(clock: Clock) -> SharedBudget:
    """The process's budget; one apart for each clock that tests move, as its times mean nothing to the others."""
    if type(clock) is Clock:
        return _process
    try:
        return _by_clock.setdefault(clock, SharedBudget())
    except TypeError:  # one that cannot be a key: it has slots, or compares by value
        return SharedBudget()
