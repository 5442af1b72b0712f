"""The world that is attacked, and all attacks on it, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge.testing import FakeIssuer
from tests.attacks.families import Family, make_families
from tests.attacks.forge import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with World().open() as world:
        yield world


@pytest.fixture(scope="session")
def families(world: World) -> dict[str, Family]:
    return make_families(world)


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    """For attacks on requests rather than tokens."""
    with FakeIssuer("https://requests.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer
