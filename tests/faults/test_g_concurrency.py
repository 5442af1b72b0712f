"""G, within one process: many callers on many loops, some of whom leave; one fetch, and nobody is hurt."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.types import Receive, Scope, Send

from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.errors import KeyNotFoundError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Probe
from tests.asgi.test_servers import exchange, served
from tests.faults.kit import LOAD, eventually, health, stopwatch
from tests.faults.table import Row, scenario
from tests.remote.asking import refuse, settle
from tests.remote.hostile import PATIENCE, HeldIssuer, HostileServer, Request, answer
from tests.remote.test_single_flight import callers_of_every_kind

DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"


@pytest.fixture
def issuer(real_time_issuer: HeldIssuer) -> HeldIssuer:
    return real_time_issuer


async def until(condition: Callable[[], object]) -> None:
    """As ``eventually``, on a loop that goes on meanwhile."""
    await asyncio.to_thread(eventually, condition)


@scenario("G61")
def test_g61_a_leader_that_is_cancelled_or_hangs_up_takes_nobody_along(issuer: HeldIssuer, row: Row) -> None:
    with issuer.verifier() as verifier:
        asyncio.run(cancelled_leader(issuer, verifier))
        assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}
        issuer.rotate()
        client_that_hangs_up(issuer, verifier)
        assert verifier.verify_now(issuer.mint("eve")).user_id == "eve"
    assert issuer.fetches == {"discovery": 1, "jwks": 2, "token": 0}
    row.saw(
        "20 other waiters accepted, then and after; one fetch for the first keys, one for a new key", issuer.fetches
    )


async def cancelled_leader(issuer: HeldIssuer, verifier: Verifier) -> None:
    with issuer.hold():
        leader = asyncio.create_task(verifier.verify(issuer.mint("ada")))
        await asyncio.to_thread(issuer.wait_until_held)
        followers = [asyncio.create_task(verifier.verify(issuer.mint("ada"))) for _ in range(20)]
        await asyncio.sleep(0.05)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert not any(follower.done() for follower in followers)
    assert [(await follower).user_id for follower in followers] == ["ada"] * 20


def client_that_hangs_up(issuer: HeldIssuer, verifier: Verifier) -> None:
    """The same over HTTP, at a real server: the request for the new key's first token loses its client."""
    app, begun = OIDCMiddleware(Probe(), verifier=verifier), threading.Semaphore(0)

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            begun.release()
        await app(scope, receive, send)

    head = ["GET / HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {issuer.mint('ada')}"]
    with served(counted) as port, ThreadPoolExecutor(20) as clients:
        with issuer.hold():
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as leader:
                leader.sendall(("\r\n".join([*head, "", ""])).encode())
                issuer.wait_until_held(2)
            answers = [clients.submit(exchange, port, *head) for _ in range(20)]
            for _ in range(21):
                assert begun.acquire(timeout=PATIENCE)
        assert [answered.result(PATIENCE)[0] for answered in answers] == [200] * 20


@scenario("G62")
def test_g62_a_fetch_that_everybody_left_fills_the_cache_and_leaves_no_complaint(
    issuer: HeldIssuer, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the fetch ends well and once it fails: an error that nobody waits for is no complaint either."""
    fetches = Counter[str]()

    async def main() -> None:
        await all_leave(issuer, verifier, 1)
        await until(lambda: health(verifier).state == "fresh")
        assert (await verifier.verify(issuer.mint("ada"))).user_id == "ada"
        assert issuer.fetches["jwks"] == 1
        issuer.rotate()
        issuer.status = 500
        fetches.update(await all_leave(issuer, verifier, 2))
        await until(lambda: health(verifier).failures)
        await asyncio.sleep(0)
        gc.collect()

    with caplog.at_level(logging.DEBUG, "asyncio"), issuer.verifier(token_cache=0) as verifier:
        asyncio.run(main(), debug=False)
        gc.collect()
    complaints = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert complaints == []
    assert fetches == {"discovery": 1, "jwks": 2, "token": 0}
    row.saw("the next request accepted without a fetch; nothing was 'never retrieved'", fetches)


async def all_leave(issuer: HeldIssuer, verifier: Verifier, fetch: int) -> Counter[str]:
    """Have 50 requests begin the fetch of this number and leave it; the fetches until then, before any retry."""
    with issuer.hold():
        waiters = [asyncio.create_task(verifier.verify(issuer.mint())) for _ in range(50)]
        await asyncio.to_thread(issuer.wait_until_held, fetch)
        for waiter in waiters:
            assert waiter.cancel()
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 50
        return Counter(issuer.fetches)


@scenario("G64")
def test_g64_one_verifier_serves_loop_after_loop_also_after_one_that_closed_amid_a_fetch(
    issuer: HeldIssuer, row: Row
) -> None:
    with issuer.verifier(token_cache=0) as verifier, ThreadPoolExecutor(1) as aside:

        async def verify() -> None:
            assert (await verifier.verify(issuer.mint("ada"))).user_id == "ada"

        for _ in range(2):
            asyncio.run(verify())
        for _ in range(3):  # as a test runner does, a new loop for each test
            with asyncio.Runner() as runner:
                runner.run(verify())
        assert issuer.fetches["jwks"] == 1
        issuer.rotate()
        with issuer.hold():
            close_a_loop_amid_its_fetch(issuer, verifier)
            waiting = aside.submit(asyncio.run, verify())
        waiting.result(PATIENCE)
        asyncio.run(verify())
    assert issuer.fetches == {"discovery": 1, "jwks": 2, "token": 0}
    row.saw("accepted on 7 loops; the one that closed amid the fetch harmed nobody", issuer.fetches)


def close_a_loop_amid_its_fetch(issuer: HeldIssuer, verifier: Verifier) -> None:
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(verifier.verify(issuer.mint()))
    loop.run_until_complete(asyncio.sleep(0))
    issuer.wait_until_held()
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(abandoned)
    loop.close()


@scenario("G65")
def test_g65_four_loops_four_threads_and_trio_at_once_share_one_fetch(issuer: HeldIssuer, row: Row) -> None:
    token, users = issuer.mint("ada"), list[str]()
    with issuer.verifier(token_cache=0) as verifier:
        threads = callers_of_every_kind(verifier, token, users, plain=4)
        with issuer.hold(), stopwatch() as held:
            for thread in threads:
                thread.start()
            issuer.wait_until_held()
            threading.Event().wait(0.3)  # so that all of them are waiting when the answer comes
            assert users == []
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
    assert held.seconds < 2.5, "the machine is too slow for what this test is about"
    assert users == ["ada"] * 54
    assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}
    row.saw("54 of 54 accepted, none hung", issuer.fetches)


@scenario("G71")
def test_g71_an_answer_that_is_older_never_overwrites_a_newer_one(row: Row) -> None:
    """Two answers of one issuer are never under way at once, so the older comes late in the two ways that are left.

    First within its deadline, while an operator asks for the newest by ``refresh(force=True)``; then after it, when a
    later fetch has brought a newer set already.
    """
    with HostileServer(answer(status=404)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",))
        server.routes[DISCOVERY] = answer(json.dumps(issuer.discovery()).encode())
        server.routes[JWKS] = published(issuer)
        with issuer.verifier() as verifier:
            settle(verifier)
            forced_amid_an_older_answer(server, issuer, verifier)
            answered_after_the_deadline(server, issuer, verifier)
        fetches = {"discovery": server.targets.count(DISCOVERY), "jwks": server.targets.count(JWKS)}
    assert fetches == {"discovery": 1, "jwks": 7}  # the first, two forced twice, and one look for each removed key
    row.saw("the newer set stood both times: new key accepted, removed key refused", fetches)


def published(issuer: FakeIssuer, *, when: threading.Event | None = None) -> Callable[[Request], None]:
    """Answers with the keys as they are at this moment, as soon as ``when`` is set."""
    send = answer(json.dumps(issuer.jwks()).encode())

    def script(request: Request) -> None:
        if when is None or when.wait(PATIENCE):
            send(request)

    return script


def replace_keys(server: HostileServer, issuer: FakeIssuer) -> str:
    """Another key signs and the one before is gone, from the next request on; a token of the one that is gone."""
    gone = issuer.mint("ada")
    issuer.rotate()
    issuer.retire()
    server.routes[JWKS] = published(issuer)
    return gone


def forced_amid_an_older_answer(server: HostileServer, issuer: FakeIssuer, verifier: Verifier) -> None:
    let_go = threading.Event()
    server.routes[JWKS] = published(issuer, when=let_go)

    async def main() -> None:
        older = asyncio.create_task(verifier.refresh(force=True))
        await until(lambda: server.targets.count(JWKS) == 2)
        gone = replace_keys(server, issuer)
        newest = asyncio.create_task(verifier.refresh(force=True))
        await asyncio.sleep(0.05)
        let_go.set()
        await asyncio.gather(older, newest)
        assert (await verifier.verify(issuer.mint("ada"))).user_id == "ada"
        assert server.targets.count(JWKS) == 3  # so it was there: nobody had to look for the new key
        with pytest.raises(KeyNotFoundError):
            await verifier.verify(gone)

    asyncio.run(main())


def answered_after_the_deadline(server: HostileServer, issuer: FakeIssuer, verifier: Verifier) -> None:
    let_go = threading.Event()
    server.routes[JWKS] = published(issuer, when=let_go)
    with stopwatch() as waited, pytest.raises(FetchError, match="did not answer in"):
        asyncio.run(verifier.refresh(force=True))
    assert 5.0 - LOAD < waited.seconds < 5.0 + LOAD
    gone = replace_keys(server, issuer)
    asyncio.run(verifier.refresh(force=True))
    let_go.set()  # only now does the older answer leave
    threading.Event().wait(0.2)
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert server.targets.count(JWKS) == 6
    refuse(verifier, gone)
