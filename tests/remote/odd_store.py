"""A key store of a user's own, which does in some of its methods what a store should not do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from oidcbridge.core.key_store import Lead
from oidcbridge.stores import FileKeyStore

Odd = Callable[[], Awaitable[Any]]


class OddStore:
    """A directory of keys. ``odd`` says what the methods that it names do instead; ``pause`` is how slow each one is.

    ``calls`` counts them by name; ``end`` is that of a lead.
    """

    def __init__(self, directory: Path) -> None:
        self._files = FileKeyStore(directory)
        self.odd: dict[str, Odd] = {}
        self.pause = 0.0
        self.calls: Counter[str] = Counter()

    async def load(self, issuer: str) -> bytes | None:
        entry: bytes | None = await self.answer("load", partial(self._files.load, issuer))
        return entry

    async def save(self, issuer: str, entry: bytes, *, seconds: float) -> None:
        await self.answer("save", partial(self._files.save, issuer, entry, seconds=seconds))

    async def lead(self, issuer: str, *, seconds: float) -> Lead | None:
        lead: Lead | None = await self.answer("lead", partial(self._files.lead, issuer, seconds=seconds))
        return OddLead(self, lead) if lead else None

    async def spend(self, issuer: str, *, burst: int, interval: float) -> bool:
        paid: bool = await self.answer("spend", partial(self._files.spend, issuer, burst=burst, interval=interval))
        return paid

    async def close(self) -> None:
        await self._files.close()

    async def answer(self, name: str, ordinary: Odd) -> Any:
        """What the method of that name gives back, this time."""
        self.calls[name] += 1
        await asyncio.sleep(self.pause)
        return await self.odd.get(name, ordinary)()


class OddLead:
    """Its end may be odd too; the lock is free all the same, as if its time had run out."""

    def __init__(self, store: OddStore, lead: Lead) -> None:
        self._store = store
        self._lead = lead

    async def end(self) -> None:
        await self._lead.end()
        await self._store.answer("end", partial(asyncio.sleep, 0))


async def never() -> Any:
    """No answer."""
    await asyncio.Event().wait()


async def no() -> bool:
    """Others have spent it all."""
    return False


async def nothing() -> None:
    """There is no entry; or somebody else has the lead."""


def raising(error: BaseException) -> Odd:
    """A method that raises ``error``."""

    async def raise_it() -> None:
        raise error

    return raise_it
