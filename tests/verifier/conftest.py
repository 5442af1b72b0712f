"""A fake issuer, answered in process, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge.testing import Clock, FakeIssuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clock, algorithms=("ES256", "RS256")).impersonate() as issuer:
        yield issuer
