"""The one background thread: it starts with the first job, runs sixteen at once, and can be stopped and used again."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from oidcbridge import FetchOptions, Issuer, Verifier
from oidcbridge.errors import KeysUnavailableError
from oidcbridge.remote import refresher as module
from oidcbridge.remote.refresher import MAX_CONCURRENT_FETCHES, Refresher
from oidcbridge.testing import FakeIssuer
from tests.remote.hostile import PATIENCE, HeldIssuer, HostileServer, answer, silence


@pytest.fixture
def refresher() -> Iterator[Refresher]:
    own = Refresher()
    yield own
    own.stop()


def its_threads() -> int:
    return sum(thread.name == "oidcbridge-refresher" for thread in threading.enumerate())


def test_it_starts_with_the_first_job_and_ends_when_it_is_stopped(refresher: Refresher) -> None:
    before = its_threads()
    ran = threading.Event()

    async def job() -> None:
        ran.set()

    assert its_threads() == before
    refresher.run(job)
    assert ran.wait(PATIENCE)
    assert its_threads() == before + 1
    refresher.stop()
    refresher.stop()
    assert its_threads() == before


def test_it_runs_sixteen_jobs_at_once_and_the_next_when_one_ends(refresher: Refresher) -> None:
    started = threading.Semaphore(0)
    running: list[asyncio.Event] = []

    async def job() -> None:
        ended = asyncio.Event()
        running.append(ended)
        started.release()
        await ended.wait()

    for _ in range(MAX_CONCURRENT_FETCHES + 1):
        refresher.run(job)
    for _ in range(MAX_CONCURRENT_FETCHES):
        assert started.acquire(timeout=PATIENCE)
    assert not started.acquire(timeout=0.1)
    refresher.call_later(0, running[3].set)
    assert started.acquire(timeout=PATIENCE)


def test_stopped_in_the_middle_of_more_jobs_than_it_has_room_for_it_runs_the_next_ones_anew(
    refresher: Refresher,
) -> None:
    for _ in range(2):
        fill_and_stop(refresher)


def fill_and_stop(refresher: Refresher) -> None:
    started, cancelled = threading.Semaphore(0), threading.Semaphore(0)
    running: list[asyncio.Event] = []

    async def job() -> None:
        ended = asyncio.Event()
        running.append(ended)
        started.release()
        try:
            await ended.wait()
        except asyncio.CancelledError:
            cancelled.release()
            raise

    for _ in range(MAX_CONCURRENT_FETCHES + 4):
        refresher.run(job)
    for _ in range(MAX_CONCURRENT_FETCHES):
        assert started.acquire(timeout=PATIENCE)
    refresher.call_later(0, running[0].set)
    assert started.acquire(timeout=PATIENCE)
    refresher.stop()
    for _ in range(MAX_CONCURRENT_FETCHES):
        assert cancelled.acquire(timeout=PATIENCE)


def test_a_callback_is_called_in_time_and_on_its_thread(refresher: Refresher) -> None:
    called = threading.Event()
    names: list[str] = []

    def callback() -> None:
        names.append(threading.current_thread().name)
        called.set()

    refresher.call_later(0.05, callback)
    assert not called.is_set()
    assert called.wait(PATIENCE)
    assert names == ["oidcbridge-refresher"]


def test_a_fetch_that_is_stopped_ends_for_its_waiters_and_says_nothing_of_the_provider(
    monkeypatch: pytest.MonkeyPatch, refresher: Refresher, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_refresher", refresher)
    issuer = HeldIssuer()
    outcome: list[str] = []
    with issuer.serve(), issuer.verifier(fetch=FetchOptions(request_wait=PATIENCE)) as verifier:

        def verify() -> None:
            try:
                outcome.append(verifier.verify_now(issuer.mint("ada")).user_id)
            except KeysUnavailableError as error:
                outcome.append(str(error))

        with issuer.hold(), caplog.at_level(logging.INFO, "oidcbridge.keys"):
            thread = threading.Thread(target=verify)
            thread.start()
            issuer.wait_until_held()
            refresher.stop()
            issuer.wait_until_held(2)  # whoever waited asks again, on a new thread
        thread.join()
    assert outcome == ["ada"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_one_provider_that_hangs_does_not_slow_another() -> None:
    with HostileServer(silence) as hanging, HostileServer(answer(b"", status=404)) as good:
        issuer = FakeIssuer(good.url, algorithms=("ES256",))
        good.routes["/.well-known/openid-configuration"] = answer(json.dumps(issuer.discovery()).encode())
        good.routes["/jwks"] = answer(json.dumps(issuer.jwks()).encode())
        issuers = [
            Issuer(issuer_url=f"{hanging.url}/{number}", audience="a", name=f"h{number}") for number in range(10)
        ]
        issuers.append(Issuer(issuer_url=issuer.issuer_url, audience=issuer.audience, name="good"))
        with Verifier(issuers=issuers, fetch=FetchOptions(deadline=3.0)) as verifier:
            verifier.start_warming()
            for _ in range(10):
                hanging.wait_for_request()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "good:ada"
