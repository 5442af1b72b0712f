"""Twenty clients that never stop asking, a record of what they were told, and a watch on the workers' health."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import httpx2

from tests.e2e.agent_server import HEALTH, WORKER, AgentServer

CLIENTS = 20
PAUSE = 0.1  # seconds between two requests of one client: 200 a second are asked for, 50 must come through
RECONNECT = 0.05  # share of requests that end their connection: else one worker might keep all of them for ever
WINDOW = 2.0  # seconds on each side of a change


class Answered(NamedTuple):
    """One request: when it was answered (monotonic seconds), with which status, what the token was called, by whom."""

    moment: float
    status: int
    token_name: str
    worker: str


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
            headers = {"Authorization": f"Bearer {token}"}
            if random.random() < RECONNECT:
                headers["Connection"] = "close"
            answer = await client.get(self._url, headers=headers)
            self.answered.append(Answered(time.monotonic(), answer.status_code, name, answer.headers[WORKER]))
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
        return self._rate(moment - WINDOW, moment + WINDOW)

    def rate_between(self, change: str, next_change: str) -> float:
        """Requests a second from one change to the other."""
        return self._rate(self.changes[change], self.changes[next_change])

    def _rate(self, begin: float, end: float) -> float:
        return sum(begin <= answer.moment <= end for answer in self.answered) / (end - begin)

    def by_worker(self) -> dict[str, int]:
        """How many requests each worker answered."""
        return dict(Counter(answer.worker for answer in self.answered))

    def report(self, title: str) -> str:
        """The counts, to be printed."""
        statuses = Counter(answer.status for answer in self.answered)
        rates = ", ".join(f"{name} {self.rate_around(name):.0f}/s" for name in self.changes)
        return (
            f"{title}: {len(self.answered)} requests, answered {dict(statuses)}, by worker {self.by_worker()};"
            f" around each change: {rates}"
        )


class HealthWatch:
    """What the workers say of their keys: each worker's states in order, with the monotonic second of the first sight.

    Every look is a connection of its own, so it may reach any worker. ``token`` is one that always passes.
    """

    def __init__(self, agent: AgentServer, token: str) -> None:
        self.seen: dict[str, list[tuple[str, float]]] = {}
        self._agent = agent
        self._token = token

    def look(self) -> None:
        """Ask one worker for its health, which has to be "ready"."""
        answer = self._agent.get(HEALTH, self._token).raise_for_status()
        (issuer,) = answer.json()["issuers"]
        states = self.seen.setdefault(answer.headers[WORKER], [])
        if not states or states[-1][0] != issuer["state"]:
            states.append((issuer["state"], time.monotonic()))

    def all_say(self, state: str, workers: int) -> bool:
        """Whether that many workers have been seen, and ``state`` is the last that each of them said."""
        return len(self.seen) == workers and all(states[-1][0] == state for states in self.seen.values())

    def wait_until_all_say(
        self, state: str, *, workers: int, within: float, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        """Look until all of them say so; fails after ``within`` seconds. ``meanwhile`` is called after each look."""
        deadline = time.monotonic() + within
        while not self.all_say(state, workers):
            assert time.monotonic() < deadline, f"not every worker was {state} after {within:.0f} s: {self.seen}"
            self.look()
            meanwhile()
            time.sleep(0.2)

    def report(self, since: float) -> str:
        """Each worker's states, with the seconds after the monotonic second ``since``, to be printed."""
        return "; ".join(
            f"worker {worker}: " + ", ".join(f"{state} at {moment - since:.0f} s" for state, moment in states)
            for worker, states in self.seen.items()
        )
