"""The table of paths through a real server: bytes on a socket, and the scopes that it makes of them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.testing import FakeIssuer
from tests.asgi.targets import TARGETS, Target
from tests.asgi.test_path_table import PREFLIGHT, Shape, judge, plain

UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "GET": ("GET", ()),
    "HEAD": ("HEAD", ()),
    "preflight": ("OPTIONS", tuple(f"{name}: {value}" for name, value in PREFLIGHT)),
    "websocket": ("GET", UPGRADE),
}


class Served(NamedTuple):
    """A site behind a real server, and the scopes that the server made."""

    port: int
    root_path: str
    shape: Shape
    scopes: list[Scope]


class Recorder:
    """Outermost: keeps each scope as the server made it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.scopes.append(dict(scope))
        await self.app(scope, receive, send)


@contextmanager
def served(app: ASGIApp, root_path: str) -> Iterator[int]:
    """Run ``app`` below ``root_path`` on a free port of 127.0.0.1; gives the port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, root_path=root_path, ws="websockets-sansio", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        give_up = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < give_up, "the server did not start"
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module", params=["", "/api"])
def server(issuer: FakeIssuer, request: pytest.FixtureRequest) -> Iterator[Served]:
    shape = plain(issuer)
    recorder = Recorder(shape.app)
    with served(recorder, request.param) as port:
        yield Served(port, request.param, shape, recorder.scopes)


def send(port: int, target: Target, kind: str, *headers: str) -> int:
    """The status that a request of exactly these bytes is answered with."""
    method, own = KINDS[kind]
    connection_close = () if kind == "websocket" else ("Connection: close",)
    lines = [f"{method} ".encode() + target.written + b" HTTP/1.1", b"Host: x/health?"]
    lines += [line.encode() for line in (*own, *connection_close, *headers)]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", b""]))
        received = connection.recv(4096)
    return int(received.split(b" ", 2)[1])


def is_one_vchar_word(target: Target) -> bool:
    """RFC 9112 section 3: the others end at the server, with a 400."""
    return bool(target.written) and all(0x21 <= byte <= 0x7E for byte in target.written)


SENDABLE = [target for target in TARGETS if is_one_vchar_word(target)]


@pytest.mark.parametrize(
    ("kind", "credential"), [("GET", "no"), ("GET", "good"), ("HEAD", "no"), ("preflight", "no"), ("websocket", "no")]
)
def test_what_holds_in_process_holds_on_the_wire(
    issuer: FakeIssuer, server: Served, kind: str, credential: str
) -> None:
    headers = [f"Authorization: Bearer {issuer.mint('ada')}"] if credential == "good" else []
    root_path, shape = server.root_path, server.shape
    reached: set[str] = set()
    for target in SENDABLE:
        shape.ran.clear()
        server.scopes.clear()
        status = send(server.port, target, kind, *headers)
        assert status in {101, 200, 307, 401, 403, 404, 405}, (target, status)
        (scope,) = server.scopes
        made = (scope["path"], scope["raw_path"], scope["query_string"])
        assert made == (root_path + target.path, root_path.encode() + target.raw_path, target.query)
        assert [*judge(shape, kind, credential, target)] == [], target
        reached |= {name for name, _ in shape.ran}
    everything = kind == "preflight" or credential == "good"
    assert reached == (shape.all if everything else shape.public), "else this has shown nothing"


def test_targets_that_are_no_word_end_at_the_server(server: Served) -> None:
    server.scopes.clear()
    tried = [target for target in TARGETS if target not in SENDABLE]
    for target in (*tried, *map(Target, (b"/health\t", b"/health /admin", b"/health\0", b"/health\x7f", b""))):
        assert send(server.port, target, "GET") == 400, target
    assert server.scopes == []
