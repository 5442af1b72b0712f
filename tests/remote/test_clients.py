"""The HTTP client behind the door: one that cannot be built is a failed fetch, which tells nobody a password."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from oidcbridge import ConfigurationError, FetchOptions, Verifier
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import fetch
from oidcbridge.testing import Clock, FakeIssuer
from tests.remote.asking import settle, unavailable
from tests.remote.hostile import HostileServer, answer

SECRET = "s3cr3t-passw0rd"


def refused(url: str, options: FetchOptions) -> FetchError:
    with pytest.raises(FetchError) as caught:
        asyncio.run(fetch(url, options))
    return caught.value


def raising(error: Exception) -> Callable[[], httpx2.AsyncClient]:
    def build() -> httpx2.AsyncClient:
        raise error

    return build


@pytest.mark.parametrize(
    "build",
    [
        raising(ValueError(SECRET)),
        raising(OSError(SECRET)),
        raising(KeyError(SECRET)),
        raising(httpx2.InvalidURL(SECRET)),
        raising(httpx2.ConnectError(SECRET)),
        raising(ImportError(SECRET)),
        lambda: None,
        lambda: SECRET,
        httpx2.Client,
    ],
)
def test_a_client_of_ones_own_that_cannot_be_built_is_a_failed_fetch(build: Any) -> None:
    with HostileServer(answer()) as server:
        error = refused(server.url, FetchOptions(http_client=build))
        assert (error.kind, error.__cause__) == ("client", None)
        assert "http_client" in str(error)
        assert SECRET not in str(error)
        assert server.requests == []
        asyncio.run(fetch(server.url, FetchOptions(http_client=httpx2.AsyncClient)))
        assert len(server.requests) == 1


def test_one_client_for_all_fetches_is_refused_at_the_second_with_what_to_do() -> None:
    async def twice(url: str) -> None:
        client = httpx2.AsyncClient()
        options = FetchOptions(http_client=lambda: client)
        await fetch(url, options)
        with pytest.raises(FetchError, match="a new one each time"):
            await fetch(url, options)

    with HostileServer(answer()) as server:
        asyncio.run(twice(server.url))
        assert len(server.requests) == 1


@pytest.mark.parametrize("proxy", [f"socks5://svc:{SECRET}@127.0.0.1:1", f"ftp://svc:{SECRET}@127.0.0.1:1"])
def test_a_proxy_of_the_environment_that_cannot_be_used_is_a_failed_fetch_and_no_word_of_its_password(
    proxy: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    issuer = FakeIssuer("https://idp.example", algorithms=("ES256",), clock=clock)
    with caplog.at_level(logging.DEBUG), issuer.verifier() as verifier:
        error = unavailable(verifier, issuer.mint("ada"))
        settle(verifier, strict=False)
    assert "HTTP client" in str(error)
    assert SECRET not in str(error) + caplog.text
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelno > logging.INFO]


def test_socks_is_refused_on_the_users_line_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = FakeIssuer("https://idp.example", algorithms=("ES256",))
    fetch_by_socks = FetchOptions(proxy=f"socks5://svc:{SECRET}@proxy.example:1080")
    monkeypatch.setattr("oidcbridge.remote.http.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match="pip install socksio") as caught:
        issuer.verifier(fetch=fetch_by_socks)
    assert SECRET not in str(caught.value)
    issuer.verifier(fetch=FetchOptions(proxy="http://proxy.example:3128"))
    monkeypatch.setattr("oidcbridge.remote.http.find_spec", lambda name: name)
    issuer.verifier(fetch=fetch_by_socks)


@pytest.mark.parametrize("length", [2_049, 70_000])
def test_an_endless_address_is_refused_and_not_repeated_in_full(
    length: int, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer, issuer.verifier() as verifier:
        document = issuer.discovery()
        jwks_uri = f"{issuer.issuer_url}/".ljust(length, "a")
        issuer.discovery_override = json.dumps({**document, "jwks_uri": jwks_uri}).encode()
        error = unavailable(verifier, issuer.mint("ada"))
        assert "too long" in str(error)
        assert len(str(error)) < 500
        assert not [record for record in caplog.records if record.name == "asyncio" and record.levelno > logging.INFO]


def test_what_the_client_takes_for_no_url_is_a_failed_fetch() -> None:
    assert refused("https://idp.example:port/jwks", FetchOptions()).kind == "url"


def test_a_provider_behind_a_client_that_can_be_built_again_comes_back(clock: Clock) -> None:
    broken = [True]

    def build() -> httpx2.AsyncClient:
        if broken:
            raise RuntimeError("the vault is sealed")
        return httpx2.AsyncClient()

    with HostileServer(answer(b"", status=404)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        server.routes["/.well-known/openid-configuration"] = answer(json.dumps(issuer.discovery()).encode())
        server.routes["/jwks"] = answer(json.dumps(issuer.jwks()).encode())
        with Verifier(
            issuer_url=issuer.issuer_url,
            audience=issuer.audience,
            clock=clock,
            fetch=FetchOptions(http_client=build),
        ) as verifier:
            started = time.monotonic()
            assert "RuntimeError" in str(unavailable(verifier, issuer.mint("ada")))
            assert time.monotonic() - started < 2
            broken.clear()
            clock.advance(16)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
