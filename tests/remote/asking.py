"""What most tests of the key sets ask of a verifier."""

from __future__ import annotations

import asyncio

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError, TokenError
from oidcbridge.testing import FakeIssuer, FakeKey


def settle(verifier: Verifier, *, strict: bool = True) -> None:
    """Wait for the fetch that is under way, or make one that is due."""
    asyncio.run(verifier.warm(strict=strict))


def stranger(issuer: FakeIssuer, **options: object) -> str:
    """A plausible token under a kid that nobody has."""
    return issuer.mint(key=FakeKey.generate("ES256"), **options)  # type: ignore[arg-type]


def refuse(verifier: Verifier, token: str, error: type[TokenError] = KeyNotFoundError) -> None:
    with pytest.raises(error):
        verifier.verify_now(token)


def unavailable(verifier: Verifier, token: str) -> KeysUnavailableError:
    with pytest.raises(KeysUnavailableError) as caught:
        verifier.verify_now(token)
    return caught.value
