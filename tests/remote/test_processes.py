"""Import, fork and exit, in processes of their own with every warning an error: silent, quick and clean.

Each program is told the address of a fake issuer, served by this process, and prints what it saw.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

import pytest

from tests.remote.hostile import HeldIssuer, HostileServer, silence

BEGINNING = """
import asyncio, json, os, sys, threading, time
from oidcbridge import FetchOptions, Verifier
def threads():
    return sorted(thread.name for thread in threading.enumerate())
def say(*words):
    print(*words, flush=True)
def in_child(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(program: str, *arguments: str, seconds: float = 20) -> list[str]:
    """What the program printed; it must end well, within ``seconds``, and leave nothing on stderr."""
    command = [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(program), *arguments]
    started = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    assert time.monotonic() - started < seconds
    return ended.stdout.split()


@pytest.fixture
def issuer(real_time_issuer: HeldIssuer) -> HeldIssuer:
    return real_time_issuer


def test_importing_and_configuring_starts_no_thread_and_opens_no_connection(issuer: HeldIssuer) -> None:
    seen = run(
        """
        import oidcbridge.asgi.middleware, oidcbridge.testing
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
        say(*threads())
        """,
        issuer.issuer_url,
    )
    assert seen == ["MainThread"]
    assert issuer.fetches.total() == 0


def test_a_process_that_fetched_exits_clean_whether_it_closed_or_not(issuer: HeldIssuer) -> None:
    seen = run(
        """
        kept = Verifier(issuer_url=sys.argv[1], audience="agent-api")
        say(kept.verify_now(sys.argv[2]).user_id)
        with Verifier(issuer_url=sys.argv[1], audience="agent-api") as closed:
            say(asyncio.run(closed.verify(sys.argv[2])).user_id)
        say(*threads())
        """,
        issuer.issuer_url,
        issuer.mint("ada"),
    )
    assert seen == ["ada", "ada", "MainThread", "oidcbridge-refresher"]


def test_a_process_exits_clean_and_at_once_in_the_middle_of_a_fetch() -> None:
    with HostileServer(silence) as server:
        program = """
            verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
            verifier.start_warming()
            sys.stdin.readline()
            say("bye", time.monotonic())
        """
        command = [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(program), server.url]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            server.wait_for_request()
            out, err = process.communicate("go\n", timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("bye ")
    assert time.monotonic() - float(out.split()[1]) < 3.0  # the fetch itself would have gone on for five seconds


def test_a_name_server_that_hangs_does_not_hold_up_the_exit() -> None:
    seen = run(
        """
        import socket
        asked = threading.Event()
        def hang(*args, **options):
            asked.set()
            threading.Event().wait()
        socket.getaddrinfo = hang
        Verifier(issuer_url="https://idp.example", audience="agent-api").start_warming()
        assert asked.wait(10)
        say("bye")
        """
    )
    assert seen == ["bye"]


def test_a_child_forked_before_any_use_after_use_and_with_old_keys_verifies_for_itself(issuer: HeldIssuer) -> None:
    seen = run(
        """
        from oidcbridge.testing import Clock
        clock = Clock()
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api", clock=clock, leeway=300, token_cache=0)
        def verify():
            say(verifier.verify_now(sys.argv[2]).user_id)
        say(in_child(verify))
        verify()
        say(in_child(verify))
        clock.advance(3000)
        say(in_child(verify))
        verify()
        """,
        issuer.issuer_url,
        issuer.mint("ada", expires_in=7200),
    )
    assert seen == ["ada", "0", "ada", "ada", "0", "ada", "0", "ada"]
    assert issuer.fetches["jwks"] == 4  # the first child's own, the parent's, and for the old keys one each


def test_a_process_forked_in_the_middle_of_a_fetch_has_a_child_that_fetches_for_itself(issuer: HeldIssuer) -> None:
    program = """
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
        verifier.start_warming()
        sys.stdin.readline()
        def work():
            say(verifier.verify_now(sys.argv[2]).user_id, *threads())
            say(asyncio.run(verifier.verify(sys.argv[2])).user_id)
        say("exit", in_child(work))
        sys.stdin.readline()
        say(verifier.verify_now(sys.argv[2]).user_id)
    """
    arguments = [issuer.issuer_url, issuer.mint("ada")]
    command = [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(program), *arguments]
    pipe = subprocess.PIPE
    with (
        issuer.hold() as let_go,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1) as process,
    ):
        assert process.stdin is not None
        issuer.wait_until_held()
        process.stdin.write("fork\n")
        issuer.wait_until_held(2)  # the parent's answer is still under way, and the child's
        let_go()
        let_go()
        out, err = process.communicate("go on\n", timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out.split() == ["ada", "MainThread", "oidcbridge-refresher", "ada", "exit", "0", "ada"]
    assert issuer.fetches["jwks"] == 2


def test_a_process_that_forks_while_other_threads_verify_never_deadlocks_its_children(issuer: HeldIssuer) -> None:
    seen = run(
        """
        verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api", token_cache=4)
        tokens = sys.argv[2:]
        ended = threading.Event()
        def work():
            while not ended.is_set():
                for token in tokens:
                    verifier.verify_now(token)
        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        def child():
            for token in tokens:
                verifier.verify_now(token)
        say(*[in_child(child) for _ in range(3)])
        ended.set()
        """,
        issuer.issuer_url,
        *[issuer.mint(f"user-{number}") for number in range(8)],
    )
    assert seen == ["0"] * 3


def test_a_uvloop_process_that_starts_others_keeps_its_thread(issuer: HeldIssuer) -> None:
    seen = run(
        """
        import uvloop
        async def main():
            verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api", token_cache=0)
            say((await verifier.verify(sys.argv[2])).user_id, *threads())
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('other', flush=True)")
            say(await process.wait(), *threads())
            await verifier.warm(strict=True)
        uvloop.run(main())
        """,
        issuer.issuer_url,
        issuer.mint("ada"),
    )
    assert seen == ["ada", "MainThread", "oidcbridge-refresher", "other", "0", "MainThread", "oidcbridge-refresher"]


def test_verifiers_that_come_and_go_leave_no_thread_and_no_descriptor_behind(issuer: HeldIssuer) -> None:
    seen = run(
        """
        import gc, weakref
        def use():
            verifier = Verifier(issuer_url=sys.argv[1], audience="agent-api")
            assert verifier.verify_now(sys.argv[2]).user_id == "ada"
            return weakref.ref(verifier)
        use()
        before = len(os.listdir("/proc/self/fd")), threads()
        gone = [use() for _ in range(30)]
        gc.collect()
        assert (len(os.listdir("/proc/self/fd")), threads()) == before
        say(sum(reference() is not None for reference in gone))
        """,
        issuer.issuer_url,
        issuer.mint("ada"),
    )
    assert seen == ["0"]
