"""I: several issuers side by side, and the document that says where an issuer keeps its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from oidcbridge import Issuer, Verifier
from oidcbridge.errors import BadSignatureError, DiscoveryError, ProviderError
from oidcbridge.testing import Clock, FakeKey
from tests.faults.kit import health
from tests.faults.table import Row, scenario
from tests.faults.turncoat import LONGEST_BACKOFF, OPENID, STALE, Turncoat, accepts, case, key_set, turncoat
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, unavailable
from tests.remote.hostile import HeldIssuer, HostileServer, Script, answer

DAY = 86_400.0


@pytest.fixture
def provider(clock: Clock) -> Iterator[Turncoat]:
    with turncoat(clock) as provider:
        yield provider


@scenario("I80")
def test_i80_a_key_verifies_for_its_own_issuer_only_though_another_has_one_of_that_name(clock: Clock, row: Row) -> None:
    ours, theirs = HeldIssuer(clock=clock), HeldIssuer(clock=clock)
    with ours.serve(), theirs.serve():
        keys = {issuer: FakeKey.generate("ES256", kid="signing-key") for issuer in (ours, theirs)}
        for issuer, key in keys.items():
            issuer.jwks_override = key_set(key.public_jwk())
        issuers = [
            Issuer(issuer_url=issuer.issuer_url, audience=issuer.audience, name=name)
            for name, issuer in (("ours", ours), ("theirs", theirs))
        ]
        with Verifier(issuers=issuers, clock=clock) as verifier:
            for _ in range(2):  # cold, and again when the keys of both are known
                refuse(verifier, theirs.mint("ada", key=keys[ours]), BadSignatureError)
                refuse(verifier, ours.mint("ada", key=keys[theirs]), BadSignatureError)
                assert verifier.verify_now(ours.mint("ada", key=keys[ours])).user_id == "ours:ada"
                assert verifier.verify_now(theirs.mint("ada", key=keys[theirs])).user_id == "theirs:ada"
    assert ours.fetches == theirs.fetches == {"discovery": 1, "jwks": 1, "token": 0}
    row.saw("401 for the other's key, each one's own accepted", ours.fetches + theirs.fetches)


@scenario("I81")
def test_i81_keys_outlive_their_discovery_document_and_are_found_where_they_moved(provider: Turncoat, row: Row) -> None:
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        goes_on_without_discovery(provider, verifier)
    heals_after_a_move(provider.clock, answer(b"", status=404), failures=1)
    heals_after_a_move(provider.clock, answer(b"", status=410), failures=1)
    heals_after_a_move(provider.clock, answer(b"", status=500), failures=2)
    row.saw("three days unaffected; moved keys found after one 404 or two 500", provider.fetches)


def goes_on_without_discovery(provider: Turncoat, verifier: Verifier) -> None:
    """Three days of refreshes from the address that is known, while the document cannot be had again."""
    provider.server.routes[OPENID] = answer(b"", status=503)
    for _ in range(30):
        provider.clock.advance(DAY / 10)
        settle(verifier)
        accepts(verifier, provider.issuer)
        assert health(verifier).state == "fresh"
    in_the_first_day = 9
    assert provider.fetches == {"discovery": 1 + 30 - in_the_first_day, "jwks": 1 + 30}


def heals_after_a_move(clock: Clock, old_answer: Script, *, failures: int) -> None:
    """The old address answers so; the document, which is fresh, is read again after that many failures."""
    watcher = Watcher()
    with turncoat(clock) as provider, provider.issuer.verifier(observer=watcher) as verifier:
        settle(verifier)
        old_key = provider.replace_keys()
        provider.describe(jwks_uri=f"{provider.server.url}/moved")
        provider.server.routes["/moved"] = answer(provider.truth())
        provider.say(old_answer)
        for _ in range(failures):
            clock.advance(STALE)
            with pytest.raises(ProviderError):
                settle(verifier)
            verifier.pause()  # or the timer would try again a moment later
            assert verifier.verify_now(provider.issuer.mint("ada", key=old_key)).user_id == "ada"
        clock.advance(LONGEST_BACKOFF)
        settle(verifier)
        accepts(verifier, provider.issuer)
        assert provider.fetches == {"discovery": 2, "jwks": 1 + failures, "/moved": 1}
        assert watcher.of("discovery_changed") == [{"jwks_uri": f"{provider.server.url}/moved"}]


def no_documents(provider: Turncoat, elsewhere: str) -> dict[str, bytes]:
    """What may stand where the document was; most of it points to the forged keys."""
    document = provider.issuer.discovery()
    lie = {**document, "jwks_uri": f"{elsewhere}/jwks"}
    text = json.dumps(lie).encode()
    return {
        "nothing": b"",
        "a captive portal": b"<!doctype html><title>Sign in</title>",
        "other JSON": b'{"status": "ok"}',
        "a key set": provider.lie(),
        "an array": b"[" + text + b"]",
        "null": b"null",
        "truncated": text[:-2],
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "another issuer's": json.dumps({**lie, "issuer": elsewhere}).encode(),
        "nobody's": json.dumps({**lie, "issuer": None}).encode(),
        "two issuers'": text[:-1] + b', "issuer": "' + elsewhere.encode() + b'"}',
        "without jwks_uri": json.dumps({**document, "jwks_uri": None}).encode(),
        "300 KB": text[:-1] + b" " * 300_000 + b"}",
    }


@scenario("I82")
def test_i82_what_is_no_discovery_document_is_not_kept_and_poisons_nothing(provider: Turncoat, row: Row) -> None:
    with HostileServer(answer(provider.lie())) as elsewhere:
        bodies = no_documents(provider, elsewhere.url)
        for name, body in bodies.items():
            with case(f"{name}, cold"):
                is_not_kept(provider, body)
            with case(f"{name}, a day later"):
                poisons_nothing(provider, body)
        assert elsewhere.requests == []
    count = len(bodies)
    assert provider.fetches == {"discovery": 5 * count, "jwks": 3 * count, "/moved": count}
    row.saw(f"{count} bodies: 503 where cold, unaffected where warm, healed by the next", provider.fetches)


def is_not_kept(provider: Turncoat, body: bytes) -> None:
    """503 while there is nothing else, and all is well as soon as the pause after it is over."""
    provider.server.routes[OPENID] = answer(body)
    with provider.issuer.verifier() as verifier:
        with pytest.raises(DiscoveryError):
            settle(verifier)
        verifier.pause()  # or the timer would try again a moment later
        assert unavailable(verifier, provider.issuer.mint("ada")).retry_after >= 1
        provider.be_honest()
        provider.clock.advance(16)
        accepts(verifier, provider.issuer)


def poisons_nothing(provider: Turncoat, body: bytes) -> None:
    """The keys are renewed from the address that is known, and the next good document is read at once."""
    provider.be_honest()
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        provider.server.routes[OPENID] = answer(body)
        provider.clock.advance(DAY)
        settle(verifier)
        accepts(verifier, provider.issuer)
        refuse(verifier, provider.issuer.mint("eve", key=provider.forged), BadSignatureError)
        provider.describe(jwks_uri=f"{provider.server.url}/moved")
        provider.server.routes["/moved"] = answer(provider.truth())
        provider.clock.advance(STALE)
        settle(verifier)
        accepts(verifier, provider.issuer)
