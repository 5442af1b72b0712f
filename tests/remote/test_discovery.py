"""Issuer metadata: whose document it is, where it is asked for, and what it may point to."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import DiscoveryError, KeysUnavailableError, ProviderError
from oidcbridge.testing import Clock, FakeIssuer
from tests.remote.hostile import HostileServer, answer, silence

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


def issuer_at(server: HostileServer, path: str = "") -> FakeIssuer:
    """An issuer whose documents ``server`` hands out; the tests then bend them."""
    issuer = FakeIssuer(f"{server.url}{path}", algorithms=("ES256",))
    server.routes[f"{path.rstrip('/')}{OPENID}"] = answer(json.dumps(issuer.discovery()).encode())
    server.routes[f"{path.rstrip('/')}/jwks"] = answer(json.dumps(issuer.jwks()).encode())
    return issuer


def warm(verifier: Verifier) -> None:
    asyncio.run(verifier.warm(strict=True))


def not_found() -> HostileServer:
    return HostileServer(answer(b"", status=404))


@pytest.mark.parametrize("path", ["", "/", "/realms/acme", "/realms/acme/"])
def test_the_document_is_found_below_the_issuer_with_and_without_a_slash(path: str) -> None:
    with not_found() as server:
        issuer = issuer_at(server, path)
        with issuer.verifier() as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert server.targets == [f"{path.rstrip('/')}{OPENID}", f"{path.rstrip('/')}/jwks"]


@pytest.mark.parametrize(
    "bend",
    [
        lambda url: f"{url}/",
        lambda url: url.replace("http://", "HTTP://"),
        lambda url: url.replace("127.0.0.1", "localhost"),
        lambda url: url.replace("/realms/acme", "/realms/Acme"),
        lambda url: f"{url}?",
        lambda url: "https://evil.example",
        lambda url: [url],
        lambda url: None,
    ],
)
def test_a_document_of_another_issuer_opens_nothing_and_the_log_shows_both_spellings_once(
    bend: Callable[[str], object], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with not_found() as server, caplog.at_level(logging.INFO, "oidcbridge"):
        issuer = issuer_at(server, "/realms/acme")
        named = bend(issuer.issuer_url)
        bent = json.dumps({**issuer.discovery(), "issuer": named}).encode()
        server.routes[f"/realms/acme{OPENID}"] = answer(bent)
        with issuer.verifier(clock=clock) as verifier:
            for _ in range(3):
                with pytest.raises(ProviderError, match="calls itself"):
                    verifier.verify_now(issuer.mint())
                with pytest.raises(DiscoveryError, match="calls itself"):
                    warm(verifier)
                clock.advance(16)  # past the longest pause between two attempts
        assert len(server.requests) >= 3
        assert set(server.targets) == {f"/realms/acme{OPENID}"}
    said = [record.getMessage() for record in caplog.records if "calls itself" in record.getMessage()]
    assert len(said) == 1
    assert f"'{issuer.issuer_url}'" in said[0]
    assert (repr(named) if isinstance(named, str) else "calls itself") in said[0]


def test_rfc_8414_is_the_second_place_to_look_after_a_404() -> None:
    with not_found() as server:
        issuer = issuer_at(server, "/realms/acme")
        server.routes[f"{OAUTH}/realms/acme"] = server.routes.pop(f"/realms/acme{OPENID}")
        with issuer.verifier() as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert server.targets == [f"/realms/acme{OPENID}", f"{OAUTH}/realms/acme", "/realms/acme/jwks"]


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_the_second_place_is_not_tried_where_the_first_is_only_out_of_order(status: int) -> None:
    with HostileServer(answer(b"", status=status)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",))
        with issuer.verifier() as verifier, pytest.raises(KeysUnavailableError):
            verifier.verify_now(issuer.mint())
        assert OAUTH not in server.targets


def test_a_discovery_url_of_ones_own_is_the_only_place_asked_and_must_name_the_issuer_all_the_same() -> None:
    with not_found() as server:
        issuer = FakeIssuer("https://id.example.com/realms/acme", algorithms=("ES256",))
        document = {**issuer.discovery(), "jwks_uri": f"{server.url}/keys"}
        server.routes["/inside"] = answer(json.dumps(document).encode())
        server.routes["/keys"] = answer(json.dumps(issuer.jwks()).encode())
        with issuer.verifier(discovery_url=f"{server.url}/inside") as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert server.targets == ["/inside", "/keys"]

        server.routes["/inside"] = answer(json.dumps({**document, "issuer": "https://id.example.com"}).encode())
        with issuer.verifier(discovery_url=f"{server.url}/inside") as verifier, pytest.raises(DiscoveryError):
            warm(verifier)
        with issuer.verifier(discovery_url=f"{server.url}/gone") as verifier, pytest.raises(DiscoveryError):
            warm(verifier)
        assert server.targets[2:] == ["/inside", "/gone"]


def test_a_jwks_uri_of_ones_own_needs_no_discovery() -> None:
    with not_found() as server:
        issuer = FakeIssuer("https://id.example.com/realms/acme", algorithms=("ES256",))
        server.routes["/keys"] = answer(json.dumps(issuer.jwks()).encode())
        with issuer.verifier(jwks_uri=f"{server.url}/keys") as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert server.targets == ["/keys"]


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "http://idp.example/keys",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/keys",
        "file:///etc/passwd",
        "data:application/json,{}",
        "ftp://127.0.0.1/keys",
        "//127.0.0.1/keys",
        "keys",
        "https://user:pass@idp.example/keys",
        "https://idp.example/keys#1",
        "https://idp.example:port/keys",
        "https://idp.example/ke ys",
        "https://idp.exämple/keys",
        "",
        7,
        None,
        ["http://127.0.0.1/keys"],
    ],
)
def test_a_document_may_send_us_to_https_or_loopback_and_nowhere_else(jwks_uri: object) -> None:
    with not_found() as server:
        issuer = issuer_at(server)
        good = server.routes[OPENID]
        server.routes[OPENID] = answer(json.dumps({**issuer.discovery(), "jwks_uri": jwks_uri}).encode())
        with issuer.verifier() as verifier, pytest.raises(DiscoveryError, match="jwks_uri"):
            warm(verifier)
        assert server.targets == [OPENID]
        server.routes[OPENID] = good
        with issuer.verifier() as verifier:
            warm(verifier)


def test_plain_http_beyond_loopback_needs_its_name_to_be_said() -> None:
    with FakeIssuer("http://idp.test", algorithms=("ES256",)).impersonate() as issuer:
        with issuer.verifier(fetch=FetchOptions(insecure_allow_http=True)) as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        secure = FakeIssuer("https://secure.test", algorithms=("ES256",))
        secure.discovery_override = json.dumps({**secure.discovery(), "jwks_uri": "http://idp.test/jwks"}).encode()
        with secure.impersonate(), secure.verifier() as verifier, pytest.raises(DiscoveryError, match="plain http"):
            warm(verifier)
        assert issuer.fetches["jwks"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>please log in</html>",
        b"[]",
        b"null",
        b'{"issuer":',
        b'\xff\xfe{"issuer": 1}',
        b'{"issuer": "a", "issuer": "b"}',
        b"{}",
        b'{"pad": "' + b" " * (256 * 1024) + b'"}',
    ],
)
def test_a_document_that_is_none_is_refused_and_not_remembered(body: bytes) -> None:
    clock = Clock()
    with not_found() as server:
        issuer = issuer_at(server)
        good = server.routes[OPENID]
        server.routes[OPENID] = answer(body)
        with issuer.verifier(clock=clock) as verifier:
            with pytest.raises(DiscoveryError):
                warm(verifier)
            server.routes[OPENID] = good
            clock.advance(16)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_the_document_is_kept_for_a_day_and_longer_while_the_provider_hides_it() -> None:
    clock = Clock()
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer, issuer.verifier() as verifier:
        for hours in (1, 12, 10.9):
            warm(verifier)
            clock.advance(hours * 3600)
        warm(verifier)
        assert issuer.fetches["discovery"] == 1
        clock.advance(0.2 * 3600)
        warm(verifier)
        assert issuer.fetches["discovery"] == 2

        issuer.discovery_override = b"<html>maintenance</html>"
        clock.advance(12 * 3600)
        warm(verifier)
        before = issuer.fetches["jwks"]
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == before


def test_a_day_old_document_that_cannot_be_had_again_does_not_stop_the_keys() -> None:
    clock = Clock()
    with not_found() as server:
        issuer = issuer_at(server)
        issuer_clock = FakeIssuer(server.url, clock=clock, algorithms=("ES256",))
        with issuer.verifier(clock=clock) as verifier:
            warm(verifier)
            server.routes[OPENID] = answer(b"", status=503)
            clock.advance(25 * 3600)
            server.routes["/jwks"] = answer(json.dumps(issuer_clock.jwks()).encode())
            assert verifier.verify_now(issuer_clock.mint("ada")).user_id == "ada"


def test_keys_that_have_moved_are_found_again_through_the_document() -> None:
    clock = Clock()
    with not_found() as server:
        issuer = issuer_at(server)
        with issuer.verifier(clock=clock) as verifier:
            warm(verifier)
            moved = {**issuer.discovery(), "jwks_uri": f"{server.url}/moved"}
            server.routes[OPENID] = answer(json.dumps(moved).encode())
            server.routes["/moved"] = server.routes.pop("/jwks")
            clock.advance(301)
            with pytest.raises(ProviderError):
                warm(verifier)
            clock.advance(61)
            warm(verifier)
        assert server.targets == [OPENID, "/jwks", "/jwks", OPENID, "/moved"]


def test_metadata_never_waits_and_asks_in_the_background_every_ten_seconds_at_most() -> None:
    clock = Clock()
    with HostileServer(silence) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",))
        with issuer.verifier(clock=clock, fetch=FetchOptions(deadline=0.3)) as verifier:
            for _ in range(100):
                assert verifier.metadata() == ()
            server.wait_for_request()
            clock.advance(9.9)
            assert verifier.metadata() == ()
            assert len(server.requests) == 1
            server.otherwise = answer(json.dumps(issuer.discovery()).encode())
            clock.advance(0.2)
            assert verifier.metadata() == ()
            server.wait_for_request()
            warm_metadata(verifier)
            [metadata] = verifier.metadata()
            assert metadata.authorization_endpoint == f"{issuer.issuer_url}/authorize"
            assert len(server.requests) == 2


def warm_metadata(verifier: Verifier) -> None:
    """Wait until the background loop has no document under way any more."""
    for _ in range(500):
        if verifier.metadata():
            return
        asyncio.run(asyncio.sleep(0.01))
    pytest.fail("the document never came")
