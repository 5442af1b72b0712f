"""Workers that share a key store: one asks the provider, and all have the keys."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oidcbridge import Event, FetchOptions, Verifier
from oidcbridge.errors import KeyNotFoundError, KeyStoreError, KeysUnavailableError
from oidcbridge.stores import FileKeyStore
from oidcbridge.testing import Clock
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import PATIENCE, HeldIssuer

Hire = Callable[[], Verifier]


@pytest.fixture
def hire(issuer: HeldIssuer, tmp_path: Path) -> Iterator[Hire]:
    """Makes one more worker: a verifier with a store of its own over the directory that all share."""
    workers: list[Verifier] = []

    def hire() -> Verifier:
        workers.append(issuer.verifier(key_store=tmp_path / "keys"))
        return workers[-1]

    yield hire
    for worker in workers:
        worker.close()


def test_eight_workers_that_begin_at_once_make_one_fetch(issuer: HeldIssuer, hire: Hire) -> None:
    workers, token = [hire() for _ in range(8)], issuer.mint("ada")
    with ThreadPoolExecutor(8) as pool:
        assert {principal.user_id for principal in pool.map(lambda one: one.verify_now(token), workers)} == {"ada"}
    assert issuer.fetches["jwks"] == 1


def test_the_worker_that_asks_first_renews_the_keys_for_all(issuer: HeldIssuer, hire: Hire, clock: Clock) -> None:
    workers = [hire() for _ in range(3)]
    for worker in workers:
        settle(worker)
    for fetches in (2, 3):
        clock.advance(301)
        for worker in workers:
            settle(worker)
        assert issuer.fetches["jwks"] == fetches


def test_a_key_that_one_worker_has_fetched_costs_the_others_nothing(issuer: HeldIssuer, hire: Hire) -> None:
    workers = [hire() for _ in range(4)]
    for worker in workers:
        settle(worker)
    issuer.rotate()
    token = issuer.mint("ada")
    assert [worker.verify_now(token).user_id for worker in workers] == ["ada"] * 4
    assert issuer.fetches["jwks"] == 2


def test_a_worker_that_finds_another_fetching_waits_for_what_it_brings(issuer: HeldIssuer, hire: Hire) -> None:
    first, second = hire(), hire()
    settle(first)
    settle(second)
    issuer.rotate()
    token = issuer.mint("ada")
    with ThreadPoolExecutor(2) as pool:
        with issuer.hold():
            asked = [pool.submit(first.verify_now, token)]
            issuer.wait_until_held()
            asked.append(pool.submit(second.verify_now, token))
            threading.Event().wait(0.3)
            assert not asked[1].done()
        assert [future.result(PATIENCE).user_id for future in asked] == ["ada", "ada"]
    assert issuer.fetches["jwks"] == 2


def test_strangers_have_one_budget_at_all_workers_together(issuer: HeldIssuer, hire: Hire, clock: Clock) -> None:
    workers = [hire() for _ in range(4)]
    for worker in workers:
        settle(worker)
    for worker in workers:
        for _ in range(5):
            refuse(worker, stranger(issuer))
    assert issuer.fetches["jwks"] == 1 + 2
    clock.advance(10)
    for worker in workers:
        for _ in range(5):
            refuse(worker, stranger(issuer))
    assert issuer.fetches["jwks"] <= 1 + 3


def test_a_rotation_while_the_shared_budget_is_spent_is_seen_at_the_refill(issuer: HeldIssuer, tmp_path: Path) -> None:
    options = FetchOptions(unknown_kid_interval=0.5)
    with (
        issuer.verifier(key_store=tmp_path / "keys", fetch=options) as first,
        issuer.verifier(key_store=tmp_path / "keys", fetch=options) as second,
    ):
        settle(first)
        settle(second)
        for _ in range(3):
            refuse(first, stranger(issuer))
        issuer.rotate()
        token = issuer.mint("ada")
        refuse(second, token, KeyNotFoundError)
        clock = issuer._clock
        assert isinstance(clock, Clock)
        clock.advance(0.6)
        issuer.wait_for_fetches(4)
        settle(second)
        assert second.verify_now(token).user_id == "ada"


def test_a_worker_that_starts_during_an_outage_has_the_keys_of_the_others(
    issuer: HeldIssuer, hire: Hire, clock: Clock
) -> None:
    settle(hire())
    clock.advance(600)
    late = hire()
    with issuer.outage():
        assert late.verify_now(issuer.mint("ada")).user_id == "ada"
        settle(late, strict=False)
        (health,) = late.health()
        assert health.state == "degraded"
        assert health.stale_budget_left == 4 * 3600 - 600
        assert unavailable(late, stranger(issuer)).retry_after >= 1


def test_keys_from_the_store_are_as_old_as_they_were_there(issuer: HeldIssuer, hire: Hire, clock: Clock) -> None:
    settle(hire())
    clock.advance(299)
    late = hire()
    settle(late)
    assert issuer.fetches["jwks"] == 1
    assert late.health()[0].age == 299
    issuer.rotate()
    clock.advance(1)
    settle(late)
    assert issuer.fetches["jwks"] == 2


def test_keys_past_their_bound_in_the_store_are_not_used(issuer: HeldIssuer, hire: Hire, clock: Clock) -> None:
    settle(hire())
    clock.advance(4 * 3600 + 1)
    with issuer.outage(), pytest.raises(KeysUnavailableError):
        hire().verify_now(issuer.mint("ada"))


def test_a_forced_refresh_asks_the_provider_and_all_have_what_it_brings(issuer: HeldIssuer, hire: Hire) -> None:
    first, second = hire(), hire()
    settle(first)
    settle(second)
    old = issuer.mint("ada")
    issuer.rotate()
    issuer.retire()
    asyncio.run(first.refresh(force=True))
    assert issuer.fetches["jwks"] == 2
    assert second.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == 2
    refuse(second, old)


def test_a_key_denied_here_stays_denied_though_the_store_brings_it(issuer: HeldIssuer, hire: Hire) -> None:
    settle(hire())
    careful = hire()
    token = issuer.mint("ada")
    careful.deny_key(issuer.signing_key().kid)
    with pytest.raises(Exception, match="denied"):
        careful.verify_now(token)


class BrokenStore(FileKeyStore):
    """Fails in the methods that are named, as an unreachable server would."""

    def __init__(self, directory: Path, *failing: str) -> None:
        super().__init__(directory)
        self.failing = set(failing)

    async def load(self, issuer: str) -> bytes | None:
        self._fail("load")
        return await super().load(issuer)

    async def save(self, issuer: str, entry: bytes, *, seconds: float) -> None:
        self._fail("save")
        await super().save(issuer, entry, seconds=seconds)

    async def spend(self, issuer: str, *, burst: int, interval: float) -> bool:
        self._fail("spend")
        return await super().spend(issuer, burst=burst, interval=interval)

    def _fail(self, name: str) -> None:
        if name in self.failing:
            raise KeyStoreError("the store is out of order")


@pytest.mark.parametrize("failing", ["load", "save", "spend"])
def test_a_store_that_fails_fails_no_request_and_is_said_once(
    issuer: HeldIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    events: list[Event] = []
    store = BrokenStore(tmp_path / "keys", failing)
    with issuer.verifier(key_store=store, observer=events.append) as verifier:
        with caplog.at_level(logging.WARNING, "oidcbridge.keys"):
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            issuer.rotate()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            issuer.rotate()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        refuse(verifier, stranger(issuer))
    assert issuer.fetches["jwks"] == 3, "each worker has its own budget then"
    assert [record.getMessage() for record in caplog.records if "store" in record.getMessage()] == [
        f"{issuer.issuer_url}: key store: the store is out of order"
    ]


def test_a_store_that_is_back_is_used_again(issuer: HeldIssuer, tmp_path: Path, clock: Clock) -> None:
    store = BrokenStore(tmp_path / "keys", "load")
    with (
        issuer.verifier(key_store=store) as first,
        issuer.verifier(key_store=tmp_path / "keys") as second,
    ):
        settle(first)
        store.failing.clear()
        clock.advance(301)
        settle(first)
        settle(second)
    assert issuer.fetches["jwks"] == 2
