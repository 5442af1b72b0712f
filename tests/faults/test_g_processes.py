"""G, around the process: fork, subprocesses of uvloop, the end of a verifier, of an app and of the interpreter."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from oidcbridge import OIDCMiddleware
from oidcbridge.errors import VerifierClosedError
from oidcbridge.testing import Clock, auth_header
from tests.asgi.kit import Probe
from tests.faults.kit import eventually, health, stopwatch
from tests.faults.programs import program
from tests.faults.table import Row, scenario
from tests.remote.hostile import PATIENCE, HeldIssuer

#: What every child does: verify, ask the provider itself, verify again; and tell of its own threads.
CHILD = """
verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api", token_cache=0)
def child():
    say("child", verifier.verify_now(sys.argv[2]).user_id)
    asyncio.run(verifier.refresh(force=True))
    say("child", asyncio.run(verifier.verify(sys.argv[2])).user_id, *threads())
def parent():
    say("parent", verifier.verify_now(sys.argv[2]).user_id)
"""
AMID = """
sys.stdin.readline()
verifier.start_warming()
sys.stdin.readline()
say("exit", in_child(child))
sys.stdin.readline()
parent()
"""
SUBPROCESSES = """
    import uvloop
    def refresher():
        (thread,) = [one for one in threading.enumerate() if one.name == "oidcbridge-refresher"]
        return thread
    async def main():
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api", token_cache=0)
        user = (await verifier.verify(sys.argv[2])).user_id
        first = refresher()
        say(user, first.is_alive())
        for _ in range(5):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
            code = await process.wait()
            await verifier.refresh(force=True)
            say("other", code, refresher() is first)
            await asyncio.to_thread(sys.stdin.readline)
        say((await verifier.verify(sys.argv[2])).user_id)
    uvloop.run(main())
"""
END = """
verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
verifier.start_warming()
sys.stdin.readline()
{last}
say("bye")
"""
COME_AND_GO = """
    import gc, weakref
    def use(number):
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
        if number % 3 == 2:
            verifier.start_warming()
        else:
            assert verifier.verify_now(sys.argv[2]).user_id == "ada"
        if number % 3 == 1:
            verifier.close()
        return weakref.ref(verifier)
    use(0)
    def count():
        gc.collect()
        return f"threads {len(threads())} descriptors {len(os.listdir('/proc/self/fd'))}"
    say(before := count())
    gone = []
    for number in range(1000):
        gone.append(use(number))
        if number % 100 == 99:
            give_up = time.monotonic() + 10  # for the fetch of the last one that was dropped
            while (now := count()) != before and time.monotonic() < give_up:
                time.sleep(0.01)
            say(now)
    say("verifiers left", sum(reference() is not None for reference in gone))
"""
CHILD_SAYS = ["child ada", "child ada MainThread oidcbridge-refresher"]


@scenario("G66")
def test_g66_a_forked_child_verifies_and_refreshes_by_itself_whenever_the_fork_was(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer = real_time_issuer
    arguments = issuer.issuer_url, issuer.mint("ada")
    with program(CHILD + 'say("exit", in_child(child))\nparent()', *arguments) as before_use:
        assert [before_use.hear() for _ in range(4)] == [*CHILD_SAYS, "exit 0", "parent ada"]
    assert issuer.fetches["jwks"] == 3  # the child's first, the one it forced, the parent's first
    with program(CHILD + 'parent()\nsay("exit", in_child(child))\nparent()', *arguments) as after_warm:
        assert [after_warm.hear() for _ in range(5)] == ["parent ada", *CHILD_SAYS, "exit 0", "parent ada"]
    assert issuer.fetches["jwks"] == 5  # the parent's first, which the child has too; the one it forced
    fork_amid_a_fetch(issuer, arguments)
    assert issuer.fetches == {"discovery": 4, "jwks": 8, "token": 0}
    row.saw("all six processes accepted; each child fetched on a thread of its own", issuer.fetches)


def fork_amid_a_fetch(issuer: HeldIssuer, arguments: tuple[str, str]) -> None:
    with program(CHILD + AMID, *arguments) as amid:
        with issuer.hold():
            amid.tell("warm")
            issuer.wait_until_held()
            amid.tell("fork")
            issuer.wait_until_held(2)  # the parent's answer is still under way, and the child's
        assert [amid.hear() for _ in range(3)] == [*CHILD_SAYS, "exit 0"]
        amid.tell("go on")
        assert amid.hear() == "parent ada"


@scenario("G67")
def test_g67_subprocesses_of_uvloop_leave_the_parent_its_refresher(real_time_issuer: HeldIssuer, row: Row) -> None:
    """uvloop calls the hooks that run before a fork at each subprocess; one of those could stop the thread for good."""
    issuer = real_time_issuer
    with program(SUBPROCESSES, issuer.issuer_url, issuer.mint("ada")) as parent:
        assert parent.hear() == "ada True"
        for number in range(2, 7):
            assert parent.hear() == "other 0 True"  # exit code; whether the thread is the one of the beginning
            issuer.wait_for_fetches(number)
            parent.tell("next")
        assert parent.hear() == "ada"
    assert issuer.fetches == {"discovery": 1, "jwks": 6, "token": 0}
    row.saw("the same thread fetched after each of 5 subprocesses", issuer.fetches)


@scenario("G73")
def test_g73_close_returns_at_once_amid_a_fetch_and_a_lifespan_that_ends_only_pauses(
    real_time_issuer: HeldIssuer, issuer: HeldIssuer, clock: Clock, row: Row
) -> None:
    close_amid_a_fetch(real_time_issuer)
    assert real_time_issuer.fetches["jwks"] == 1
    end_and_begin_a_lifespan(issuer, clock)
    assert issuer.fetches["jwks"] == 2
    exit_amid_a_fetch(real_time_issuer)
    assert real_time_issuer.fetches["jwks"] == 3
    row.saw(
        "closed within 1 s, then VerifierClosedError; a paused app went on; clean exits",
        real_time_issuer.fetches + issuer.fetches,
    )


def close_amid_a_fetch(issuer: HeldIssuer) -> None:
    verifier = issuer.verifier()
    with ThreadPoolExecutor(1) as aside, issuer.hold():
        waiting = aside.submit(verifier.verify_now, issuer.mint("ada"))
        issuer.wait_until_held()
        with stopwatch() as closing:
            verifier.close()
        assert closing.seconds < 1.0
        verifier.close()
    assert waiting.result(PATIENCE).user_id == "ada"  # who asked before the end still got the answer
    with pytest.raises(VerifierClosedError):
        verifier.verify_now(issuer.mint("ada"))
    for call in (verifier.verify(issuer.mint("ada")), verifier.warm(), verifier.refresh(force=True)):
        with pytest.raises(VerifierClosedError):
            asyncio.run(call)


def end_and_begin_a_lifespan(issuer: HeldIssuer, clock: Clock) -> None:
    """Two lives of one app; when the second begins the keys are old, and are fetched again without anybody waiting."""
    with issuer.verifier() as verifier:
        app = OIDCMiddleware(Probe(), verifier=verifier)
        for fetches in (1, 2):
            with TestClient(app) as client:
                issuer.wait_for_fetches(fetches)
                assert client.get("/", headers=auth_header(issuer.mint("ada"))).json()["user_id"] == "ada"
                eventually(lambda: health(verifier).state == "fresh")
            clock.advance(400)


def exit_amid_a_fetch(issuer: HeldIssuer) -> None:
    """Two interpreters end in the middle of a fetch, one of them closed before, and leave nothing on stderr."""
    for number, last in ((2, ""), (3, "verifier.close()")):
        with issuer.hold():
            with program(END.format(last=last), issuer.issuer_url) as ending:
                issuer.wait_until_held(number)
                ending.tell("end")
                said = ending.hear()
                with stopwatch() as ended:
                    ending.join()
            assert said == "bye"
            assert ended.seconds < 3.0  # the fetch itself would have gone on for five seconds


@scenario("G74")
def test_g74_a_thousand_verifiers_that_come_and_go_leave_nothing_behind(real_time_issuer: HeldIssuer, row: Row) -> None:
    """A third is used and dropped, a third used and closed, a third dropped while its fetch is under way."""
    issuer = real_time_issuer
    with program(COME_AND_GO, issuer.issuer_url, issuer.mint("ada")) as parent:
        before = parent.hear()
        assert before.startswith("threads 2 descriptors ")
        for _ in range(10):
            assert parent.hear() == before
        assert parent.hear() == "verifiers left 0"
    assert issuer.fetches == {"discovery": 1001, "jwks": 1001, "token": 0}
    row.saw("threads and descriptors constant, every verifier collected", issuer.fetches)
