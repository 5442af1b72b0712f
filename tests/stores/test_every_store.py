"""What each key store does, by files and by Redis alike: entries, one that leads, and one budget for all."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack

import pytest

from oidcbridge.core.key_store import KeyStore, Lead
from tests.stores.conftest import Kind
from tests.stores.servers import ISSUER, run, said, started

OTHER = "https://other.example.com"


async def wait_for_lead(store: KeyStore, *, within: float, seconds: float = 60.0) -> Lead:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        lead = await store.lead(ISSUER, seconds=seconds)
        if lead is not None:
            return lead
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody else could lead within {within} s")


def test_an_entry_is_there_for_every_worker_once_it_is_saved(kind: Kind) -> None:
    async def main() -> None:
        one, other = kind.new(), kind.new()
        assert await other.load(ISSUER) is None
        await one.save(ISSUER, b"first \x00\xff", seconds=60.0)
        assert await other.load(ISSUER) == b"first \x00\xff"
        await other.save(ISSUER, b"2", seconds=60.0)
        assert await one.load(ISSUER) == b"2"

    asyncio.run(main())


def test_issuers_have_nothing_in_common(kind: Kind) -> None:
    async def main() -> None:
        store = kind.new()
        await store.save(ISSUER, b"mine", seconds=60.0)
        assert await store.load(OTHER) is None
        assert await store.lead(ISSUER, seconds=60.0)
        assert await store.lead(OTHER, seconds=60.0)
        assert await store.spend(ISSUER, burst=1, interval=60.0)
        assert await store.spend(OTHER, burst=1, interval=60.0)

    asyncio.run(main())


@pytest.mark.parametrize("issuer", ["https://id.example.com/../../x?y=%2F", "https://ид.example/" + "x" * 500])
def test_any_issuer_is_a_good_name(kind: Kind, issuer: str) -> None:
    async def main() -> None:
        store = kind.new()
        await store.save(issuer, b"entry", seconds=60.0)
        assert await kind.new().load(issuer) == b"entry"
        assert await store.lead(issuer, seconds=60.0)
        assert await store.spend(issuer, burst=1, interval=60.0)

    asyncio.run(main())


def test_one_leads_at_a_time_in_one_process_too_and_the_next_after_it_has_ended(kind: Kind) -> None:
    async def main() -> None:
        one, other = kind.new(), kind.new()
        lead = await one.lead(ISSUER, seconds=60.0)
        assert lead is not None
        assert await other.lead(ISSUER, seconds=60.0) is None
        assert await one.lead(ISSUER, seconds=60.0) is None
        await lead.end()
        second = await other.lead(ISSUER, seconds=60.0)
        assert second is not None
        await lead.end()  # again: it is another's by now
        assert await one.lead(ISSUER, seconds=60.0) is None
        await second.end()

    asyncio.run(main())


def test_a_lead_that_nobody_ends_is_over_after_its_seconds_and_ends_nobody_elses(kind: Kind) -> None:
    async def main() -> None:
        one, other = kind.new(), kind.new()
        started_at = time.monotonic()
        late = await one.lead(ISSUER, seconds=0.4)
        assert late is not None
        lead = await wait_for_lead(other, within=10)
        assert time.monotonic() - started_at >= 0.35
        await late.end()
        assert await one.lead(ISSUER, seconds=60.0) is None
        await lead.end()

    asyncio.run(main())


def test_of_many_workers_one_leads(kind: Kind) -> None:
    program = f"""
        async def main():
            store = {kind.source}
            await store.load(ISSUER)
            say("ready")
            sys.stdin.readline()
            leads = await asyncio.gather(*[store.lead(ISSUER, seconds=60.0) for _ in range(5)])
            say(sum(lead is not None for lead in leads))
            sys.stdin.readline()
        asyncio.run(main())
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(started(program)) for _ in range(3)]
        assert [said(worker) for worker in workers] == [["ready"]] * 3
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        assert sorted(said(worker) for worker in workers) == [["0"], ["0"], ["1"]]


def test_the_budget_is_one_for_all_and_fills_again(kind: Kind) -> None:
    async def main() -> None:
        one, other = kind.new(), kind.new()
        assert [await store.spend(ISSUER, burst=2, interval=0.5) for store in (one, other)] == [True, True]
        begun = time.monotonic()
        assert await one.spend(ISSUER, burst=2, interval=600.0) is False
        while not await other.spend(ISSUER, burst=2, interval=0.5):
            assert time.monotonic() - begun < 10
            await asyncio.sleep(0.02)
        assert time.monotonic() - begun > 0.3

    asyncio.run(main())


def test_workers_together_never_spend_more_than_the_burst_and_one_each_interval(kind: Kind) -> None:
    program = f"""
        async def main():
            store, spent = {kind.source}, 0
            await store.load(ISSUER)
            say("ready")
            sys.stdin.readline()
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                spent += await store.spend(ISSUER, burst=3, interval=0.25)
                await asyncio.sleep(0.002)
            say(spent)
        asyncio.run(main())
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(started(program)) for _ in range(3)]
        assert [said(worker) for worker in workers] == [["ready"]] * 3
        begun = time.monotonic()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        spent = sum(int(said(worker)[0]) for worker in workers)
        seconds = time.monotonic() - begun
    assert 3 + 1 <= spent <= 3 + seconds / 0.25


def test_what_was_spent_stays_spent_when_the_worker_dies_at_once(kind: Kind) -> None:
    program = f"""
        say(asyncio.run({kind.source}.spend(ISSUER, burst=1, interval=600.0)))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with started(program) as worker:
        assert said(worker) == ["True"]
        worker.wait()
    assert asyncio.run(kind.new().spend(ISSUER, burst=1, interval=600.0)) is False


def test_a_store_serves_one_event_loop_after_the_other(kind: Kind) -> None:
    store = kind.new()
    asyncio.run(store.save(ISSUER, b"entry", seconds=60.0))
    for _ in range(3):
        assert asyncio.run(store.load(ISSUER)) == b"entry"

    async def lead_and_end() -> None:
        lead = await store.lead(ISSUER, seconds=60.0)
        assert lead is not None
        await lead.end()

    for _ in range(2):
        asyncio.run(lead_and_end())
        asyncio.run(store.close())


def test_calls_at_the_same_time_do_not_hurt_each_other(kind: Kind) -> None:
    async def main() -> None:
        store = kind.new()

        async def use(number: int) -> None:
            issuer = f"https://{number % 4}.example.com"
            await store.save(issuer, b"x" * 50_000, seconds=60.0)
            assert await store.load(issuer) == b"x" * 50_000

        await asyncio.gather(*[use(number) for number in range(16)])

    asyncio.run(main())


def test_stores_in_several_threads_do_not_hurt_each_other(kind: Kind) -> None:
    seen: list[bytes | None] = []

    def work(number: int) -> None:
        async def main() -> None:
            store = kind.new()
            for turn in range(5):
                await store.save(f"{ISSUER}/{number}", b"%d" % turn, seconds=60.0)
                seen.append(await store.load(f"{ISSUER}/{number}"))

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen, key=str) == sorted([b"%d" % turn for turn in range(5)] * 4, key=str)


def test_a_call_that_is_cancelled_leaves_the_store_usable(kind: Kind) -> None:
    async def main() -> None:
        store = kind.new()
        for delay in (0.0, 0.001, 0.002):
            tasks = [asyncio.create_task(store.save(ISSUER, b"x" * 100_000, seconds=60.0)) for _ in range(4)]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await store.save(ISSUER, b"entry", seconds=60.0)
        while await store.load(ISSUER) != b"entry":  # a thread may still have been writing
            await store.save(ISSUER, b"entry", seconds=60.0)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_forked_child_uses_the_store_for_itself_and_the_lead_stays_the_parents(kind: Kind) -> None:
    seen = run(
        f"""
        store = {kind.source}
        async def before():
            await store.save(ISSUER, b"entry", seconds=60.0)
            return await store.lead(ISSUER, seconds=60.0)
        loop = asyncio.new_event_loop()
        lead = loop.run_until_complete(before())
        async def in_child():
            say((await store.load(ISSUER)).decode(), await store.lead(ISSUER, seconds=60.0))
            await lead.end()
            say(await store.lead(ISSUER, seconds=60.0))
        pid = os.fork()
        if pid == 0:
            asyncio.run(in_child())
            os._exit(0)
        say(os.waitpid(pid, 0)[1])
        async def after():
            say(await store.lead(ISSUER, seconds=60.0))
            await lead.end()
            say(type(await store.lead(ISSUER, seconds=60.0)).__name__)
        loop.run_until_complete(after())
        loop.close()
        """
    )
    assert seen[:-1] == ["entry", "None", "None", "0", "None"]
    assert seen[-1] in ("FileLead", "RedisLead")


def test_a_program_that_never_closes_a_store_ends_clean(kind: Kind) -> None:
    seen = run(
        f"""
        store = {kind.source}
        async def main():
            await store.save(ISSUER, b"entry", seconds=60.0)
            await store.spend(ISSUER, burst=1, interval=60.0)
            await store.lead(ISSUER, seconds=60.0)
            say((await store.load(ISSUER)).decode())
        asyncio.run(main())
        """
    )
    assert seen == ["entry"]
