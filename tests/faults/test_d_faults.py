"""D: outage, by what fails and for whom: each fault of a network, a provider that flaps, fifty instances of ours."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.testing import Clock, FakeIssuer, LoopbackServer
from tests.faults.kit import health
from tests.faults.network import watched
from tests.faults.outages import accept, fetches_of_ten_minutes
from tests.faults.table import Row, scenario
from tests.faults.watching import Watcher
from tests.remote.asking import settle
from tests.remote.hostile import HeldIssuer, HostileServer, Request, Script, answer
from tests.remote.test_tls import Authority

Fault = AbstractContextManager[object]


def reset(request: Request) -> None:
    """Break the connection off as a machine does that knows nothing of it: closing without lingering sends a reset."""
    request._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def end_amid_headers(request: Request) -> None:
    request.send(b"HTTP/1.1 200 OK\r\nContent-Ty")


@contextmanager
def answering(server: HostileServer, script: Script) -> Iterator[None]:
    before, server.otherwise = server.otherwise, script
    yield
    server.otherwise = before


@contextmanager
def stopped(server: LoopbackServer) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def showing(context: ssl.SSLContext, another: ssl.SSLContext) -> Iterator[None]:
    """A server of ``context`` shows the certificate of ``another``."""

    def swap(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = another

    context.sni_callback = swap
    yield
    context.sni_callback = None


def ride_out(verifier: Verifier, issuer: FakeIssuer, clock: Clock, fault: Fault, watcher: Watcher) -> FetchError:
    """Known keys go on while ``fault`` lasts, it is tried by the backoff, and all is well afterwards; what it was."""
    settle(verifier)
    clock.advance(301)
    with fault, watched() as tried:
        # Each attempt is made twice where it breaks before an answer begins; a name is then all that is looked up.
        fetches_of_ten_minutes(verifier, issuer, clock, lambda: len(tried.names) + len(tried.addresses), per_attempt=2)
        with pytest.raises(FetchError) as caught:
            asyncio.run(verifier.refresh(force=True))
        assert health(verifier).state == "degraded"
        assert health(verifier).last_error == str(caught.value)
    clock.advance(60)
    accept(verifier, issuer)
    settle(verifier)
    assert health(verifier).state == "fresh"
    assert {told["kind"] for told in watcher.of("fetch_failed")} == {caught.value.kind}
    assert len(watcher.of("serving_stale")) == len(watcher.of("recovered")) == 1
    return caught.value


def at_hostile_server(
    server: HostileServer, clock: Clock, fault: Fault, *, host: str = "127.0.0.1", ca_file: str | None = None
) -> FetchError:
    issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
    server.otherwise = answer(json.dumps(issuer.jwks()).encode())
    uri = f"{server.url.replace('127.0.0.1', host)}/jwks"
    watcher = Watcher()
    with issuer.verifier(jwks_uri=uri, fetch=FetchOptions(ca_file=ca_file), observer=watcher) as verifier:
        return ride_out(verifier, issuer, clock, fault, watcher)


def at_refused_port(clock: Clock) -> FetchError:
    issuer = FakeIssuer(url=None, algorithms=("ES256",), clock=clock)
    watcher = Watcher()
    with (
        issuer.serve() as server,
        issuer.verifier(jwks_uri=f"{issuer.issuer_url}/jwks", observer=watcher) as verifier,
    ):
        return ride_out(verifier, issuer, clock, stopped(server), watcher)


@scenario("D38")
def test_d38_whatever_breaks_on_the_way_known_keys_go_on_and_the_fault_has_a_name(
    clock: Clock, tmp_path: Path, row: Row
) -> None:
    authority = Authority(tmp_path, "acme")
    ca_file = str(authority.file)
    good, late = authority.server_context(), authority.server_context(days=-1)
    foreign = authority.server_context(address="127.0.0.2")
    with HostileServer(answer()) as plain, HostileServer(answer(), tls=good) as secure:
        seen = [
            at_hostile_server(plain, clock, nullcontext(), host="localhost"),  # a name that `watched` does not know
            at_refused_port(clock),
            at_hostile_server(plain, clock, answering(plain, reset)),
            at_hostile_server(plain, clock, answering(plain, end_amid_headers)),
            at_hostile_server(secure, clock, showing(good, late), ca_file=ca_file),
            at_hostile_server(secure, clock, showing(good, foreign), ca_file=ca_file),
        ]
        assert [one.kind for one in seen] == ["dns", "refused", "reset", "protocol", "tls", "tls"]
        assert "expired" in str(seen[4])
        assert "mismatch" in str(seen[5])
        fetches = f"{len(plain.requests)} jwks of http, {len(secure.requests)} of https"
        # By TLS that failed, by a name that is not found, by a closed port, no request arrives.
        assert len(secure.requests) == 2 * 2
    row.saw("all accepted; told apart as dns, refused, reset, protocol, tls", fetches)


def failures_in_a_row(succeeded: list[bool]) -> int:
    """How many of the last attempts failed one after another."""
    return next((length for length, good in enumerate(reversed(succeeded)) if good), len(succeeded))


@scenario("D39")
def test_d39_a_provider_that_fails_half_the_time_is_fresh_after_each_success_and_never_a_503(
    clock: Clock, row: Row
) -> None:
    coin, fell = random.Random(39), list[bool]()
    with HostileServer(answer(status=503)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        scripts = {True: answer(json.dumps(issuer.jwks()).encode()), False: answer(status=503)}

        def flap(request: Request) -> None:
            fell.append(coin.random() < 0.5)
            scripts[fell[-1]](request)

        with issuer.verifier(jwks_uri=f"{server.url}/jwks") as verifier, answering(server, scripts[True]):
            settle(verifier)
            server.otherwise = flap
            for _ in range(200):
                clock.advance(301)
                accept(verifier, issuer)
                settle(verifier, strict=False)
                verifier.pause()  # what is tried again in real time would be under way while we look
                streak, one = failures_in_a_row(fell), health(verifier)
                assert (one.state, one.failures) == (("degraded", streak) if streak else ("fresh", 0))
                assert (one.next_try_in or 0) <= min(2 ** max(streak - 1, 0), 60)  # it begins anew after a success
        assert len(server.requests) == 1 + len(fell)
    row.saw("never a 503, fresh after each success, the backoff begun anew", f"{len(fell)} jwks in 200 periods")


@scenario("D42")
def test_d42_fifty_instances_come_back_to_a_provider_one_by_one(issuer: HeldIssuer, clock: Clock, row: Row) -> None:
    """The seconds are those of the clock, with a request at each instance in every one.

    Their outage is as long as it takes for the longest backoff, and all of them fail for the last time in one instant.
    """
    with ExitStack() as stack:
        instances = [stack.enter_context(issuer.verifier()) for _ in range(50)]

        async def settle_all() -> None:
            await asyncio.gather(*(verifier.warm() for verifier in instances))

        def a_request_each(*, after: float) -> int:
            """The fetches that the provider has seen by then."""
            clock.advance(after)
            asyncio.run(settle_all())
            for verifier in instances:
                accept(verifier, issuer)
            return issuer.fetches["jwks"]

        a_request_each(after=0)
        issuer.status = 503
        for _ in range(8):
            down = a_request_each(after=301)
        assert min(health(verifier).failures for verifier in instances) >= 8
        issuer.status = None
        totals = [down, *(a_request_each(after=1) for _ in range(60))]
        assert {health(verifier).state for verifier in instances} == {"fresh"}
    seen = [after - before for before, after in pairwise(totals)]
    assert sum(seen) == 50
    assert max(seen) <= 0.2 * 50
    row.saw(f"at most {max(seen)} of 50 in one second, all back within 60 s", issuer.fetches)
