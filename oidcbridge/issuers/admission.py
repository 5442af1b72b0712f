"""Asking a user's function whether an issuer is let in: never on an event loop, and never more often than it bears.

The function runs in daemon threads of ours, sixteen at most, that end when nobody asks any more. Whoever asks about the
same issuer meanwhile waits for the same answer.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from cachetools import LRUCache

from oidcbridge.core.policy import Clock
from oidcbridge.errors import ProviderError, UnknownIssuerError
from oidcbridge.remote.flight import Flight

logger = logging.getLogger("oidcbridge.issuers")

MAX_CALLS = 16
MAX_WAITING = 256
MAX_ANSWERS = 1024

Allow = Callable[[str], str | bool | None]


class Question:
    """Whether one issuer is let in. ``answer`` counts once ``flight`` has landed without an error."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.flight = Flight()
        self.answer: str | bool = False
        """The tenant's name; True: one made of the issuer; False: a stranger."""
        self.good_until = 0.0


class Admission:
    """Puts questions to ``allow`` and remembers the answers for ``seconds``. Thread-safe; no method ever waits.

    A question that ends in an error is not remembered.
    """

    def __init__(self, allow: Allow, clock: Clock, seconds: float) -> None:
        self._allow = allow
        self._clock = clock
        self._seconds = seconds
        self._reported: str | None = None
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Question] = {}
        self._queue: deque[Question] = deque()
        self._threads = 0
        self._answered: LRUCache[str, Question] = LRUCache(MAX_ANSWERS)

    def ask(self, issuer: str) -> Question:
        """The question about ``issuer``: answered a moment ago, under way, or put now.

        Raises `UnknownIssuerError` where too many wait already: who floods us with strangers gets no 503.
        """
        with self._lock:
            known = self._answered.get(issuer)
            if known is not None and self._clock.monotonic() < known.good_until:
                return known
            question = self._open.get(issuer)
            if question is not None:
                return question
            if len(self._queue) >= MAX_WAITING:
                raise UnknownIssuerError("too many unknown issuers are being asked about")
            question = self._open[issuer] = Question(issuer)
            self._queue.append(question)
            if self._threads < MAX_CALLS:
                self._call_in_thread()
            return question

    def _call_in_thread(self) -> None:
        """One more thread. The lock is held."""
        self._threads += 1
        try:
            threading.Thread(target=self._work, name="oidcbridge-allow", daemon=True).start()
        except RuntimeError as error:
            self._threads -= 1
            if not self._threads:  # nobody is left to answer
                while self._queue:
                    question = self._queue.popleft()
                    del self._open[question.issuer]
                    question.flight.land(ProviderError(f"no thread to ask DynamicIssuers(allow=) in: {error}"))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                question = self._queue.popleft()
            error = self._put(question)
            with self._lock:
                self._open.pop(question.issuer, None)
                if error is None:
                    question.good_until = self._clock.monotonic() + self._seconds
                    self._answered[question.issuer] = question
            question.flight.land(error)

    def _put(self, question: Question) -> ProviderError | None:
        try:
            answer: object = self._allow(question.issuer)
        except BaseException as error:  # noqa: BLE001 - a boundary: their code may raise anything, also to end a thread
            return self._failed(f"raised {type(error).__name__}")
        if not isinstance(answer, str | bool | None):
            return self._failed(f"returned {type(answer).__name__}; it returns a name, True, False or None")
        self._reported = None
        question.answer = answer or False
        return None

    def _failed(self, how: str) -> ProviderError:
        """The error for those who wait; logged once for each fault, without the words of their exception."""
        if how != self._reported:
            self._reported = how
            logger.error("DynamicIssuers(allow=) %s", how)
        return ProviderError(f"DynamicIssuers(allow=) {how}")

    def start_anew_in_child(self) -> None:
        """After a fork: the threads that would have answered are not here."""
        self._start()
