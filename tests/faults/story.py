"""One provider's story, in which every event and every metric of its keys has its place.

Each chapter says what is told in it, in order and nothing else, and which numbers move.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from oidcbridge import Verifier
from oidcbridge.core import events
from oidcbridge.core.events import EventName, Observer
from oidcbridge.errors import ProviderError, RevokedTokenError
from oidcbridge.metrics import IssuerMetrics
from oidcbridge.testing import FakeKey
from tests.faults.kit import at_rest, eventually
from tests.faults.turncoat import LONGEST_BACKOFF, STALE, Turncoat, accepts, key_set
from tests.faults.watching import Told, Watcher
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import PATIENCE, Request, answer

MAX_STALE = 4 * 3600.0
STARTED: Told = ("fetch_started", {})


def fetched(*, not_modified: bool = False, seconds: float = 0.0) -> Told:
    return "fetch_succeeded", {"not_modified": not_modified, "seconds": seconds}


def failed(next_try_in: float) -> Told:
    return "fetch_failed", {"kind": "status", "failures": 1, "next_try_in": next_try_in}


class Story:
    """A provider, a verifier with a key store, and what is to be heard and counted of them."""

    def __init__(self, provider: Turncoat, directory: Path) -> None:
        self.provider, self.issuer, self.directory = provider, provider.issuer, directory
        self.watcher = Watcher()
        self.verifier = self.worker(self.watcher)
        self.counted: set[str] = set()

    def worker(self, observer: Observer | None = None) -> Verifier:
        return self.issuer.verifier(key_store=self.directory, observer=observer)

    def entry(self) -> Path:
        (file,) = (file for file in self.directory.iterdir() if not file.suffix)
        return file

    def refreshes(self, after: float = STALE) -> None:
        self.provider.clock.advance(after)
        settle(self.verifier)

    def tells(self, *expected: Told) -> None:
        """These events have been told since the last call, and no other."""
        assert self.watcher.news() == list(expected)

    def counts(self, **expected: object) -> None:
        """The issuer's metrics read so now."""
        (now,) = self.verifier.metrics().issuers
        assert {name: getattr(now, name) for name in expected} == expected
        self.counted |= expected.keys()


def keys_come_and_stay(story: Story) -> None:
    provider = story.provider
    truth = answer(provider.truth(), headers={"ETag": '"v1"'})

    def slowly(request: Request) -> None:
        provider.clock.advance(2)
        truth(request)

    provider.say(slowly)
    settle(story.verifier)
    kid = story.issuer.signing_key().kid
    story.tells(STARTED, fetched(seconds=2.0), ("keys_added", {"kids": (kid,)}))
    story.counts(state="fresh", usable_keys=1, generation=1, age=2.0, fetched=1, fetch_seconds=2.0)
    provider.say(answer(b"", status=304))
    story.refreshes()
    story.tells(STARTED, fetched(not_modified=True))
    story.counts(age=0.0, generation=1, fetched=1, not_modified=1)


def a_key_is_looked_for_and_found(story: Story) -> None:
    story.issuer.rotate()
    kid, truth, may_answer = story.issuer.signing_key().kid, answer(story.provider.truth()), threading.Event()
    story.provider.say(lambda request: may_answer.wait(PATIENCE) and truth(request))
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(accepts, story.verifier, story.issuer)
        eventually(lambda: story.verifier.metrics().issuers[0].waiters == 1)
        may_answer.set()
        request.result(PATIENCE)
    story.tells(STARTED, fetched(), ("keys_added", {"kids": (kid,)}), ("unknown_kid", {"kid": kid, "result": "found"}))
    story.counts(generation=2, usable_keys=2, fetched=2, waiters=0)


def strangers_are_looked_for_as_far_as_the_budget_goes(story: Story) -> None:
    key = FakeKey.generate("ES256", kid="k" * 100)
    for _ in range(3):
        refuse(story.verifier, story.issuer.mint("eve", key=key))
    story.tells(STARTED, fetched(), ("unknown_kid", {"kid": "k" * 64, "result": "absent"}))
    story.counts(negative_hits=2, suppressed=0)
    for _ in range(3):
        refuse(story.verifier, stranger(story.issuer))
    story.tells(("refresh_suppressed", {"next_try_in": 10.0}))
    story.counts(negative_hits=2, suppressed=3, fetched=3)
    story.verifier.pause()  # the look at the refill, which is of real time


def keys_go_and_odd_ones_come(story: Story) -> None:
    first = story.watcher.of("keys_added")[0]
    story.issuer.retire()
    story.provider.be_honest()
    story.refreshes()
    story.tells(STARTED, fetched(), ("keys_removed", first))
    story.counts(generation=3, usable_keys=1)
    leaked, odd = FakeKey.generate("ES256").private_key.as_dict(private=True, kid="leaked"), {"kty": "X", "kid": "odd"}
    story.provider.say(answer(key_set(story.issuer.signing_key().public_jwk(), leaked, odd)))
    story.refreshes()
    story.tells(
        STARTED,
        fetched(),
        ("private_key_published", {"kid": "leaked"}),
        ("key_skipped", {"kid": "leaked", "reason": "symmetric or private key in a public set"}),
        ("key_skipped", {"kid": "odd", "reason": "unknown 'kty'"}),
    )
    story.refreshes()
    story.tells(STARTED, fetched())
    story.counts(generation=3, usable_keys=1)


def the_keys_move(story: Story) -> None:
    moved = f"{story.provider.server.url}/moved"
    story.provider.be_honest()
    story.provider.describe(jwks_uri=moved)
    story.provider.server.routes["/moved"] = answer(story.provider.truth())
    story.provider.say(answer(status=404, headers={"Retry-After": "30"}))
    with pytest.raises(ProviderError):
        story.refreshes()
    story.tells(STARTED, failed(30.0), ("serving_stale", {"budget_left": MAX_STALE - STALE}))
    for _ in range(5):
        accepts(story.verifier, story.issuer)
    story.tells()
    story.counts(state="degraded", failed=1, stale_served=5)
    story.refreshes(LONGEST_BACKOFF)
    elsewhere = {"reason": "the stored keys are not used: they were fetched from another jwks_uri"}
    story.tells(
        STARTED,
        ("discovery_changed", {"jwks_uri": moved}),
        fetched(),
        ("recovered", {"failures": 1}),
        ("store_ignored", elsewhere),
    )


def the_outage_is_too_long(story: Story) -> None:
    story.provider.server.routes["/moved"] = answer(status=503, headers={"Retry-After": "60"})
    story.provider.clock.advance(MAX_STALE + 1)
    for _ in range(5):
        unavailable(story.verifier, story.issuer.mint("ada"))
    too_old = {"reason": "the stored keys are not used: they are 14401 s old, and max_stale is 14400 s"}
    story.tells(("store_ignored", too_old), STARTED, failed(60.0), ("dead", {}))
    story.counts(state="dead", failed=2)
    story.provider.server.routes["/moved"] = answer(story.provider.truth())
    story.refreshes(LONGEST_BACKOFF)
    story.tells(STARTED, fetched(), ("recovered", {"failures": 1}))
    story.counts(state="fresh", failed=2)


def others_use_the_store(story: Story) -> None:
    with story.worker() as other:
        story.provider.clock.advance(STALE)
        settle(other)
        at_rest()
        settle(story.verifier)
    story.tells(("store_loaded", {"age": 0.0}))
    story.counts(adopted=1)
    for _ in range(2):  # it is news again, as all was well in between
        story.entry().write_text("{}")
        story.refreshes()
        reason = "the stored keys are not used: another version of oidcbridge has written them, or another program"
        story.tells(("store_ignored", {"reason": reason}), STARTED, fetched())
        story.refreshes()
        story.tells(STARTED, fetched())
    story.counts(adopted=1)


def the_store_breaks(story: Story) -> None:
    path = story.entry()
    shutil.rmtree(story.directory)
    story.directory.write_text("not a directory any more")
    story.refreshes()
    story.tells(("store_failed", {"reason": f"{path} cannot be used: Not a directory"}), STARTED, fetched())
    story.refreshes()
    story.tells(STARTED, fetched())


def a_key_is_denied(story: Story) -> None:
    token, kid, before = story.issuer.mint("ada"), story.issuer.signing_key().kid, story.verifier.metrics()
    for _ in range(3):
        story.verifier.verify_now(token)
    story.verifier.deny_key(kid)
    refuse(story.verifier, token, RevokedTokenError)
    story.tells(("key_denied", {"kid": kid}))
    story.counts(usable_keys=0)
    after = story.verifier.metrics()
    assert after.token_cache_hits - before.token_cache_hits == 2
    assert after.token_cache_misses - before.token_cache_misses == 2
    assert after.token_cache_invalidated - before.token_cache_invalidated == 1
    assert (after.observer_errors, after.events_dropped) == (0, 0)


CHAPTERS: tuple[Callable[[Story], None], ...] = (
    keys_come_and_stay,
    a_key_is_looked_for_and_found,
    strangers_are_looked_for_as_far_as_the_budget_goes,
    keys_go_and_odd_ones_come,
    the_keys_move,
    the_outage_is_too_long,
    others_use_the_store,
    the_store_breaks,
    a_key_is_denied,
)


def nothing_is_left_out(story: Story) -> None:
    """Every event that there is, and every metric of an issuer; the table tells of the same."""
    heard = story.watcher.events()
    assert {event.name for event in heard} == set(get_args(EventName))
    assert re.findall(r"^``(\w+)``", events.__doc__ or "", re.MULTILINE) == list(get_args(EventName))
    assert story.counted == {field.name for field in fields(IssuerMetrics)} - {"issuer"}
    for event in heard:
        assert event.issuer == story.issuer.issuer_url
        assert json.dumps(dict(event.details)), "plain data, for any program"
    times = [event.time for event in heard]
    assert times == sorted(times)
    assert times[-1] == story.provider.clock.time()
