"""Serving the fake issuer on loopback: real HTTP/1.1 over a real socket, for whoever can only be given a URL."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing.responses import FakeResponse

if TYPE_CHECKING:
    from oidcbridge.testing.fake_issuer import FakeIssuer

_MAX_BODY = 64 * 1024  # bytes; a token request is a few hundred


class LoopbackServer:
    """A fake issuer's HTTP server; ``FakeIssuer.serve`` makes it, ``with`` or ``start`` starts it.

    ``stop`` closes the port and every open connection, so that clients are refused as by a machine that is switched
    off; ``start`` opens the same port again. Both do nothing where there is nothing to do. Threads are daemons.
    """

    def __init__(self, issuer: FakeIssuer, host: str, port: int) -> None:
        if not _is_loopback(host):
            raise ConfigurationError(f"a fake issuer is served on loopback only, not on {host!r}; use 127.0.0.1")
        self.host = host
        self.port = port
        self._issuer = issuer
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://HOST:PORT``; the port is 0 until the first start chose a free one."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Open the port and answer on it; raises ``OSError`` where it is taken."""
        if self._server is not None:
            return
        self._server = _Server((self.host, self.port), self._issuer)
        self.port = self._server.server_port
        self._issuer.settle(self.url)
        # The polling interval bounds how long stop() waits.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="oidcbridge-fake-issuer", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the port and all connections, and wait until that is done."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"LoopbackServer({self.url!r}, {'stopped' if self._server is None else 'running'})"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the standard library's 5 drops connections when a test sends a burst

    def __init__(self, address: tuple[str, int], issuer: FakeIssuer) -> None:
        self.issuer = issuer
        self._connections: set[Any] = set()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        # Not HTTPServer's own: it asks DNS for the host's name, which may leave the machine and take seconds.
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in self._connections.copy():
            with suppress(OSError):  # its own thread or the client was quicker
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up, or our own stop(), is no news; anything else is a bug and keeps its traceback.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """One client connection; speaks HTTP/1.1 with keep-alive."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "FakeIssuer"
    sys_version = ""
    wbufsize = -1  # head and body leave in one packet: two would cost 40 ms with delayed ACKs

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isdecimal() and int(length) <= _MAX_BODY):
            self.close_connection = True  # the body stays unread, so nothing after it could be understood
            self._send(FakeResponse(413))
            return
        body = self.rfile.read(int(length))
        issuer = self.server.issuer
        issuer.record_arrival(self.path)
        time.sleep(issuer.slow)
        if issuer.down:
            self.close_connection = True
            return
        self._send(issuer.handle(self.command, self.path, dict(self.headers.items()), body))

    def _send(self, response: FakeResponse) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in {204, 304}:  # they have no body to measure (RFC 9110 section 6.4.1)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if response.status not in {204, 304}:
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet: the request log of a fake belongs in no test's output."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
