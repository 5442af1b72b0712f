"""Workers that share a key store: one asks the provider, and all have the keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.core import policy
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError
from oidcbridge.testing import Clock
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import PATIENCE, HeldIssuer

Hire = Callable[..., Verifier]
HOUR = 3600.0


@pytest.fixture
def hire(issuer: HeldIssuer, tmp_path: Path) -> Iterator[Hire]:
    """Makes one more worker: a verifier with a store of its own over the directory that all share."""
    workers: list[Verifier] = []

    def hire(**options: Any) -> Verifier:
        workers.append(issuer.verifier(key_store=tmp_path / "keys", **options))
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


class FastClock(policy.Clock):
    """The wall clock of another host: ahead of ``clock`` by less than the minute that is forgiven."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock.time() + 40.0

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def boottime(self) -> float:
        return self._clock.boottime()


@pytest.fixture
def two_hosts(hire: Hire, clock: Clock) -> tuple[Verifier, Verifier]:
    """One whose clock is right, and one whose clock is fast and whose entry, dated in the future, lies in the store."""
    here, there = hire(), hire(clock=FastClock(clock))
    settle(here)
    settle(there)
    clock.advance(200)
    asyncio.run(there.refresh(force=True))
    return here, there


def test_what_a_host_with_a_fast_clock_saved_before_does_not_bring_back_a_key_that_a_forced_refresh_removed(
    issuer: HeldIssuer, two_hosts: tuple[Verifier, Verifier], clock: Clock
) -> None:
    here, _there = two_hosts
    stolen = issuer.mint("thief", expires_in=5000)
    clock.advance(5)
    issuer.rotate()
    issuer.retire()
    asyncio.run(here.refresh(force=True))
    clock.advance(11)
    refuse(here, stranger(issuer))  # a reason to look into the store
    refuse(here, stolen)
    assert here.verify_now(issuer.mint("ada")).user_id == "ada"


def test_what_a_host_with_a_fast_clock_saved_before_a_rotation_does_not_prove_the_new_key_absent(
    issuer: HeldIssuer, two_hosts: tuple[Verifier, Verifier], clock: Clock
) -> None:
    here, _there = two_hosts
    clock.advance(2)
    issuer.rotate()
    before = issuer.fetches["jwks"]
    assert here.verify_now(issuer.mint("ada")).user_id == "ada"
    assert issuer.fetches["jwks"] == before + 1


def test_new_keys_that_a_host_with_a_fast_clock_has_fetched_are_used_all_the_same(
    issuer: HeldIssuer, two_hosts: tuple[Verifier, Verifier], clock: Clock
) -> None:
    here, there = two_hosts
    clock.advance(2)
    issuer.rotate()
    assert there.verify_now(issuer.mint("ada")).user_id == "ada"
    before = issuer.fetches["jwks"]
    assert here.verify_now(issuer.mint("bob")).user_id == "bob"
    assert issuer.fetches["jwks"] == before


def test_a_wall_clock_that_is_set_back_does_not_make_dead_keys_fresh_by_the_entry_of_another_worker(
    issuer: HeldIssuer, hire: Hire, clock: Clock
) -> None:
    here, there = hire(), hire()
    settle(here)
    clock.advance(1)
    asyncio.run(there.refresh(force=True))  # a second younger than ours
    with issuer.outage():
        for _ in range(5):  # at first ours are renewed from the store; then nobody has any younger
            clock.advance(HOUR)
            settle(here, strict=False)
        unavailable(here, issuer.mint("ada"))
        clock.set_time(clock.time() - 5 * HOUR)
        clock.advance(61)
        unavailable(here, issuer.mint("ada"))
        (health,) = here.health()
        assert health.state == "dead"
        assert health.age == pytest.approx(5 * HOUR, abs=120)
    clock.advance(61)
    assert here.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_provider_that_asked_for_quiet_is_left_in_peace_and_the_keys_come_from_a_luckier_worker(
    issuer: HeldIssuer, hire: Hire, clock: Clock
) -> None:
    lucky, told_to_wait = hire(), hire()
    for keys_at_hand in (False, True):
        issuer.status, issuer.jwks_headers = 429, {"retry-after": "300"}
        assert unavailable(told_to_wait, issuer.mint("ada")).retry_after == 300
        issuer.status, issuer.jwks_headers = None, {}
        asyncio.run(lucky.refresh(force=True))
        fetches, token = issuer.fetches["jwks"], issuer.mint("ada")
        assert verified_within(10, told_to_wait, token, clock) == "ada", keys_at_hand
        assert issuer.fetches["jwks"] == fetches
        clock.advance(301)
        issuer.rotate()


def verified_within(seconds: int, verifier: Verifier, token: str, clock: Clock) -> str:
    """The user, once the provider's quiet is no reason any more; the store is written after requests were answered."""
    for _ in range(seconds):
        try:
            return verifier.verify_now(token).user_id
        except KeysUnavailableError:
            clock.advance(1)
            threading.Event().wait(0.05)
    return verifier.verify_now(token).user_id
