"""Watches what this process asks of the machine: files, sockets, names, programs, code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Audit events (PEP 578) that the verification of a token has no business to cause, on any thread.
FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.gethostbyaddr", "socket.getnameinfo", "http.client.connect", "urllib.Request", "ftplib.connect",
    "open", "os.", "shutil.", "tempfile.", "glob.", "sqlite3.", "subprocess.", "pty.", "compile", "exec", "pickle.",
    "marshal.loads", "ctypes.", "code.__new__",
)  # fmt: skip

_listeners: list[list[str]] = []


def _hear(event: str, args: tuple[object, ...]) -> None:
    if _listeners and event.startswith(FORBIDDEN):
        for heard in _listeners:
            heard.append(f"{event} {args!r}"[:200])


_is_installed = False


@contextmanager
def watched() -> Iterator[list[str]]:
    """The events of the ``with``, as they come. A hook cannot be taken away again; outside it hears nothing."""
    global _is_installed  # noqa: PLW0603
    if not _is_installed:
        sys.addaudithook(_hear)
        _is_installed = True
    heard: list[str] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)
