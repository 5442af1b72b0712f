"""Advice for the log: behind a refusal, what would mend it. Said seldom: strangers decide how often one is due."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from oidcbridge.diagnosis.advice import advise_among
from oidcbridge.errors import OIDCBridgeError, TokenError
from oidcbridge.settings import IssuerSettings

_SILENCE = 60.0  # seconds between two lines with the same advice about the same issuer
_MOST_SILENCES = 256  # pieces of advice are few; issuers let in by a rule may be many
_LOOKS, _WINDOW = 5, 10.0  # look-ups for each kind of error in any so many seconds: each reads the token once more


class LogAdvice:
    """What one gate has advised lately. Without a lock: two threads may at worst say the same twice.

    ``issuers`` gives the settings known at that moment.
    """

    def __init__(
        self, issuers: Callable[[], Sequence[IssuerSettings]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuers = issuers
        self._monotonic = monotonic
        self._silent_until: dict[tuple[str, str | None], float] = {}
        self._looks: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_LOOKS))

    def about(self, error: OIDCBridgeError, read_token: Callable[[], str | None]) -> str:
        """What to put behind ``error`` in the log: empty where nothing is known, or it was said a moment ago.

        Never the token, which ``read_token`` gives if it is asked; claims of it (issuer, audience, client) in harmless
        ASCII on one line.
        """
        if not isinstance(error, TokenError):
            return ""
        now, looks = self._monotonic(), self._looks[error.code]
        if len(looks) == _LOOKS and now - looks[0] < _WINDOW:
            return ""
        looks.append(now)
        token = read_token()
        found = advise_among(error, token, self._issuers()) if token is not None else None
        if found is None:
            return ""
        advice, issuer = found
        key = (advice.name, issuer.issuer_url)
        if now < self._silent_until.get(key, now):
            return ""
        if len(self._silent_until) >= _MOST_SILENCES:
            self._silent_until.clear()
        self._silent_until[key] = now + _SILENCE
        return f" -> {advice.text}"
