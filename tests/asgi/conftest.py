"""One issuer for the whole directory; tests that break an issuer take one of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Probe
from tests.environment import _bare_environment

__all__ = ["_bare_environment"]


@pytest.fixture(scope="session")
def issuer() -> Iterator[FakeIssuer]:
    """An issuer that works throughout, answered in process."""
    with FakeIssuer("https://asgi.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture
def frail_issuer() -> Iterator[FakeIssuer]:
    """An issuer of this test's own, to be broken."""
    with FakeIssuer("https://frail.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture
def probe() -> Probe:
    """The app behind the middleware."""
    return Probe()
