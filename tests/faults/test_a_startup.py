"""A: startup. An app starts whatever its provider does, and its first keys cost one fetch, however many wait."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from oidcbridge import OIDCMiddleware, ProviderError, Verifier
from oidcbridge.errors import KeyNotFoundError
from oidcbridge.testing import FakeIssuer, FakeKey, auth_header
from tests.asgi.kit import Probe, ask, bearer
from tests.asgi.test_lifespan import started_in
from tests.faults.kit import LOAD, eventually, health, stopwatch
from tests.faults.table import Row, scenario
from tests.remote.asking import settle, stranger, unavailable
from tests.remote.hostile import HeldIssuer, HostileServer, answer, silence
from tests.remote.test_single_flight import crowd


def verifier_of(server: HostileServer) -> Verifier:
    return Verifier(issuer_url=server.url, audience="agent-api")


def app_of(verifier: Verifier) -> OIDCMiddleware:
    return OIDCMiddleware(Probe(), verifier=verifier)


@scenario("A1")
def test_a1_an_app_starts_at_once_and_answers_503_while_its_provider_is_down(row: Row) -> None:
    """Down in the way that hurts most: connections are accepted and nothing is said; later, a gateway answers 503."""
    bare = started_in(Probe)
    with HostileServer(silence) as server:
        assert started_in(lambda: app_of(verifier_of(server))) - bare < 0.1
    with HostileServer(silence) as server, verifier_of(server) as verifier, TestClient(app_of(verifier)) as client:
        header = auth_header(FakeIssuer(server.url, algorithms=("ES256",)).mint("ada"))
        server.wait_for_request()
        server.otherwise = answer(status=503, headers={"Retry-After": "60"})  # for the next attempt, after 5 s
        with stopwatch() as first:
            refused = client.get("/x", headers=header)
        assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (503, True)
        assert 2.4 < first.seconds < 2.5 + LOAD
        eventually(lambda: len(server.requests) == 2)
        eventually(lambda: client.get("/x", headers=header).headers["retry-after"] in ("59", "60"))
        with stopwatch() as later:
            assert [client.get("/x", headers=header).status_code for _ in range(10)] == [503] * 10
        assert later.seconds < 2.5  # all ten together, less than one of them may wait
        assert (health(verifier).state, health(verifier).usable, len(server.requests)) == ("empty", False, 2)
    row.saw("started at once; 503 with Retry-After at 2.5 s, then at once", len(server.requests))


@scenario("A2")
def test_a2_keys_are_there_within_15_s_of_the_providers_return_though_nobody_asks(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer = real_time_issuer
    with issuer.verifier() as verifier:
        with issuer.outage():
            verifier.start_warming()
            time.sleep(15.0)
            assert health(verifier).state == "empty"
        with stopwatch() as back:
            eventually(lambda: health(verifier).state == "fresh", within=15.0 + LOAD)
        fetched = dict(issuer.fetches)
        assert fetched["jwks"] == 1
        assert fetched["discovery"] <= 2 * 15  # an attempt is tried once more where the connection broke
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert dict(issuer.fetches) == fetched
    row.saw(f"loaded {back.seconds:.1f} s after the return; the first request asked nobody", issuer.fetches)


@scenario("A3")
def test_a3_warming_raises_the_cause_where_it_is_strict_and_logs_it_where_it_is_not(
    issuer: HeldIssuer, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "oidcbridge")
    issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}
    with issuer.verifier() as strict, pytest.raises(ProviderError, match="answered 503"):
        settle(strict)
    caplog.clear()
    with issuer.verifier() as patient:
        settle(patient, strict=False)
        (line,) = [record.getMessage() for record in caplog.records]
        assert "answered 503" in line
        assert "no keys yet" in line
        with pytest.raises(ProviderError, match="answered 503"):  # again, and no fetch: the backoff runs
            settle(patient)
    assert issuer.fetches["jwks"] == 2
    issuer.status, issuer.jwks_headers = None, {}
    caplog.clear()
    for is_strict in (True, False):
        with issuer.verifier() as verifier:
            settle(verifier, strict=is_strict)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert (issuer.fetches["jwks"], caplog.records) == (4, [])
    row.saw("strict raised the 503, not strict logged it once; both were quiet when it was back", issuer.fetches)


@scenario("A4")
def test_a4_ten_thousand_requests_at_once_share_one_fetch(real_time_issuer: HeldIssuer, row: Row) -> None:
    """The last answer is there half a second after the fetch, beside the work of verifying 10,000 tokens.

    That work is measured in the same run, on keys that are there: on this many tokens it takes longer than the bound.
    Half of it is allowed again: each of the tokens is read before the wait, to know what to wait for, and after it.
    """
    issuer, size = real_time_issuer, 10_000
    tokens = [issuer.mint(f"user-{number}") for number in range(size)]

    async def all_at_once(verifier: Verifier) -> list[str]:
        return [one.user_id for one in await asyncio.gather(*map(verifier.verify, tokens))]

    with issuer.verifier() as warm:
        settle(warm)
        with stopwatch() as work:
            asyncio.run(all_at_once(warm))
    issuer.fetches.clear()
    issuer.slow = 0.5  # seconds, of discovery and of the keys each
    with issuer.verifier() as cold, stopwatch() as all_of_it:
        assert asyncio.run(all_at_once(cold)) == [f"user-{number}" for number in range(size)]
    assert issuer.fetches == {"discovery": 1, "jwks": 1}
    assert all_of_it.seconds < 2 * issuer.slow + 1.5 * work.seconds + 0.5
    after = all_of_it.seconds - 2 * issuer.slow
    row.saw(
        f"all accepted, {after:.1f} s after the fetch; {work.seconds:.1f} s with keys that are there", issuer.fetches
    )


@scenario("A5")
def test_a5_all_waiters_of_a_first_fetch_that_fails_get_its_error_and_none_tries_again(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer = real_time_issuer
    issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}

    async def wait_for_it(verifier: Verifier, token: str) -> str:
        with pytest.raises(ProviderError) as caught:
            await verifier.verify(token)
        return str(caught.value)

    async def main() -> list[str]:
        with issuer.hold() as let_go:
            waiting = [asyncio.ensure_future(wait_for_it(verifier, issuer.mint("ada"))) for _ in range(1000)]
            await asyncio.to_thread(issuer.wait_until_held)
            assert not any(one.done() for one in waiting)
            let_go()
            return await asyncio.gather(*waiting)

    with issuer.verifier() as verifier, stopwatch() as watch:
        told = asyncio.run(main())
    assert len(told) == 1000
    assert len(set(told)) == 1
    assert "answered 503" in told[0]
    assert watch.seconds < 2.5 + LOAD
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 1)
    row.saw("1,000 waiters were told the same 503 once", issuer.fetches)


@scenario("A6")
def test_a6_a_fetch_of_4_s_outlives_the_requests_that_gave_up_at_2_5_s(real_time_issuer: HeldIssuer, row: Row) -> None:
    issuer = real_time_issuer
    issuer.slow = 4.0
    with issuer.verifier(jwks_uri=f"{issuer.issuer_url}/jwks") as verifier:
        with stopwatch() as first:
            assert unavailable(verifier, issuer.mint("ada")).retry_after >= 1
        assert 2.4 < first.seconds < 2.5 + LOAD
        eventually(lambda: health(verifier).state == "fresh", within=1.5 + LOAD)
        with stopwatch() as second:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert second.seconds < 2.5
    assert issuer.fetches["jwks"] == 1
    row.saw("503 at 2.5 s, accepted at once after 4 s", issuer.fetches)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to connect or to look a name up fails, and is listed."""
    attempts: list[object] = []

    def refuse(*where: object, **_options: object) -> None:
        attempts.append(where)
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


@scenario("A9")
def test_a9_static_keys_never_need_a_network(
    issuer: HeldIssuer, no_network: list[object], tmp_path: Path, row: Row
) -> None:
    (file := tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))
    threads = threading.active_count()
    for verifier in (issuer.verifier(jwks=issuer.jwks()), issuer.verifier(jwks_file=str(file))):
        settle(verifier)
        asyncio.run(verifier.refresh(force=True))
        app = app_of(verifier)
        assert ask(app, headers=bearer(issuer.mint("ada"))).json()["user_id"] == "ada"
        assert asyncio.run(crowd(verifier, issuer.mint("bob"), 3)) == ["bob"] * 3
        for token in (stranger(issuer), issuer.mint(key=FakeKey.generate("ES256", kid=issuer.signing_key().kid))):
            assert ask(app, headers=bearer(token)).status == 401
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(stranger(issuer))
        assert (health(verifier).state, health(verifier).usable) == ("static", True)
    assert threading.active_count() == threads
    assert (no_network, sum(issuer.fetches.values())) == ([], 0)
    row.saw("verified without a socket; an unknown kid was a 401", issuer.fetches)
