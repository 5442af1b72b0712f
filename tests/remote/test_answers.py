"""What a provider answers when it is asked for its keys, well and badly."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    KeyNotFoundError,
    ProviderError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.remote.asking import refuse, settle, unavailable
from tests.remote.hostile import HeldIssuer, HostileServer, Script, answer, endless_chunks, hang_up, silence

HOUR = 3600.0
OPENID = "/.well-known/openid-configuration"
BAD_ANSWERS: dict[str, Script] = {
    **{f"status {status}": answer(b'{"keys": []}', status=status) for status in (204, 302, 404, 410, 429, 500, 503)},
    "not modified though nobody asked": answer(b"", status=304),
    "no answer": hang_up,
    "silence": silence,
    "endless": endless_chunks,
    "cut off": answer(b'{"keys": [', length=500),
    "too large": answer(b" " * (256 * 1024 + 1)),
    "a page": answer(b"<html>please log in</html>"),
    "half of it": answer(b'{"keys": ['),
    "another encoding": answer('{"keys": []}'.encode("utf-16")),
    "a byte order mark": answer(b'\xef\xbb\xbf{"keys": []}'),
    "a list": answer(b"[]"),
    "nothing": answer(b""),
    "null": answer(b"null"),
    "no keys member": answer(b"{}"),
    "keys is an object": answer(b'{"keys": {}}'),
    "keys is null": answer(b'{"keys": null}'),
    "no keys": answer(b'{"keys": []}'),
    "no usable keys": answer(b'{"keys": [{"kty": "RSA"}, 7, null]}'),
    "two keys members": answer(b'{"keys": [], "keys": []}'),
    "a thousand keys": answer(json.dumps({"keys": [{"kty": "RSA", "e": "AQAB"}] * 1000}).encode()),
    "depth": answer(b"[" * 100_000),
}


@pytest.mark.parametrize(
    ("said", "lives"), [("max-age=15", 60), ("no-cache", 60), ("max-age=600", 600), ("max-age=86400", 900)]
)
def test_what_the_provider_says_of_the_age_counts_within_bounds(
    issuer: HeldIssuer, clock: Clock, said: str, lives: int
) -> None:
    issuer.cache_control = said
    with issuer.verifier() as verifier:
        settle(verifier)
        clock.advance(lives - 1)
        settle(verifier)
        assert issuer.fetches["jwks"] == 1
        clock.advance(2)
        settle(verifier)
        assert issuer.fetches["jwks"] == 2


@contextmanager
def tagged(clock: Clock) -> Iterator[tuple[HostileServer, FakeIssuer, Verifier]]:
    """A provider whose key set has the tag "v1", and a verifier that has it."""
    with HostileServer(answer(b"", status=404)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        server.routes[OPENID] = answer(json.dumps(issuer.discovery()).encode())
        server.routes["/jwks"] = answer(json.dumps(issuer.jwks()).encode(), headers={"ETag": '"v1"'})
        with issuer.verifier() as verifier:
            settle(verifier)
            yield server, issuer, verifier


def test_an_entity_tag_is_sent_back_and_304_renews_the_keys() -> None:
    with tagged(clock := Clock()) as (server, issuer, verifier):
        server.routes["/jwks"] = answer(b"", status=304)
        for _ in range(3):
            clock.advance(301)
            settle(verifier)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        tags = [request.headers.get("if-none-match") for request in server.requests if request.target == "/jwks"]
        assert tags == [None, '"v1"', '"v1"', '"v1"']


def test_an_entity_tag_is_sent_to_the_address_alone_that_gave_it() -> None:
    """Two places may count their versions alike: a 304 of the new one would keep the old one's keys for good."""
    with tagged(clock := Clock()) as (server, issuer, verifier):
        old = issuer.mint("ada", expires_in=86_400)
        issuer.rotate()
        issuer.retire()
        server.routes["/jwks"] = answer(b"", status=410)
        moved = issuer.discovery() | {"jwks_uri": f"{server.url}/moved"}
        server.routes[OPENID] = answer(json.dumps(moved).encode())
        server.routes["/moved"] = answer(json.dumps(issuer.jwks()).encode(), headers={"ETag": '"v1"'})
        for _ in range(2):
            clock.advance(400)
            settle(verifier, strict=False)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        refuse(verifier, old)
        tags = [request.headers.get("if-none-match") for request in server.requests if request.target == "/moved"]
        assert tags[0] is None


@pytest.mark.parametrize("etag", ['"é"', "x" * 100_000, "\x01", ""])
def test_an_entity_tag_that_could_not_be_sent_back_is_left_out(issuer: HeldIssuer, clock: Clock, etag: str) -> None:
    issuer.jwks_headers = {"etag": etag}
    with issuer.verifier() as verifier:
        for _ in range(3):
            settle(verifier)
            clock.advance(301)
    assert issuer.fetches["jwks"] == 3


def test_strange_keys_beside_the_good_one_harm_nobody(issuer: HeldIssuer) -> None:
    good = issuer.keys[0]
    issuer.keys[:] = [  # the wrong one of a doubled kid stands first
        FakeKey.generate("ES256", kid=issuer.signing_key().kid),
        {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
        good,
    ]
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        secret = FakeKey.from_secret(b"secret-secret-secret-secret-secret", kid="secret")
        refuse(verifier, issuer.mint(key=secret), AlgorithmNotAllowedError)


def test_a_published_private_key_is_an_alarm_and_is_never_used(
    issuer: HeldIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    leaked = FakeKey.generate("ES256")
    issuer.publish({**leaked.public_jwk(), **leaked.private_key.as_dict(private=True), "kid": "leaked"})
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(issuer.mint("ada", key=FakeKey("leaked", "ES256", leaked.private_key)))
    alarms = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(alarms) == 1
    assert "leaked" in alarms[0].getMessage()
    assert str(leaked.private_key.as_dict(private=True)["d"]) not in caplog.text


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_refresh_that_fails_in_any_way_keeps_the_old_keys(name: str) -> None:
    clock = Clock()
    with HostileServer(BAD_ANSWERS[name]) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        server.routes[OPENID] = answer(json.dumps(issuer.discovery()).encode())
        server.routes["/jwks"] = answer(json.dumps(issuer.jwks()).encode())
        with issuer.verifier(clock=clock, fetch=FetchOptions(deadline=1.0 if name == "silence" else 5.0)) as verifier:
            settle(verifier)
            good = server.routes.pop("/jwks")
            for pause in (301, 3 * HOUR):
                clock.advance(pause)
                assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
                with pytest.raises(ProviderError):
                    settle(verifier)
                assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
            server.routes["/jwks"] = good
            clock.advance(61)
            settle(verifier)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_a_key_set_over_256_kib_is_refused_before_it_is_parsed_whatever_cap_was_chosen() -> None:
    clock = Clock()
    with HostileServer(answer(b"", status=404)) as server:
        issuer = FakeIssuer(server.url, algorithms=("ES256",), clock=clock)
        server.routes[OPENID] = answer(json.dumps(issuer.discovery()).encode())
        padding = 256 * 1024 - len(json.dumps(issuer.jwks()))
        for more, passes in ((padding, True), (padding + 1, False)):
            server.routes["/jwks"] = answer(json.dumps(issuer.jwks()).encode() + b" " * more)
            with issuer.verifier(fetch=FetchOptions(max_bytes=2**20)) as verifier:
                if passes:
                    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
                else:
                    assert "larger than 262144 bytes" in str(unavailable(verifier, issuer.mint("ada")))
