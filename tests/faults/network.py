"""The network between us and the provider: what we tried to reach, and a proxy."""

from __future__ import annotations

import errno
import select
import socket
import socketserver
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest

from tests.remote.hostile import PATIENCE


class Attempts(NamedTuple):
    """The addresses this process began to connect to, and the names it looked up, in order."""

    addresses: list[tuple[str, int]]
    names: list[str]


@contextmanager
def watched(hosts: Mapping[str, Sequence[str]] | None = None) -> Iterator[Attempts]:
    """Writes down what is tried inside the ``with``; nothing is let out of this machine.

    ``hosts`` are the only names that exist. Each look-up of a name is answered by its next entry, and the last one
    stands; an entry is an address, or several divided by blanks.
    """
    attempts = Attempts([], [])
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    answers = {name: list(entries) for name, entries in (hosts or {}).items()}

    def watched_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            attempts.addresses.append((address[0], address[1]))
            if not ip_address(address[0]).is_loopback:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return connect(self, address)

    def watched_look_up(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        attempts.names.append(name)
        left = answers.get(name)
        if left is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [found for address in addresses.split() for found in look_up(address, *args, **options)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", watched_connect)
        patch.setattr(socket, "getaddrinfo", watched_look_up)
        yield attempts


class TunnelProxy(socketserver.ThreadingTCPServer):
    """A proxy on loopback that connects whoever asks by CONNECT (RFC 9110 section 9.3.6) to one ``port`` here.

    ``asked``: the first lines of the requests, in order.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Tunnel)

    @property
    def url(self) -> str:
        """What goes into a proxy setting."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(socketserver.BaseRequestHandler):
    server: TunnelProxy
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = self.request.recv(1)
            if not data:
                return
            head += data
        self.server.asked.append(head.decode("latin-1").partition(" HTTP/")[0])
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as beyond, suppress(OSError):
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self._pump(beyond)

    def _pump(self, beyond: socket.socket) -> None:
        """Carry bytes both ways until one side ends."""
        other = {self.request: beyond, beyond: self.request}
        while ready := select.select(list(other), [], [], PATIENCE)[0]:
            for end in ready:
                data = end.recv(65_536)
                if not data:
                    return
                other[end].sendall(data)
