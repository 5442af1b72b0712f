"""A fake issuer, answered in process, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge.testing import Clock, FakeIssuer
from tests.verifier.platform import Platform, Rule


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clock, algorithms=("ES256", "RS256")).impersonate() as issuer:
        yield issuer


@pytest.fixture
def platform(clock: Clock) -> Iterator[Platform]:
    with Platform(clock).impersonate() as platform:
        yield platform


@pytest.fixture
def rule() -> Iterator[Rule]:
    rule = Rule()
    yield rule
    rule.gate.set()
