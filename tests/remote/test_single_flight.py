"""However many ask at once, from whatever loop or thread: one fetch, and nobody's cancelling is anybody else's loss."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import KeysUnavailableError, ProviderError
from oidcbridge.remote.flight import runs_event_loop
from oidcbridge.testing import Clock
from tests.remote.hostile import PATIENCE, HeldIssuer
from tests.remote.loops import LOOPS, Runner, on_asyncio, on_trio, on_uvloop

CROWD = 500


@pytest.fixture
def issuer(real_time_issuer: HeldIssuer) -> HeldIssuer:
    return real_time_issuer


async def crowd(verifier: Verifier, token: str, size: int = CROWD) -> list[str]:
    """Verify ``size`` times at once, on asyncio or trio; the users, or the names of the errors."""
    outcomes: list[str] = []

    async def one() -> None:
        try:
            outcomes.append((await verifier.verify(token)).user_id)
        except ProviderError as error:
            outcomes.append(type(error).__name__)

    async with anyio.create_task_group() as tasks:
        for _ in range(size):
            tasks.start_soon(one)
    return outcomes


def callers_of_every_kind(verifier: Verifier, token: str, users: list[str], *, plain: int) -> list[threading.Thread]:
    """Five loops with ten requests each, of asyncio, uvloop and trio, and ``plain`` threads that run none."""

    async def verify() -> None:
        users.extend(await crowd(verifier, token, 10))

    def verify_now() -> None:
        users.append(verifier.verify_now(token).user_id)

    runs: list[Callable[[], None]] = [lambda: on_asyncio(verify)] * 3
    runs += [lambda: on_uvloop(verify), lambda: on_trio(verify), *[verify_now] * plain]
    return [threading.Thread(target=run, daemon=True) for run in runs]


@LOOPS
def test_five_hundred_coroutines_share_one_cold_fetch(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier(token_cache=0) as verifier:

        async def main() -> None:
            assert await crowd(verifier, issuer.mint("ada")) == ["ada"] * CROWD

        run(main)
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 1)


@LOOPS
def test_five_hundred_coroutines_share_one_refetch_for_a_new_key(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier(token_cache=0) as verifier:
        asyncio.run(verifier.warm(strict=True))
        issuer.rotate()

        async def main() -> None:
            assert await crowd(verifier, issuer.mint("ada")) == ["ada"] * CROWD

        run(main)
    assert issuer.fetches["jwks"] == 2


@LOOPS
def test_a_crowd_before_a_provider_that_hangs_is_told_in_time_and_together(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.hold(), issuer.verifier(fetch=FetchOptions(request_wait=0.3)) as verifier:

        async def main() -> None:
            started = time.monotonic()
            assert await crowd(verifier, issuer.mint()) == ["KeysUnavailableError"] * CROWD
            assert time.monotonic() - started < 2.0

        run(main)
    assert issuer.fetches["jwks"] == 1


@LOOPS
def test_a_crowd_before_a_dead_provider_is_told_at_once_and_does_not_storm_it(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.outage(), issuer.verifier() as verifier:

        async def main() -> None:
            assert await crowd(verifier, issuer.mint()) == ["KeysUnavailableError"] * CROWD

        run(main)
    assert issuer.fetches["discovery"] <= 4  # two attempts, each tried once more where the connection broke


@LOOPS
def test_a_cancelled_leader_harms_nobody(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier() as verifier:

        async def main() -> None:
            token = issuer.mint("ada")
            staying: list[str] = []

            async def stay() -> None:
                staying.extend(await crowd(verifier, token, 20))

            with issuer.hold() as let_go:
                async with anyio.create_task_group() as tasks:
                    leaders = anyio.CancelScope()

                    async def lead() -> None:
                        with leaders:
                            await verifier.verify(token)

                    tasks.start_soon(lead)
                    await anyio.to_thread.run_sync(issuer.wait_until_held)
                    tasks.start_soon(stay)
                    await anyio.wait_all_tasks_blocked()
                    leaders.cancel()
                    await anyio.wait_all_tasks_blocked()
                    assert staying == []
                    let_go()
            assert leaders.cancelled_caught
            assert staying == ["ada"] * 20

        run(main)
        assert issuer.fetches["jwks"] == 1


@LOOPS
def test_a_fetch_that_everybody_left_still_brings_the_keys(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier() as verifier:

        async def leave() -> None:
            with issuer.hold(), anyio.move_on_after(0.05):
                await verifier.verify(issuer.mint())

        run(leave)
        issuer.wait_for_fetches(1)
        asyncio.run(verifier.warm(strict=True))
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 1


def test_a_loop_closed_in_the_middle_of_a_fetch_leaves_the_next_loop_alone(issuer: HeldIssuer) -> None:
    with issuer.verifier() as verifier:
        with issuer.hold():
            loop = asyncio.new_event_loop()
            abandoned = loop.create_task(verifier.verify(issuer.mint()))
            loop.run_until_complete(asyncio.sleep(0))
            issuer.wait_until_held()
            abandoned.cancel()
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(abandoned)
            loop.close()
        for _ in range(2):
            assert asyncio.run(verifier.verify(issuer.mint("ada"))).user_id == "ada"
        assert issuer.fetches["jwks"] == 1


def test_four_loops_a_trio_and_eight_threads_at_once_share_one_fetch(issuer: HeldIssuer) -> None:
    token = issuer.mint("ada")
    users: list[str] = []
    with issuer.verifier(token_cache=0) as verifier:
        threads = callers_of_every_kind(verifier, token, users, plain=8)
        with issuer.hold():
            for thread in threads:
                thread.start()
            issuer.wait_until_held()
        for thread in threads:
            thread.join(PATIENCE)
    assert users == ["ada"] * 58
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 1)


@LOOPS
def test_verify_now_on_a_thread_with_a_loop_never_waits_but_begins_the_fetch(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier() as verifier:

        async def main() -> None:
            with issuer.hold():
                with pytest.raises(KeysUnavailableError, match="being fetched"):
                    verifier.verify_now(issuer.mint())  # with an endless wait this would hang: the answer is held
                await anyio.to_thread.run_sync(issuer.wait_until_held)
            await verifier.warm(strict=True)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            issuer.rotate()
            with pytest.raises(KeysUnavailableError, match="being fetched"):
                verifier.verify_now(issuer.mint())
            await verifier.warm(strict=True)
            await anyio.to_thread.run_sync(issuer.wait_for_fetches, 2)

        run(main)
    assert issuer.fetches["jwks"] == 2


def test_verify_now_on_a_thread_with_a_loop_goes_on_with_old_keys_as_long_as_they_are_good_at_all() -> None:
    clock = Clock()
    issuer = HeldIssuer(clock=clock)

    async def main() -> None:
        await verifier.warm(strict=True)
        clock.advance(3 * 3600)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        await verifier.warm(strict=True)
        assert issuer.fetches["jwks"] == 2
        clock.advance(5 * 3600)
        with pytest.raises(KeysUnavailableError, match="too old"):
            verifier.verify_now(issuer.mint("ada"))
        await verifier.warm(strict=True)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"

    with issuer.serve(), issuer.verifier() as verifier:
        asyncio.run(main())
    assert issuer.fetches["jwks"] == 3


@LOOPS
def test_verify_now_on_a_worker_thread_waits_as_in_any_plain_thread(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier() as verifier:

        async def main() -> None:
            assert runs_event_loop()
            assert not await anyio.to_thread.run_sync(runs_event_loop)
            principal = await anyio.to_thread.run_sync(verifier.verify_now, issuer.mint("ada"))
            assert principal.user_id == "ada"

        run(main)
    assert not runs_event_loop()


def test_a_thread_of_asyncio_s_own_waits_too(issuer: HeldIssuer) -> None:
    with issuer.verifier() as verifier:
        principal = asyncio.run(asyncio.to_thread(verifier.verify_now, issuer.mint("ada")))
        assert principal.user_id == "ada"


@LOOPS
def test_waiting_uses_no_thread_that_the_app_could_need(issuer: HeldIssuer, run: Runner) -> None:
    with issuer.verifier() as verifier:

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                with issuer.hold():
                    for _ in range(100):
                        tasks.start_soon(verifier.verify, issuer.mint())
                    await anyio.to_thread.run_sync(issuer.wait_until_held)
                    with anyio.fail_after(PATIENCE):
                        assert await anyio.to_thread.run_sync(lambda: "free") == "free"
                    assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0

        run(main)


def test_the_event_loop_is_not_held_up_while_keys_are_fetched(issuer: HeldIssuer) -> None:
    issuer.slow = 0.2
    gaps: list[float] = []

    async def main() -> None:
        task = asyncio.ensure_future(verifier.verify(issuer.mint("ada")))
        last = time.monotonic()
        while not task.done():
            await asyncio.sleep(0.001)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
        assert (await task).user_id == "ada"

    with issuer.verifier() as verifier:
        asyncio.run(main())
    assert sum(gaps) > 0.35  # discovery and keys, 0.2 seconds each
    assert max(gaps) < 0.3
