"""KeyStore: where workers share the keys that one of them has fetched, so that N of them ask about as often as one.

Whoever can write into a store can install signing keys. A store on this machine is guarded by file permissions; one
that is reached over a network seals its entries (`oidcbridge.stores`).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class Lead(Protocol):
    """The right to fetch for everybody; nobody else has it until it ends, or until its holder dies."""

    async def end(self) -> None:
        """Let the next one lead. Never raises; a second call does nothing."""


@runtime_checkable
class KeyStore(Protocol):
    """What a store does. Called on the background loop alone, so nothing may block it for long.

    Every method may raise `oidcbridge.errors.KeyStoreError`; the caller then goes on by itself for a while.
    """

    async def load(self, issuer: str) -> bytes | None:
        """The issuer's entry as it was saved, or None. Raises `KeyStoreError` too for one that cannot be trusted."""

    async def save(self, issuer: str, entry: bytes, *, seconds: float) -> None:
        """Replace the issuer's entry at once and whole; it is of no use after ``seconds``."""

    async def lead(self, issuer: str, *, seconds: float) -> Lead | None:
        """Become the one that fetches, for at most ``seconds``; None while another is."""

    async def spend(self, issuer: str, *, burst: int, interval: float) -> bool:
        """Take one fetch for unknown keys from the budget that all workers share, if there is one left.

        ``burst`` fetches, and one more each ``interval`` seconds. Written before the fetch, so that a worker that dies
        in it has paid.
        """

    async def close(self) -> None:
        """Let go of connections; the next use makes new ones."""
