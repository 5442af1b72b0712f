"""Files that are ours alone: what may be opened, how it is replaced whole, and locks that no forked child keeps.

For Linux and macOS; `oidcbridge.stores.file` refuses other systems.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from oidcbridge.errors import ConfigurationError, KeyStoreError

if sys.platform != "win32":
    import fcntl

_ABANDONED_AFTER = 3600.0  # seconds: no file takes so long to write
_TEMPORARY = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.tmp")  # what `replace_own` writes, and nothing else
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def report_errors(path: Path) -> Iterator[None]:
    """Raise the system's errors about ``path`` as `KeyStoreError`."""
    try:
        yield
    except OSError as error:
        raise KeyStoreError(f"{path} cannot be used: {error.strerror or type(error).__name__}") from error


def make_own_directory(path: Path) -> None:
    """Make ``path`` for this user alone, if it is missing. Raises `ConfigurationError` for one that is not safe."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except FileExistsError:
        raise ConfigurationError(f"FileKeyStore: {path} is no directory; name one, or one to be made") from None
    except OSError as error:
        raise ConfigurationError(
            f"FileKeyStore: {path} cannot be made or read: {error.strerror}; name a directory that this user may make"
        ) from error
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            f"FileKeyStore: {path} belongs to user {status.st_uid}, who could put other keys there; name a directory of"
            f" this user's own, say {path / 'oidcbridge'}"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:  # also where it is sticky: what lies there may be laid there by others
        raise ConfigurationError(
            f"FileKeyStore: others may write into {path}, and so put other keys there: chmod go-w {path}, or name a"
            f" directory below it, say {path / 'oidcbridge'}, which is then made for this user alone"
        )
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"FileKeyStore: this user may not write into {path}; change that, or name another")


def open_own(path: Path, flags: int) -> int:
    """A descriptor of the regular file at ``path``, which is ours and nobody else's to write.

    Raises `KeyStoreError` with ``ignored=True`` for what is something else, and `OSError`.
    """
    with ExitStack() as stack:
        try:
            # Non-blocking: a pipe laid there would hold us until somebody writes into it.
            flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):  # what O_NOFOLLOW says, by system
                raise KeyStoreError(f"{path} is not used: it is a symbolic link; remove it", ignored=True) from None
            raise
        stack.callback(os.close, descriptor)
        fault = _why_not_ours(os.fstat(descriptor))
        if fault is not None:
            raise KeyStoreError(f"{path} is not used: {fault}; remove it", ignored=True)
        stack.pop_all()
        return descriptor


def _why_not_ours(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}"
    if status.st_mode & _OTHERS_MAY_WRITE:
        return "others may write to it"
    if status.st_nlink > 1:  # none: it has been replaced since it was opened
        return "it has another name too, by which others may have brought it here (a hard link)"
    return None


def read_own(path: Path, limit: int) -> bytes | None:
    """The whole file at ``path``, or None. Raises like `open_own`, and for one of more than ``limit`` bytes."""
    try:
        descriptor = open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise KeyStoreError(f"{path} is not used: it has more than {limit} bytes; remove it", ignored=True)
    return data


def replace_own(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``: a reader sees what was there or all of it, never a part. Raises `OSError`."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with ExitStack() as stack:
        stack.callback(temporary.unlink, missing_ok=True)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)  # else the name could outlive a power failure, and its content not
        os.replace(temporary, path)


def sweep_temporaries(directory: Path) -> None:
    """Remove what writers that were killed have left half-written."""
    for path in filter(lambda path: _TEMPORARY.fullmatch(path.name), directory.glob("*.tmp")):
        with suppress(OSError):  # another worker sweeps too
            if time.time() - path.lstat().st_mtime > _ABANDONED_AFTER:
                path.unlink()


class OwnLock:
    """An open file that at most one open file in all processes holds locked (flock).

    The lock ends with `release`, and with the process that took it, however that ends: a forked child has the same
    open file, and lets go of it first of all.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, not locked yet. Raises `OSError`, and `KeyStoreError` for a file that is not ours."""
        try:
            self.descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        except KeyStoreError as error:
            raise KeyStoreError(str(error)) from None  # no entry is ignored: the store cannot be used
        self._close = weakref.finalize(self, os.close, self.descriptor)
        _locks.add(self)

    def take(self) -> bool:
        """Take the lock, if it is free. Raises `OSError`."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go of lock and file; a second call does nothing."""
        if self._close.alive:
            # Said, not left to the closing: a child that was forked this moment may have the open file still.
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            self._close()

    def drop_in_child(self) -> None:
        """Close the file alone: to unlock it would unlock the parent's, which is the same."""
        self._close()


_locks: weakref.WeakSet[OwnLock] = weakref.WeakSet()


def _drop_locks_in_child() -> None:
    for lock in list(_locks):
        lock.drop_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_locks_in_child)
