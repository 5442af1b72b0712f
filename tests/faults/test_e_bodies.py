"""E, what the body says: none of it takes away the keys at hand, and no bad key among good ones harms those."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest

from oidcbridge.core.keys import parse_key_set
from oidcbridge.errors import AlgorithmNotAllowedError, KeyNotFoundError, KeysUnavailableError
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from oidcbridge.testing.tokens import merge
from tests.faults.kit import health
from tests.faults.odd_keys import LONG_AGO, NOT_OBJECTS, refuse_all, strange, weak
from tests.faults.table import Row, scenario
from tests.faults.turncoat import STALE, Turncoat, accepts, case, key_set, recovers, survives, turncoat
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import HeldIssuer, answer


@pytest.fixture
def provider(clock: Clock) -> Iterator[Turncoat]:
    with turncoat(clock) as provider:
        yield provider


def unreadable(lie: bytes) -> dict[str, bytes]:
    """Bodies that are no key set, though a reader of good will would find ``lie`` in most of them."""
    text, (entry,) = lie.decode(), json.loads(lie)["keys"]
    return {
        "a captive portal": b"<!doctype html><title>Sign in</title><p>Please accept our terms.</p>",
        "nothing": b"",
        "truncated": lie[:-2],
        "something behind it": lie + b"}",
        "bad UTF-8": lie[:-2] + b',{"kid":"\xff\xfe"}]}',
        "a lone surrogate": lie[:-2] + b',{"kid":"\\ud800"}]}',
        "a byte order mark": b"\xef\xbb\xbf" + lie,
        "UTF-16": text.encode("utf-16"),
        "JavaScript": b"jwks(" + lie + b")",
        "an array": b"[" + lie + b"]",
        "the keys alone": json.dumps([entry]).encode(),
        "a number": b"7",
        "a string": json.dumps(text).encode(),
        "null": b"null",
        "keys missing": lie.replace(b'"keys"', b'"Keys"'),
        "keys is an object": json.dumps({"keys": {"0": entry}}).encode(),
        "keys is one key": json.dumps({"keys": entry}).encode(),
        "keys is null": b'{"keys": null}',
    }


@scenario("E44")
def test_e44_the_old_keys_survive_every_body_that_is_no_key_set(provider: Turncoat, row: Row) -> None:
    bodies = unreadable(provider.lie())
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        for name, body in bodies.items():
            with case(name):
                survives(provider, verifier, answer(body, headers={"Content-Type": "application/json"}))
    assert provider.fetches == {"discovery": 1, "jwks": 1 + 2 * len(bodies)}
    row.saw(f"{len(bodies)} bodies survived, one fetch each and one to heal", provider.fetches)


@scenario("E45")
def test_e45_a_set_without_usable_keys_changes_nothing_and_those_who_ask_on_are_not_listened_to(
    provider: Turncoat, watcher: Watcher, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    wrong_use = merge(provider.forged.public_jwk(), {"use": "enc"})
    issuer, bodies = provider.issuer, [key_set(), key_set({"kty": "RSA"}, 7, None), key_set(wrong_use)]
    with issuer.verifier(observer=watcher) as verifier:
        settle(verifier)
        for body in bodies:
            survives(provider, verifier, answer(body))
            before = provider.fetches["jwks"]
            provider.say(answer(body))
            assert unavailable(verifier, stranger(issuer)).retry_after >= 1
            verifier.pause()  # the timer's own retry would be counted as well
            for _ in range(1000):
                unavailable(verifier, stranger(issuer))
            accepts(verifier, issuer)
            assert provider.fetches["jwks"] == before + 1
            recovers(provider, verifier, after=STALE)
    assert caplog.text.count("no usable signing key") == 2 * len(bodies)
    assert [told["kind"] for told in watcher.of("fetch_failed")] == ["keys_unavailable"] * 2 * len(bodies)
    row.saw("update rejected and logged; 1,001 unknown kids then: 503, one fetch", provider.fetches)


@scenario("E46")
def test_e46_strange_keys_take_none_of_the_others_down(
    issuer: HeldIssuer, clock: Clock, watcher: Watcher, row: Row
) -> None:
    issuer.rotate("RS256")
    odd_keys = strange()
    odd_entries = [*NOT_OBJECTS, *(odd_key.entry for odd_key in odd_keys.values())]
    issuer.jwks_override = key_set(*odd_entries, *issuer.jwks()["keys"])  # type: ignore[misc]
    with issuer.verifier(observer=watcher) as verifier:
        for alg in ("ES256", "RS256"):
            assert verifier.verify_now(issuer.mint("ada", alg=alg)).user_id == "ada"
        assert health(verifier).keys == 2
        refuse_all(verifier, issuer, odd_keys)
        assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}
        clock.advance(STALE)
        settle(verifier)
    assert len(watcher.of("key_skipped")) == len(odd_entries), "each is told once, not at every refresh"
    assert {odd.signer.kid for odd in odd_keys.values()} <= {told["kid"] for told in watcher.of("key_skipped")}
    row.saw(f"{len(odd_entries)} entries skipped, both good keys used", issuer.fetches)


@scenario("E47")
def test_e47_a_symmetric_key_is_never_used_and_a_private_one_is_an_alarm(
    issuer: HeldIssuer, clock: Clock, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    """Published before the first fetch, and beside a good key that is known and stays as it is."""
    caplog.set_level(logging.DEBUG)
    secret, leaked = FakeKey.generate("HS256"), [FakeKey.generate(alg) for alg in ("ES256", "RS256", "EdDSA")]
    entries = [(key, dict(key.private_key.as_dict(private=True))) for key in (secret, *leaked)]
    early, late = Watcher(), Watcher()
    with issuer.verifier(observer=early) as warm, issuer.verifier(observer=late) as cold:
        accepts(warm, issuer)
        for key, members in entries:
            issuer.publish({**members, "kid": key.kid, "alg": key.alg, "use": "sig"})
        for _ in range(3):  # told once, and not at every refresh
            clock.advance(STALE)
            for verifier, watcher in ((warm, early), (cold, late)):
                settle(verifier)
                assert [told["kid"] for told in watcher.of("private_key_published")] == [key.kid for key, _ in entries]
                assert len(watcher.of("key_skipped")) == len(entries)
                assert (health(verifier).keys, verifier.metrics().issuers[0].generation) == (1, 1)
                accepts(verifier, issuer)
                refuse(verifier, issuer.mint("eve", key=secret), AlgorithmNotAllowedError)
                for key in leaked:
                    refuse(verifier, issuer.mint("eve", key=key, issued_ago=LONG_AGO), KeyNotFoundError)
    assert issuer.fetches == {"discovery": 2, "jwks": 1 + 2 * 3, "token": 0}
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    for (key, members), alarm in zip(2 * entries, alarms, strict=True):
        assert key.kid in alarm
        assert not any(str(members[name]) in caplog.text for name in ("d", "k", "p") if name in members)
    row.saw("HS256 refused, private keys unused, one alarm each, also beside unchanged keys", issuer.fetches)


@scenario("E48")
def test_e48_weak_and_malformed_keys_are_skipped(issuer: HeldIssuer, row: Row) -> None:
    """RSA of 512 and 16384 bits are published as random moduli, since such keys cannot be made here in good time."""
    odd_keys = weak()
    issuer.jwks_override = key_set(*(odd.entry for odd in odd_keys.values()), issuer.signing_key().public_jwk())
    with issuer.verifier() as verifier:
        accepts(verifier, issuer)
        assert health(verifier).keys == 1
        refuse_all(verifier, issuer, odd_keys)
    assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}
    row.saw(f"{len(odd_keys)} keys skipped, the good one used", issuer.fetches)


def with_two_names(lie: bytes, issuer: FakeIssuer) -> dict[str, bytes]:
    """JSON with a member twice, once as ``lie`` and once as the truth."""
    good = json.dumps(issuer.jwks()["keys"]).encode()
    forged = lie.removeprefix(b'{"keys": ').removesuffix(b"}")
    return {
        "keys, forged last": b'{"keys": ' + good + b', "keys": ' + forged + b"}",
        "keys, forged first": b'{"keys": ' + forged + b', "keys": ' + good + b"}",
        "the name in another spelling": b'{"keys": ' + good + b', "\\u006beys": ' + forged + b"}",
        "a key's x": lie.replace(b'"x": ', b'"x": "AA", "x": '),
        "a key's kid": lie.replace(b'"kid": ', b'"kid": "other", "kid": '),
    }


@scenario("E49")
def test_e49_the_right_one_of_keys_with_one_name_is_found_and_doubled_members_are_refused(
    provider: Turncoat, row: Row
) -> None:
    issuer, good = provider.issuer, provider.issuer.signing_key()
    wrong = [FakeKey.generate(alg, kid=good.kid).public_jwk() for alg in ("ES256", "RS256", "ES256", "ES384", "ES256")]
    with issuer.verifier() as verifier:
        provider.say(answer(key_set(*wrong, good.public_jwk())))
        accepts(verifier, issuer)
        assert health(verifier).keys == 6
        assert provider.fetches == {"discovery": 1, "jwks": 1}
        provider.clock.advance(STALE)
        provider.be_honest()
        settle(verifier)
        for name, body in with_two_names(provider.lie(), issuer).items():
            with case(name):
                survives(provider, verifier, answer(body))
    row.saw("verified behind five wrong keys of its name; doubled members rejected", provider.fetches)


def cpu_seconds(body: bytes) -> float:
    """What reading ``body`` costs this thread; the best of three, since a cold cache is no property of the body."""
    costs = []
    for _ in range(3):
        started = time.thread_time()
        try:
            parse_key_set(body)
        except KeysUnavailableError:
            costs.append(time.thread_time() - started)
        else:
            pytest.fail("it was read as a key set")
    return min(costs)


@scenario("E52")
def test_e52_ten_thousand_keys_and_ten_thousand_levels_are_refused_before_they_cost_anything(
    provider: Turncoat, row: Row
) -> None:
    lie, levels = provider.lie(), b"[" * 10_000 + b"]" * 10_000
    beside = {
        "10,000 keys": b",".join([b'{"kty":"RSA","e":"AQAB"}'] * 10_000),
        "10,000 empty keys": b",".join([b"{}"] * 10_000),
        "10,000 numbers": b",".join([b"7"] * 10_000),
        "10,000 levels": levels,
        "10,000 levels of objects": b'{"x":' * 10_000 + b"7" + b"}" * 10_000,
    }
    bodies = {name: lie[:-2] + b"," + more + b"]}" for name, more in beside.items()}
    bodies["10,000 levels in another member"] = lie[:-1] + b',"x":' + levels + b"}"
    bodies["10,000 levels in a key"] = lie[:-3] + b',"x5c":' + levels + b"}]}"
    assert max(map(len, bodies.values())) < 256 * 1024
    with provider.issuer.verifier() as verifier:
        settle(verifier)
        for name, body in bodies.items():
            with case(name):
                survives(provider, verifier, answer(body))
                assert cpu_seconds(body) < 0.05
    row.saw("rejected within 50 ms of CPU, the old keys survived", provider.fetches)
