"""FileKeyStore: keys shared by the workers of one host, in a directory that only their user may write to.

For each issuer, named by the SHA-256 of its URL::

    <name>          the entry, replaced whole, so that a half-written one is never read
    <name>.lock     locked by the worker that fetches; the system frees it when that worker dies, even by SIGKILL
    <name>.budget   how many fetches for unknown keys are left to all of them together

Locks need a file system of this host: over a network they work in some places, and in others seem to.
"""

from __future__ import annotations

import asyncio
import os
import sys
from hashlib import sha256
from pathlib import Path

from oidcbridge.core.policy import Clock
from oidcbridge.core.stored_keys import MAX_ENTRY_BYTES
from oidcbridge.errors import ConfigurationError, KeyStoreError
from oidcbridge.stores.budget import RECORD_BYTES, take_fetch
from oidcbridge.stores.own_files import (
    OwnLock,
    make_own_directory,
    read_own,
    replace_own,
    report_errors,
    sweep_temporaries,
)

_LOCK_TRIES = 100
_LOCK_PAUSE = 0.005  # seconds; whoever has a budget locked keeps it for microseconds


class FileKeyStore:
    """A `oidcbridge.core.key_store.KeyStore` in ``directory``, which is made with mode 0700 where it is missing.

    ``clock`` dates the shared budget. Raises `ConfigurationError` for a directory that others may write to or that
    cannot be used, and on Windows.
    """

    def __init__(self, directory: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        if sys.platform == "win32":
            raise ConfigurationError(
                "FileKeyStore needs the locks and permissions of Linux or macOS; on Windows use RedisKeyStore, or leave"
                " key_store out: each worker then fetches for itself"
            )
        if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
            raise ConfigurationError('FileKeyStore: name a directory, say FileKeyStore("/var/cache/my-agents/keys")')
        self._directory = Path(directory).absolute()  # the process may change its own
        self._clock = clock or Clock()
        make_own_directory(self._directory)
        sweep_temporaries(self._directory)

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self._directory)!r})"

    async def load(self, issuer: str) -> bytes | None:
        """The issuer's entry, or None. Raises `KeyStoreError`: for a file that others may write to, ignored."""
        path = self._path(issuer)
        with report_errors(path):
            return read_own(path, MAX_ENTRY_BYTES)

    async def save(self, issuer: str, entry: bytes, *, seconds: float) -> None:
        """Replace the issuer's entry. It stays after ``seconds`` too; what it says of its age then keeps it unused."""
        path = self._path(issuer)
        with report_errors(path):
            try:
                # In a thread: a busy disk may take its time to write for good.
                await asyncio.to_thread(replace_own, path, entry)
            except RuntimeError as error:
                raise KeyStoreError(f"{path} cannot be written: no thread for it ({error})") from error

    async def lead(self, issuer: str, *, seconds: float) -> FileLead | None:
        """Become the one that fetches, for at most ``seconds``; None while another is, in this process too."""
        path = self._path(issuer, ".lock")
        with report_errors(path):
            lock = OwnLock(path)
            if lock.take():
                return FileLead(lock, asyncio.get_running_loop().call_later(seconds, lock.release))
            lock.release()
            return None

    async def spend(self, issuer: str, *, burst: int, interval: float) -> bool:
        """Take one fetch, if one is left of ``burst`` and of one more each ``interval`` seconds."""
        path = self._path(issuer, ".budget")
        with report_errors(path):
            lock = OwnLock(path)
            try:
                for _ in range(_LOCK_TRIES):
                    if lock.take():
                        return _spend(lock.descriptor, self._clock.time(), burst, interval)
                    await asyncio.sleep(_LOCK_PAUSE)
            finally:
                lock.release()
        raise KeyStoreError(f"{path} stays locked by another process; end the one that has it open (see lsof)")

    async def close(self) -> None:
        """Nothing is kept open."""

    def _path(self, issuer: str, suffix: str = "") -> Path:
        return self._directory / (sha256(issuer.encode()).hexdigest() + suffix)


class FileLead:
    """The right to fetch, as long as the lock on a file is held."""

    def __init__(self, lock: OwnLock, timer: asyncio.TimerHandle) -> None:
        self._lock = lock
        self._timer = timer

    async def end(self) -> None:
        """Let the next one lead."""
        self._timer.cancel()
        self._lock.release()


def _spend(descriptor: int, now: float, burst: int, interval: float) -> bool:
    record = os.pread(descriptor, RECORD_BYTES + 1, 0)
    granted, after = take_fetch(record, now, burst=burst, interval=interval)
    if after != record:
        # One write of a fixed length: it is there whole or not at all when the process is killed.
        os.pwrite(descriptor, after, 0)
        os.ftruncate(descriptor, RECORD_BYTES)
    return granted
