"""Twenty clients that never stop asking, and a record of what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import httpx2

CLIENTS = 20
PAUSE = 0.1  # seconds between two requests of one client: 200 a second are asked for, 50 must come through
WINDOW = 2.0  # seconds on each side of a change


class Answered(NamedTuple):
    """One request: when it was answered (monotonic seconds), with which status, and what the token was called."""

    moment: float
    status: int
    token_name: str


class Traffic:
    """Requests to ``url`` with the tokens in ``tokens`` (name -> token), which may change at any time."""

    def __init__(self, url: str) -> None:
        self.tokens: dict[str, str] = {}
        self.answered: list[Answered] = []
        self.changes: dict[str, float] = {}
        self._url = url

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Traffic flows inside the ``async with``; `tokens` must not be empty."""
        limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with httpx2.AsyncClient(trust_env=False, timeout=30, limits=limits) as client:
            tasks = [asyncio.create_task(self._ask_for_ever(client)) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and task.exception() is not None:
                raise RuntimeError("a client broke off") from task.exception()

    async def _ask_for_ever(self, client: httpx2.AsyncClient) -> None:
        while True:
            name, token = random.choice(list(self.tokens.items()))
            answer = await client.get(self._url, headers={"Authorization": f"Bearer {token}"})
            self.answered.append(Answered(time.monotonic(), answer.status_code, name))
            await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))

    async def change(self, name: str, do: Callable[[], object], *, then: float = 3.0) -> None:
        """Let something happen while traffic flows (in a thread), and let it flow on for ``then`` seconds."""
        await asyncio.sleep(WINDOW)
        self.changes[name] = time.monotonic()
        await asyncio.to_thread(do)
        await asyncio.sleep(then)

    def refused(self) -> list[Answered]:
        """The requests that were not answered 200."""
        return [answer for answer in self.answered if answer.status != 200]

    def rate_around(self, change: str) -> float:
        """Requests a second around a change."""
        moment = self.changes[change]
        near = [answer for answer in self.answered if abs(answer.moment - moment) <= WINDOW]
        return len(near) / (2 * WINDOW)

    def report(self, title: str) -> str:
        """The counts, to be printed."""
        statuses = Counter(answer.status for answer in self.answered)
        rates = ", ".join(f"{name} {self.rate_around(name):.0f}/s" for name in self.changes)
        return f"{title}: {len(self.answered)} requests, answered {dict(statuses)}; around each change: {rates}"
