"""A key set's whole life, as hypothesis invents it: times, answers, outages, rotations, requests of any kind.

Everything that decides is the real thing, driven step by step: the background loop and the wire alone are replaced, so
that a sequence can be told again exactly. Whatever happens, no key is served past its bound, strangers' fetches stay
within the budget, nobody waits longer than his share, and an outage is never blamed on a token.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import Callable, Coroutine
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oidcbridge import FetchOptions
from oidcbridge.core.freshness import Instant, State
from oidcbridge.core.keys import KeySet
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError
from oidcbridge.remote import backoff, refresher, snapshot, upkeep
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.errand import Errand
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import Answer
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.remote.snapshot import Snapshot
from oidcbridge.testing import Clock, FakeKey
from oidcbridge.verification import find_keys

NAME = "https://id.example.com"
KEYS = [FakeKey.generate("ES256") for _ in range(6)]
FORGED = "nobody-has-this"
moments = st.sampled_from([0.05, 0.5, 2.0, 10.0, 31.0, 61.0, 200.0, 301.0, 700.0, 4000.0, 14500.0])
Job = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """Stands where the process's refresher stands; runs what is due when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.jobs: list[Job] = []
        self.appointments: list[tuple[float, int, Callable[[], None]]] = []
        self._clock = clock
        self._count = 0

    def run(self, job: Job, *, in_slot: bool = True) -> None:
        self.jobs.append(job)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self.appointments, (self._clock.monotonic() + delay, self._count, callback))

    def pass_time(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while self.appointments and self.appointments[0][0] <= until:
            due, _, callback = heapq.heappop(self.appointments)
            self._clock.advance(max(0.0, due - self._clock.monotonic()))
            callback()
        self._clock.advance(max(0.0, until - self._clock.monotonic()))


class KeySetLife(RuleBasedStateMachine):
    """One issuer, one key set, and requests that come when they like."""

    @initialize(burst=st.integers(0, 3), stale=st.sampled_from([0.0, 400.0, 14400.0]), seed=st.integers(0, 9))
    def it_begins(self, burst: int, stale: float, seed: int) -> None:
        self.clock = Clock(1_800_000_000.0)
        self.background = Background(self.clock)
        self.options = FetchOptions(unknown_kid_burst=burst, max_stale=stale)
        self.patches: list[Any] = [
            mock.patch.object(upkeep, "refresher", return_value=self.background),
            mock.patch.object(refresher, "refresher", return_value=self.background),
            mock.patch.object(snapshot, "fetch", self.answer),
            mock.patch.object(snapshot, "_random", Random(seed)),
            mock.patch.object(backoff, "_random", Random(seed)),
        ]
        for patch in self.patches:
            patch.start()
        metadata = RemoteMetadata(NAME, self.options, self.clock, discovery_url=None)
        self.keys = RemoteKeySet(NAME, self.options, self.clock, jwks_uri=f"{NAME}/jwks", metadata=metadata)
        self.begun = self.clock.monotonic()
        self.really_bring = self.keys._origin.bring
        self.patches.append(mock.patch.object(self.keys._origin, "bring", self.bring))
        self.patches[-1].start()
        self.published, self.next_key, self.is_up, self.strangers = [KEYS[0]], 1, True, 0

    def teardown(self) -> None:
        for patch in getattr(self, "patches", []):
            patch.stop()

    async def answer(self, url: str, options: FetchOptions, *, etag: str | None = None) -> Answer:
        if not self.is_up:
            raise FetchError(f"{url} answered 503", kind="status", status=503)
        document = {"keys": [key.public_jwk() for key in self.published]}
        return Answer(200, {}, json.dumps(document).encode())

    async def bring(self, errand: Errand) -> Snapshot:
        # After a failure the backoff stands in for the bucket.
        self.strangers += errand.wish.is_a_strangers and not self.keys.attempts.failures
        return await self.really_bring(errand)

    @rule(seconds=moments)
    def time_passes(self, seconds: float) -> None:
        self.background.pass_time(seconds)

    @precondition(lambda self: self.background.jobs)
    @rule()
    def a_fetch_ends(self) -> None:
        asyncio.run(self.background.jobs.pop(0)())

    @rule()
    def the_provider_goes_or_comes_back(self) -> None:
        self.is_up = not self.is_up

    @precondition(lambda self: self.next_key < len(KEYS))
    @rule(overlapping=st.booleans())
    def the_provider_rotates(self, overlapping: bool) -> None:
        self.published = [*self.published[-1:], KEYS[self.next_key]] if overlapping else [KEYS[self.next_key]]
        self.next_key += 1

    @rule(
        who=st.sampled_from(["newest", "oldest", "forged"]),
        is_old=st.booleans(),
        wait=st.booleans(),
        ends=st.lists(st.sampled_from(["in time", "late"]), max_size=3),
    )
    def a_request_comes(self, who: str, is_old: bool, wait: bool, ends: list[str]) -> None:
        kid = {"newest": self.published[-1].kid, "oldest": KEYS[0].kid, "forged": FORGED}[who]
        iat = self.clock.time() - (5000 if is_old else 1)
        begun = self.clock.monotonic()
        try:
            key_set = self.find(kid, iat, ends, wait=wait)
        except KeyNotFoundError:
            was_seen_absent = self.keys._budget.is_absent(f"ES256:{kid}", self.clock.monotonic())
            is_down = self.keys.attempts.failures > 0
            assert was_seen_absent or is_old or not is_down, "an outage was blamed on the token"
        except KeysUnavailableError:
            pass  # an outage, or a fetch that takes too long: never wrong of us
        else:
            assert key_set.candidates(kid, "ES256")
            self.nothing_is_served_past_its_bound()
        assert self.clock.monotonic() - begun <= self.options.request_wait + 1e-6

    def find(self, kid: str, iat: float, ends: list[str], *, wait: bool) -> KeySet:
        """As `oidcbridge.verification` does it, with fetches that end in time or do not."""
        mark, give_up = self.keys.mark(), self.clock.monotonic() + self.options.request_wait
        usable = self.keys.usable(self.clock.time())
        if usable is not None and usable.candidates(kid, "ES256"):
            return usable
        token: Any = SimpleNamespace(header=SimpleNamespace(kid=kid, alg="ES256"), claims={"iat": iat})
        steps = find_keys(token, self.keys, mark, self.clock, give_up, wait=wait)
        try:
            asked = next(steps)
            while True:
                if ends and ends.pop(0) == "in time":
                    self.background.pass_time(min(0.2, asked.seconds))
                    while self.background.jobs:
                        self.a_fetch_ends()
                else:
                    self.background.pass_time(asked.seconds)
                asked = steps.send(asked.flight.done)
        except StopIteration as end:
            found: KeySet = end.value
            return found

    def nothing_is_served_past_its_bound(self) -> None:
        current = self.keys.snapshot
        assert current is not None
        age = current.fetched.age(Instant.now(self.clock))
        assert age < max(current.lifetime.soft, self.options.max_stale)

    @invariant()
    def strangers_stay_within_their_budget(self) -> None:
        if hasattr(self, "keys"):
            elapsed = self.clock.monotonic() - self.begun
            assert self.strangers <= self.options.unknown_kid_burst + elapsed / self.options.unknown_kid_interval + 1e-6

    @invariant()
    def what_can_be_used_is_fresh(self) -> None:
        if hasattr(self, "keys") and self.keys.usable(self.clock.time()) is not None:
            assert self.keys.state(Instant.now(self.clock)) is State.FRESH

    @invariant()
    def at_most_one_fetch_is_under_way(self) -> None:
        if hasattr(self, "background"):
            assert len(self.background.jobs) <= 1


KeySetLife.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestKeySetLife = KeySetLife.TestCase
