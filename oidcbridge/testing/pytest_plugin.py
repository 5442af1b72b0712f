"""Fixtures for tests of an app that oidcbridge protects; pytest loads them by itself once oidcbridge is installed.

Nothing of oidcbridge is imported before a fixture is asked for: pytest loads plugins before coverage starts to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oidcbridge.testing import Clock, FakeIssuer


@pytest.fixture
def oidc_clock() -> Clock:
    """A clock that stands at the real time of now until the test moves it; give it to the verifier as ``clock``."""
    from oidcbridge.testing import Clock  # noqa: PLC0415

    return Clock()


@pytest.fixture
def oidc_issuer(request: pytest.FixtureRequest) -> Iterator[FakeIssuer]:
    """A ``FakeIssuer`` that is ``https://idp.test`` for this test, audience ``agent-api``.

    Every request of oidcbridge to that address is answered in process. Tokens are minted at the real time, or at
    ``oidc_clock``'s in a test that asks for it too.
    """
    from oidcbridge.testing import FakeIssuer  # noqa: PLC0415

    clock = request.getfixturevalue("oidc_clock") if "oidc_clock" in request.fixturenames else None
    with FakeIssuer("https://idp.test", clock=clock).impersonate() as issuer:
        yield issuer


@pytest.fixture
def oidc_token(oidc_issuer: FakeIssuer) -> Callable[..., str]:
    """Make tokens of ``oidc_issuer``: ``oidc_token("ada", scope="agents:run")``; see ``FakeIssuer.mint``."""
    return oidc_issuer.mint
