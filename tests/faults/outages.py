"""What the outages share: good tokens that are accepted all through one, and how often a provider may be asked."""

from __future__ import annotations

from collections.abc import Callable

from oidcbridge import Verifier
from oidcbridge.testing import Clock, FakeIssuer
from tests.faults.kit import stopwatch
from tests.remote.asking import settle


def accept(verifier: Verifier, issuer: FakeIssuer, count: int = 1) -> list[float]:
    """``count`` good tokens, each a new one, are accepted; the seconds that each took."""
    taken = []
    for token in [issuer.mint("ada") for _ in range(count)]:
        with stopwatch() as watch:
            assert verifier.verify_now(token).user_id == "ada"
        taken.append(watch.seconds)
    return taken


def fetches_of_ten_minutes(
    verifier: Verifier, issuer: FakeIssuer, clock: Clock, fetches: Callable[[], int], *, per_attempt: int = 1
) -> int:
    """What a request a second, for ten minutes of an outage, makes the provider see: attempts by the backoff, no more.

    ``fetches`` counts what it has seen by now, ``per_attempt`` is what one attempt leaves there.
    """
    before = fetches()
    for _ in range(600):
        clock.advance(1)
        accept(verifier, issuer)
        settle(verifier, strict=False)
    spent = fetches() - before
    # The pauses grow to a minute, and are spread below it: some twenty of them, and never one for each request.
    assert 600 // 61 <= spent / per_attempt <= 60
    return spent
