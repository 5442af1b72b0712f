"""A: startup with a key store. What another worker has left there is used at once, and only where it can be trusted."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from oidcbridge import Verifier
from oidcbridge.core.stored_keys import StoredKeys
from oidcbridge.errors import BadSignatureError
from oidcbridge.stores import FileKeyStore
from oidcbridge.testing import Clock
from tests.faults.kit import LOAD, at_rest, eventually, health, stopwatch
from tests.faults.table import Row, scenario
from tests.faults.turncoat import LONGEST_BACKOFF, OPENID, Turncoat, accepts, case, turncoat
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, unavailable
from tests.remote.hostile import answer, silence

TEN_MINUTES = 600.0
MAX_STALE = 4 * 3600.0


@scenario("A7")
def test_a7_a_worker_that_starts_in_an_outage_has_the_keys_of_ten_minutes_ago_at_once(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    """Down in the way that hurts most: connections are accepted, and nothing is said until we give up after 5 s."""
    caplog.set_level(logging.WARNING, "oidcbridge")
    store, watcher, left = tmp_path / "keys", Watcher(), MAX_STALE - TEN_MINUTES
    with turncoat(clock) as provider:
        with provider.issuer.verifier(key_store=store) as earlier:
            settle(earlier)
            at_rest()
        clock.advance(TEN_MINUTES)
        provider.server.routes[OPENID] = silence
        provider.say(silence)
        with provider.issuer.verifier(key_store=store, observer=watcher) as verifier:
            with stopwatch() as first:
                accepts(verifier, provider.issuer)
            assert first.seconds < LOAD
            eventually(lambda: health(verifier).state == "degraded", within=5.0 + LOAD)
            verifier.pause()  # what is tried again in real time would be counted as well
            now = health(verifier)
            assert (now.usable, now.age, now.stale_budget_left, now.failures) == (True, TEN_MINUTES, left, 1)
            accepts(verifier, provider.issuer)
            assert provider.fetches == {"discovery": 2, "jwks": 1}
            assert watcher.of("store_loaded", "serving_stale") == [{"age": TEN_MINUTES}, {"budget_left": left}]
            (numbers,) = verifier.metrics().issuers
            assert (numbers.adopted, numbers.fetched, numbers.stale_served) == (1, 0, 2)
            assert f"old keys are in use, for {left:.0f} s more" in caplog.text
            provider.be_honest()
            clock.advance(LONGEST_BACKOFF)
            settle(verifier)
            assert (health(verifier).state, provider.fetches["jwks"]) == ("fresh", 2)
    row.saw(f"accepted at once, degraded with {left:.0f} s left, fresh when it was back", provider.fetches)


class BadStore(NamedTuple):
    """What may be wrong with an entry, as a change of what is saved or of its file, and what is said of it."""

    reason: str
    spoil: Callable[[Path], object] = lambda _file: None
    fetched: float = -TEN_MINUTES
    jwks_uri: str = "/jwks"
    issuer: str = ""


BAD = {
    "older than max_stale": BadStore("s old, and max_stale is 14400 s", fetched=-MAX_STALE - 1),
    "dated in the future": BadStore("dated in the future", fetched=3600),
    "of another address": BadStore("another jwks_uri", jwks_uri="/elsewhere"),
    "of another issuer": BadStore("another issuer", issuer="/elsewhere"),
    "writable by all": BadStore("others may write to it", lambda file: file.chmod(0o606)),
    "writable by the group": BadStore("others may write to it", lambda file: file.chmod(0o660)),
    "truncated": BadStore("not JSON in UTF-8", lambda file: file.write_bytes(file.read_bytes()[:-20])),
    "empty": BadStore("not JSON in UTF-8", lambda file: file.write_bytes(b"")),
    "without a usable key": BadStore("no usable signing key", lambda file: rewrite(file, body="eyJrZXlzIjpbXX0=")),
}
GOOD = BadStore("")


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def saved(provider: Turncoat, directory: Path, how: BadStore) -> None:
    """A store whose entry has the forged key, ten minutes old, and is spoilt as ``how`` says."""
    fetched = provider.clock.time() + how.fetched
    entry = StoredKeys(
        issuer=provider.issuer.issuer_url + how.issuer,
        jwks_uri=provider.server.url + how.jwks_uri,
        fetched=fetched,
        as_of=fetched,
        soft=300.0,
        etag=None,
        body=provider.lie(),
    )
    store = FileKeyStore(directory)
    asyncio.run(store.save(provider.issuer.issuer_url, entry.to_bytes(), seconds=MAX_STALE))
    (file,) = directory.iterdir()
    how.spoil(file)


def starts_cold(provider: Turncoat, verifier: Verifier, watcher: Watcher, reason: str) -> None:
    """Nothing of the store is used, be the provider there or not, and that is told once."""
    forged = provider.issuer.mint("eve", key=provider.forged)
    provider.say(answer(status=503, headers={"Retry-After": "60"}))
    for token in (forged, provider.issuer.mint("ada")):
        unavailable(verifier, token)
    assert (health(verifier).state, provider.fetches["jwks"]) == ("empty", 1)
    provider.be_honest()
    provider.clock.advance(LONGEST_BACKOFF)
    accepts(verifier, provider.issuer)
    refuse(verifier, forged, BadSignatureError)
    assert [reason in str(told["reason"]) for told in watcher.of("store_ignored", "store_loaded")] == [True]
    (numbers,) = verifier.metrics().issuers
    assert (numbers.adopted, numbers.fetched, numbers.failed) == (0, 1, 1)


def is_used(provider: Turncoat, verifier: Verifier, watcher: Watcher) -> None:
    """The twin without a fault: its key is the one that verifies, and nobody is asked before that."""
    provider.say(silence)
    assert verifier.verify_now(provider.issuer.mint("eve", key=provider.forged)).user_id == "eve"
    assert (watcher.of("store_loaded"), watcher.of("store_ignored")) == ([{"age": TEN_MINUTES}], [])


@scenario("A8")
def test_a8_a_store_that_is_old_open_torn_foreign_or_of_tomorrow_is_left_where_it_lies(
    clock: Clock, tmp_path: Path, row: Row
) -> None:
    """The keys in it are an attacker's, so that whoever uses them is seen; without the fault they would be used.

    A wrong address shows where the right one is known without asking: here it is written down (``jwks_uri``).
    """
    for number, (name, how) in enumerate({**BAD, "good": GOOD}.items()):
        directory, watcher = tmp_path / str(number), Watcher()
        with case(name), turncoat(clock) as provider:
            saved(provider, directory, how)
            uri = f"{provider.server.url}/jwks"
            with provider.issuer.verifier(key_store=directory, jwks_uri=uri, observer=watcher) as verifier:
                if how is GOOD:
                    is_used(provider, verifier, watcher)
                    continue
                starts_cold(provider, verifier, watcher, how.reason)
            with provider.issuer.verifier(key_store=directory, jwks_uri=uri) as later:
                accepts(later, provider.issuer)  # with what has been saved in place of it
            assert provider.fetches == {"jwks": 2}
    row.saw(f"{len(BAD)} bad stores ignored and told once, then fetched; the good twin used", "2 jwks each, one failed")
