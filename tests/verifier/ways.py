"""The ways to ask a verifier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import trio

from oidcbridge import Principal, Verifier


def verify_on_asyncio(verifier: Verifier, token: str) -> Principal:
    return asyncio.run(verifier.verify(token))


def verify_on_trio(verifier: Verifier, token: str) -> Principal:
    principal: Principal = trio.run(verifier.verify, token)
    return principal


WAYS = pytest.mark.parametrize("verify", [Verifier.verify_now, verify_on_asyncio, verify_on_trio])
Verify = Callable[[Verifier, str], Principal]
