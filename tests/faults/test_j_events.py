"""J, events and metrics: one story through all of them, and watchers that raise or block."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import get_args

import pytest

from oidcbridge import Verifier
from oidcbridge.core.events import Event, EventName
from oidcbridge.testing import Clock
from tests.faults.kit import LOAD, eventually, stopwatch
from tests.faults.story import CHAPTERS, Story, nothing_is_left_out
from tests.faults.table import Row, scenario
from tests.faults.turncoat import LONGEST_BACKOFF, STALE, accepts, turncoat
from tests.faults.watching import Watcher
from tests.remote.asking import refuse, settle, stranger
from tests.remote.hostile import HeldIssuer


class Blocker:
    """An observer that blocks at its first event until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.heard = 0

    def __call__(self, event: Event) -> None:
        assert self.may_go_on.wait(60)
        self.heard += 1


def raises(event: Event) -> None:
    raise (SystemExit if event.name == "fetch_started" else RuntimeError)("a secret of the observer")


DENIED = 1100


def everyday_life(issuer: HeldIssuer, clock: Clock, verifier: Verifier) -> float:
    """All that a request or a fetch may tell on its way; how long it took. It takes no longer, whoever listens."""
    with stopwatch() as watch:
        settle(verifier)
        for _ in range(3):
            issuer.rotate()
            accepts(verifier, issuer)
            verifier.pause()
            clock.advance(30)
        for _ in range(50):
            refuse(verifier, stranger(issuer))
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}
        clock.advance(STALE)
        for _ in range(50):
            accepts(verifier, issuer)
        settle(verifier, strict=False)
        issuer.status = None
        clock.advance(LONGEST_BACKOFF)
        settle(verifier)
        for number in range(DENIED):
            verifier.deny_key(f"lost-{number}")
        accepts(verifier, issuer)
    return watch.seconds


def a_watcher_harms_nobody(issuer: HeldIssuer, clock: Clock, caplog: pytest.LogCaptureFixture) -> int:
    """One that raises and one that blocks, beside one that does neither; how many events the blocked one lost."""
    watcher, blocker = Watcher(), Blocker()
    with (
        issuer.verifier(observer=watcher) as calm,
        issuer.verifier(observer=raises) as broken,
        issuer.verifier(observer=blocker) as blocked,
    ):
        usual = everyday_life(issuer, clock, calm)
        told = len(watcher.events())
        assert everyday_life(issuer, clock, broken) < 2 * usual + LOAD
        eventually(lambda: broken.metrics().observer_errors + broken.metrics().events_dropped == told)
        assert broken.metrics().observer_errors > 0
        assert everyday_life(issuer, clock, blocked) < 2 * usual + LOAD
        dropped = blocked.metrics().events_dropped
        assert told - 1001 <= dropped <= told - 1000  # the one that blocks may be on its way
        assert blocker.heard == 0
        blocker.may_go_on.set()
        eventually(lambda: blocker.heard + dropped == told)
        assert (blocked.metrics().events_dropped, blocked.metrics().observer_errors) == (dropped, 0)
    said = [record.getMessage() for record in caplog.records if record.name == "oidcbridge.events"]
    assert said == ["the observer raised SystemExit at fetch_started; further ones are counted"]
    assert "a secret of the observer" not in caplog.text
    return dropped


@scenario("J85")
def test_j85_every_change_is_told_and_counted_once_and_no_watcher_can_break_or_delay_anything(
    issuer: HeldIssuer, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture, row: Row
) -> None:
    """One story has all the events there are; the scenarios of the other families look for their own."""
    caplog.set_level(logging.WARNING, "oidcbridge")
    with turncoat(clock) as provider:
        story = Story(provider, tmp_path / "keys")
        with story.verifier:
            for chapter in CHAPTERS:
                chapter(story)
            nothing_is_left_out(story)
    dropped = a_watcher_harms_nobody(issuer, clock, caplog)
    count = len(get_args(EventName))
    row.saw(f"all {count} events told once; a blocked watcher lost {dropped}, no request a moment", issuer.fetches)
