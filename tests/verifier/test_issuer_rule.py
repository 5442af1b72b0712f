"""A user's function that lets issuers in: never on a loop, never in the way, and never asked more than it bears."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError, ProviderError, UnknownIssuerError
from oidcbridge.testing import Clock, FakeKey
from tests.remote.loops import LOOPS, Runner
from tests.verifier.platform import PATIENCE, Platform, Rule, tenants, user_of, wait_until


def test_a_stranger_is_asked_about_once_in_thirty_seconds(platform: Platform, clock: Clock, rule: Rule) -> None:
    rule.answers = {"evil": None, "worse": False, "empty": ""}
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        for tenant in rule.answers:
            for _ in range(5):
                with pytest.raises(UnknownIssuerError):
                    verifier.verify_now(platform.mint(tenant))
        assert (len(rule.asked), platform.fetches.total()) == (3, 0)
        clock.advance(31)
        rule.answers["evil"] = "reformed"
        assert user_of(verifier, platform.mint("evil")) == "reformed:ada"


def test_a_token_that_no_key_could_save_asks_nobody(platform: Platform, clock: Clock, rule: Rule) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        for wrong in ({"audience": "other-api"}, {"expires_in": -600}, {"header": {"alg": "none"}}):
            with pytest.raises(Exception, match=r"aud|exp|alg"):
                verifier.verify_now(platform.mint("acme", **wrong))
        assert (rule.asked, platform.fetches.total()) == ([], 0)


def test_a_function_that_raises_is_a_503_that_is_not_remembered_and_one_log_line_without_its_words(
    platform: Platform, clock: Clock, rule: Rule, caplog: pytest.LogCaptureFixture
) -> None:
    rule.error = LookupError("password=hunter2")
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        for _ in range(3):
            with pytest.raises(ProviderError, match="raised LookupError") as caught:
                verifier.verify_now(platform.mint("acme"))
            assert "hunter2" not in str(caught.value)
        rule.error = None
        assert user_of(verifier, platform.mint("acme")) == "acme:ada"
    assert [record.message for record in caplog.records if "LookupError" in record.message] == [
        "DynamicIssuers(allow=) raised LookupError"
    ]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), RecursionError()])
def test_whatever_a_function_raises_nobody_waits_for_ever(
    platform: Platform, clock: Clock, rule: Rule, error: BaseException
) -> None:
    rule.error = error
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        with pytest.raises(ProviderError, match=type(error).__name__):
            verifier.verify_now(platform.mint("acme"))
        rule.error = None
        assert user_of(verifier, platform.mint("acme")) == "acme:ada"


@pytest.mark.parametrize("answer", [1, ["acme"], object(), b"acme"])
def test_an_answer_that_is_neither_name_nor_yes_nor_no_is_a_fault_and_lets_nobody_in(
    platform: Platform, clock: Clock, rule: Rule, answer: object
) -> None:
    rule.answers["acme"] = answer
    with (
        Verifier(issuers=tenants(rule), clock=clock) as verifier,
        pytest.raises(ProviderError, match=f"returned {type(answer).__name__}; it returns a name, True, False or None"),
    ):
        verifier.verify_now(platform.mint("acme"))
    assert platform.fetches.total() == 0


@LOOPS
def test_a_slow_function_is_a_503_in_time_and_never_runs_on_the_loop(
    platform: Platform, clock: Clock, rule: Rule, run: Runner
) -> None:
    rule.gate.clear()
    fetch = FetchOptions(request_wait=0.2)
    with Verifier(issuers=tenants(rule), clock=clock, fetch=fetch) as verifier:

        async def main() -> None:
            started = time.monotonic()
            with pytest.raises(ProviderError, match="has not yet decided"):
                await verifier.verify(platform.mint("acme"))
            assert 0.15 < time.monotonic() - started < 2.0
            with pytest.raises(ProviderError, match="has not yet decided"):
                await verifier.verify(platform.mint("acme", "bob"))
            assert len(rule.asked) == 1  # who comes meanwhile waits for the same answer
            rule.gate.set()
            assert (await verifier.verify(platform.mint("acme"))).user_id == "acme:ada"

        run(main)
        assert len(rule.asked) == 1  # it came too late for the first, and is not lost
    assert threading.main_thread() not in rule.threads
    assert all(thread.daemon for thread in rule.threads)


def test_sync_code_on_a_thread_with_a_loop_never_waits(platform: Platform, clock: Clock, rule: Rule) -> None:
    rule.gate.clear()
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:

        async def main() -> None:
            started = time.monotonic()
            with pytest.raises(ProviderError):
                verifier.verify_now(platform.mint("acme"))
            assert time.monotonic() - started < 0.5
            rule.gate.set()
            for _ in range(200):  # the answer comes, then the keys
                await asyncio.sleep(0.02)
                try:
                    assert user_of(verifier, platform.mint("acme")) == "acme:ada"
                except ProviderError:
                    continue
                return
            pytest.fail("the tenant was never let in")

        asyncio.run(main())


def test_everybody_who_waits_for_one_new_tenant_waits_for_one_question_and_one_fetch(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    rule.gate.clear()
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:

        async def main() -> list[str]:
            waiting = [asyncio.ensure_future(verifier.verify(platform.mint("acme", f"u{n}"))) for n in range(200)]
            await asyncio.sleep(0.1)
            rule.gate.set()
            return [principal.user_id for principal in await asyncio.gather(*waiting)]

        assert asyncio.run(main()) == [f"acme:u{n}" for n in range(200)]
    assert (len(rule.asked), platform.fetches["discovery"], platform.fetches["jwks"]) == (1, 1, 1)


def test_a_storm_of_strangers_costs_sixteen_threads_and_those_beyond_the_queue_get_401(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    rule.gate.clear()
    with Verifier(issuers=tenants(rule), clock=clock, fetch=FetchOptions(request_wait=0.05)) as verifier:

        async def main() -> list[BaseException | object]:
            tokens = [platform.mint(f"t{n}") for n in range(400)]
            return list(await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True))

        outcomes = asyncio.run(main())
        refused = [outcome for outcome in outcomes if isinstance(outcome, UnknownIssuerError)]
        assert len([outcome for outcome in outcomes if isinstance(outcome, ProviderError)]) == 400 - len(refused)
        assert 400 - 16 - 256 <= len(refused) <= 400 - 256
        assert len(rule.threads) == len(rule.asked) <= 16
        assert platform.fetches.total() == 0
        rule.gate.set()
        wait_until(lambda: not any(thread.is_alive() for thread in rule.threads))
        assert user_of(verifier, platform.mint("t399")) == "t399:ada"


def test_a_tenant_that_is_let_in_no_more_is_refused_with_its_cached_tokens(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        token = platform.mint("acme")
        assert user_of(verifier, token) == "acme:ada"
        rule.answers["acme"] = False
        assert user_of(verifier, platform.mint("acme", "bob")) == "acme:bob"  # not asked again for each request
        clock.advance(301)
        assert user_of(verifier, platform.mint("acme", "eve")) == "acme:eve"  # nobody waits: this one asks
        wait_until(partial(_has_asked, rule, 2))
        for refused in (platform.mint("acme", "joe"), token):
            wait_until(partial(_is_refused, verifier, refused))


def _has_asked(rule: Rule, times: int) -> bool:
    return len(rule.asked) == times


def _asks_again(rule: Rule, times: int, verifier: Verifier, token: str) -> bool:
    """As requests go on: the question before may have been about to end when this one was due."""
    return len(rule.asked) >= times or not user_of(verifier, token)


def _is_refused(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify_now(token)
    except UnknownIssuerError:
        return True
    return False


def test_a_tenant_without_a_good_token_is_not_let_in_by_an_answer_of_long_ago(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(platform.mint("acme", key=FakeKey.generate("ES256")))
        rule.answers["acme"] = False
        clock.advance(301)
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(platform.mint("acme"))


def test_an_outage_of_the_function_is_no_outage_of_the_tenants_in_place(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        assert user_of(verifier, platform.mint("acme")) == "acme:ada"
        rule.error = ConnectionError()
        for number in range(3):
            clock.advance(301)
            token = platform.mint("acme", f"u{number}")
            assert user_of(verifier, token) == f"acme:u{number}"
            wait_until(partial(_asks_again, rule, number + 2, verifier, token))
        with pytest.raises(ProviderError):
            verifier.verify_now(platform.mint("other"))


@LOOPS
def test_a_tenant_is_let_in_on_any_loop(platform: Platform, clock: Clock, rule: Rule, run: Runner) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:

        async def main() -> None:
            assert (await verifier.verify(platform.mint("acme"))).user_id == "acme:ada"
            platform.down = True
            with pytest.raises(KeysUnavailableError):
                await verifier.verify(platform.mint("other"))

        run(main)


def test_several_loops_and_threads_ask_once_for_a_tenant(platform: Platform, clock: Clock, rule: Rule) -> None:
    rule.gate.clear()
    with Verifier(issuers=tenants(rule), clock=clock) as verifier, ThreadPoolExecutor(8) as pool:
        token = platform.mint("acme")
        on_loops = [pool.submit(lambda: asyncio.run(verifier.verify(token))) for _ in range(4)]
        in_threads = [pool.submit(verifier.verify_now, token) for _ in range(4)]
        wait_until(lambda: rule.asked)
        rule.gate.set()
        assert {asked.result(PATIENCE).user_id for asked in (*on_loops, *in_threads)} == {"acme:ada"}
    assert (len(rule.asked), platform.fetches["jwks"]) == (1, 1)


FORKING = """
import os, sys, threading
from oidcbridge import DynamicIssuers, Verifier
from tests.verifier.platform import Platform, tenants

held, asked = threading.Event(), threading.Event()

def allow(issuer):
    if os.getpid() == parent and issuer.endswith("/slow"):
        asked.set()
        held.wait(10)
    return issuer.rpartition("/")[2]

parent = os.getpid()
with Platform().impersonate() as platform, Verifier(issuers=tenants(allow)) as verifier:
    print(verifier.verify_now(platform.mint("acme")).user_id, flush=True)
    waiting = threading.Thread(target=lambda: print(verifier.verify_now(platform.mint("slow")).user_id, flush=True))
    waiting.start()
    asked.wait(10)
    pid = os.fork()
    if pid == 0:
        for tenant in ("acme", "slow", "new"):
            print(verifier.verify_now(platform.mint(tenant, "child")).user_id, flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    held.set()
    waiting.join()
"""


def test_a_forked_child_asks_anew_what_its_parent_was_asking() -> None:
    expected = "ignore:This process:DeprecationWarning"  # from Python 3.12 on: forking beside threads is what is tested
    command = [sys.executable, "-W", expected, "-c", FORKING]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=os.getcwd())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == ["acme:ada", "acme:child", "slow:child", "new:child", "slow:ada"]
