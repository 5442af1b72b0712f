"""An issuer on loopback that can be held, its clock, and a verifier that has its keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge import Verifier
from oidcbridge.testing import Clock
from tests.remote.asking import settle
from tests.remote.hostile import HeldIssuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[HeldIssuer]:
    issuer = HeldIssuer(clock=clock)
    with issuer.serve():
        yield issuer


@pytest.fixture
def real_time_issuer() -> Iterator[HeldIssuer]:
    issuer = HeldIssuer()
    with issuer.serve():
        yield issuer


@pytest.fixture
def verifier(issuer: HeldIssuer) -> Iterator[Verifier]:
    """A verifier that has the issuer's keys, fetched a moment ago."""
    with issuer.verifier() as verifier:
        settle(verifier)
        yield verifier
