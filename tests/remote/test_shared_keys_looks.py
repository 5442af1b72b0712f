"""A look into the store, made while the provider has to be left in peace, stands in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oidcbridge import Verifier
from oidcbridge.stores import FileKeyStore
from oidcbridge.testing import Clock
from tests.remote.asking import settle
from tests.remote.hostile import HeldIssuer


class SlowStore(FileKeyStore):
    """Answers no look while its gate is shut."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        super().__init__(directory, clock=clock)
        self.gate = threading.Event()
        self.gate.set()

    async def load(self, issuer: str) -> bytes | None:
        while not self.gate.is_set():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)
        return await super().load(issuer)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SlowStore:
    return SlowStore(tmp_path / "keys", clock)


@contextmanager
def looking(issuer: HeldIssuer, store: SlowStore, clock: Clock) -> Iterator[Verifier]:
    """A verifier in a backoff, with a look into the store under way; the provider is back since."""
    with issuer.verifier(key_store=store) as verifier:
        settle(verifier)
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "60"}
        clock.advance(301)
        settle(verifier, strict=False)
        issuer.status = None
        store.gate.clear()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        yield verifier
        store.gate.set()


def test_whoever_wants_the_provider_asked_does_not_settle_for_a_look(
    issuer: HeldIssuer, store: SlowStore, clock: Clock
) -> None:
    with looking(issuer, store, clock) as verifier:
        clock.advance(61)
        threading.Timer(0.2, store.gate.set).start()
        before = issuer.fetches["jwks"]
        settle(verifier)
        assert issuer.fetches["jwks"] == before + 1
        assert verifier.health()[0].state == "fresh"


def test_a_forced_refresh_does_not_either(issuer: HeldIssuer, store: SlowStore, clock: Clock) -> None:
    with looking(issuer, store, clock) as verifier:
        before = issuer.fetches["jwks"]
        threading.Timer(0.2, store.gate.set).start()
        asyncio.run(verifier.refresh(force=True))
        assert issuer.fetches["jwks"] == before + 1
