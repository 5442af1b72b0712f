"""The fake issuer behind an httpx2 client, without a socket."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest

from oidcbridge.testing import FakeClient, FakeIssuer


def fetch(issuer: FakeIssuer, *targets: str, timeout: float = 5) -> list[httpx2.Response]:
    async def run() -> list[httpx2.Response]:
        async with (
            httpx2.AsyncClient(transport=issuer.transport(), base_url="https://idp.test") as client,
            asyncio.timeout(timeout),
        ):
            return list(await asyncio.gather(*(client.get(target) for target in targets)))

    return asyncio.run(run())


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer(algorithms=("ES256",), clients=[FakeClient("agent-svc", "svc-secret")])


def test_documents_come_as_they_are_and_are_counted(issuer: FakeIssuer) -> None:
    issuer.cache_control = "max-age=5"
    discovery, keys, _ = fetch(issuer, "/.well-known/openid-configuration", "/jwks?again=1", "/elsewhere")
    assert discovery.json() == issuer.discovery()
    assert keys.json() == issuer.jwks()
    assert keys.headers["cache-control"] == "max-age=5"
    assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}


def test_a_token_is_had_by_post(issuer: FakeIssuer) -> None:
    async def run() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=issuer.transport()) as client:
            form = {"grant_type": "client_credentials"}
            return await client.post("https://idp.test/token", data=form, auth=("agent-svc", "svc-secret"))

    answer = asyncio.run(run())
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert issuer.fetches["token"] == 1


def test_while_down_connections_fail_and_are_counted_and_afterwards_all_is_well(issuer: FakeIssuer) -> None:
    with issuer.outage(), pytest.raises(httpx2.ConnectError, match="is down"):
        fetch(issuer, "/jwks")
    assert issuer.fetches["jwks"] == 1
    assert fetch(issuer, "/jwks")[0].status_code == 200


def test_slow_answers_wait_together_and_are_counted_before_they_come(issuer: FakeIssuer) -> None:
    issuer.slow = 0.3
    started = time.monotonic()
    assert [answer.status_code for answer in fetch(issuer, "/jwks", "/jwks", "/jwks")] == [200] * 3
    assert 0.3 <= time.monotonic() - started < 0.85
    with pytest.raises(TimeoutError):
        fetch(issuer, "/jwks", timeout=0.05)
    assert issuer.fetches["jwks"] == 4
