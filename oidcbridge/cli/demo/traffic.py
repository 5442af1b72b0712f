"""Clients that keep calling the agent service, each on a connection of its own and with a fresh token every time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

from oidcbridge.cli.demo.exchange import TIMEOUT, send_on
from oidcbridge.cli.demo.stage import Stage
from oidcbridge.testing import auth_header

CLIENTS = 6
_PAUSE = 0.005  # seconds between two requests of one client


class Traffic:
    """What was sent so far. ``by_key`` counts the answers with 200 by the key that had signed, ``refused`` the rest."""

    def __init__(self) -> None:
        self.by_key: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()

    @property
    def sent(self) -> int:
        """All of them."""
        return self.by_key.total() + self.refused.total()


@contextmanager
def keep_calling(stage: Stage, path: str) -> Iterator[Traffic]:
    """Send from several threads inside the ``with``; what yields is complete after it."""
    traffic, stop = Traffic(), threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(_call_until, stop, stage, path) for _ in range(CLIENTS)]
        try:
            yield traffic
        finally:
            stop.set()
        for client in clients:
            own = client.result()
            traffic.by_key += own.by_key
            traffic.refused += own.refused


def _call_until(stop: threading.Event, stage: Stage, path: str) -> Traffic:
    own = Traffic()
    connection = HTTPConnection(urlsplit(stage.agent_url).netloc, timeout=TIMEOUT)
    try:
        while not stop.is_set():
            key = stage.provider.signing_key()
            answer = send_on(connection, "POST", path, headers=auth_header(stage.token(key)))
            if answer.status == 200:
                own.by_key[key.kid] += 1
            else:
                own.refused[answer.status] += 1
            time.sleep(_PAUSE)
    finally:
        connection.close()
    return own
