"""Providers on loopback that misbehave on purpose: raw bytes from a script, and a fake issuer that can be held.

A script is handed one request and decides what goes over the wire. Everything listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from oidcbridge.testing import FakeIssuer, FakeResponse

PATIENCE = 10.0  # seconds that a test waits for an event before it fails


class Request:
    """One request as it arrived, and the wire to answer it on."""

    def __init__(self, wire: socket.socket, head: bytes, ended: threading.Event) -> None:
        self._wire = wire
        self._ended = ended
        first, *lines = head.decode("latin-1").split("\r\n")
        self.target = first.split(" ")[1]
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def send(self, data: bytes) -> bool:
        """Send ``data``; False where the client has hung up."""
        try:
            self._wire.sendall(data)
        except OSError:
            return False
        return True

    def pause(self, seconds: float | None = None) -> bool:
        """Wait, at most until the server stops; True while it has not."""
        return not self._ended.wait(seconds)


Script = Callable[[Request], object]


def answer(
    body: bytes = b"{}", *, status: int = 200, headers: Mapping[str, str] | None = None, length: int | None = None
) -> Script:
    """An ordinary answer; ``length`` is a Content-Length that lies."""
    lines = {"Content-Length": str(len(body) if length is None else length), "Connection": "close", **(headers or {})}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return lambda request: request.send(head.encode("latin-1") + body)


def silence(request: Request) -> None:
    """Accept, read, and never say a word."""
    request.pause()


def drip_head(request: Request) -> None:
    """An answer whose headers never end, a byte at a time: each read succeeds, so per-read timeouts never fire."""
    request.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while request.pause(0.02) and request.send(b"a"):
        pass


def drip_body(request: Request) -> None:
    """The same with the body."""
    request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while request.pause(0.02) and request.send(b" "):
        pass


def endless_chunks(request: Request) -> None:
    """A chunked body that never ends, as fast as the wire takes it."""
    request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while request.send(chunk):
        pass


def hang_up(_request: Request) -> None:
    """Close the connection without an answer."""


class HostileServer:
    """Answers each request by the script of its path (or by ``otherwise``), in a thread of its own.

    ``requests`` lists what arrived. With ``tls`` it speaks https.
    """

    def __init__(self, otherwise: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.otherwise = otherwise
        self.routes: dict[str, Script] = {}
        self.requests: list[Request] = []
        self.arrived = threading.Semaphore(0)
        self._tls = tls
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """``http(s)://127.0.0.1:PORT``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def targets(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.target for request in self.requests]

    def wait_for_request(self) -> None:
        """Wait until one more request has arrived."""
        assert self.arrived.acquire(timeout=PATIENCE), "no request arrived"

    def _answer(self, wire: socket.socket) -> None:
        wire.settimeout(PATIENCE)
        with suppress(OSError):  # the client hangs up whenever it likes, and that is often what is tested
            if self._tls is not None:
                wire = self._tls.wrap_socket(wire, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                data = wire.recv(65536)
                if not data:
                    return
                head += data
            request = Request(wire, head.partition(b"\r\n\r\n")[0], self._ended)
            self.requests.append(request)
            self.arrived.release()
            self.routes.get(request.target, self.otherwise)(request)
        wire.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], answer_on: Callable[[socket.socket], None]) -> None:
        self.answer_on = answer_on
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.answer_on(request)


class HeldIssuer(FakeIssuer):
    """A fake issuer whose arrivals can be waited for, and whose key answers can be held back, to be served.

    ``hold()``: inside it, an answer is made when its request arrives and leaves when the ``with`` ends, as on a slow
    line: what it says may be out of date by then.
    """

    def __init__(self, *, algorithms: tuple[str, ...] = ("ES256",), **options: Any) -> None:
        self._arrival = threading.Condition()
        self._turnstile: threading.Semaphore | None = None
        self._held = 0
        super().__init__(url=None, algorithms=algorithms, **options)

    def record_arrival(self, target: str) -> None:
        super().record_arrival(target)
        with self._arrival:
            self._arrival.notify_all()

    def handle(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> FakeResponse:
        made = super().handle(method, target, headers, body)
        turnstile = self._turnstile
        if target.endswith("/jwks") and turnstile is not None:
            with self._arrival:
                self._held += 1
                self._arrival.notify_all()
            turnstile.acquire(timeout=PATIENCE)
        return made

    @contextmanager
    def hold(self) -> Iterator[Callable[[], None]]:
        """Hold key answers back inside the ``with``; calling its value lets one of them go."""
        turnstile = self._turnstile = threading.Semaphore(0)
        try:
            yield turnstile.release
        finally:
            self._turnstile = None
            turnstile.release(1000)

    def wait_until_held(self, count: int = 1) -> None:
        """Wait until ``count`` answers have been made and held back, ever."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: self._held >= count, PATIENCE), "no fetch was held"

    def wait_for_fetches(self, count: int, kind: str = "jwks") -> None:
        """Wait until ``count`` requests of that kind have arrived, ever."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: self.fetches[kind] >= count, PATIENCE), dict(self.fetches)
