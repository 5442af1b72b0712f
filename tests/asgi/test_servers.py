"""The same through a real server on loopback: what only bytes on a socket can show."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from oidcbridge import OIDCMiddleware, TokenSource
from oidcbridge.testing import FakeIssuer, auth_header
from tests.asgi.kit import Probe, guarded, serve_lifespan

WebSocketServer = Literal["websockets", "websockets-sansio"]


@contextmanager
def served(app: ASGIApp, ws: WebSocketServer = "websockets-sansio") -> Iterator[int]:
    """Run ``app`` on a free port of 127.0.0.1; gives the port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ws=ws, lifespan="on", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        give_up = time.monotonic() + 10
        while not server.started and thread.is_alive() and time.monotonic() < give_up:
            time.sleep(0.005)
        assert server.started, "the server did not start"
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def exchange(port: int, *lines: str) -> tuple[int, str]:
    """Send a request of exactly these lines; the status and the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        text = "\r\n".join([*lines, "Connection: close", "", ""])
        connection.sendall(text.encode("latin-1"))
        received = b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
    return int(received.split(" ", 2)[1]), received


@pytest.fixture(scope="module")
def port(issuer: FakeIssuer) -> Iterator[int]:
    app = guarded(issuer, token_source=TokenSource.BOTH, excluded_route_paths=["/health", "/public/*"])
    with served(app) as port:
        yield port


HOST = "Host: 127.0.0.1"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Authorization: Bearer {}"], 200),
        (["AUTHORIZATION: bearer {}"], 200),
        (["Authorization:Bearer {}"], 200),
        (["Authorization: \t Bearer {} "], 200),
        (["Authorization: Bearer {}", "Authorization: Bearer {}"], 400),
        (["Authorization: Bearer {}", "authorization: Basic eHg6eA=="], 400),
        (["Authorization: Bearer {}\r\n folded"], 400),
        (["Authorization: Bearer\r\n {}"], 200),  # the server joins the lines by a space (RFC 9112 section 5.2)
        (["Authorization : Bearer {}"], 400),
        (["Authorization: Bearer\t{}"], 400),
        (["Authorization: Bearer {}\xff"], 400),
        (["Authorization: Bearer {}\x00"], 400),
        (["Cookie: access_token={}", "Cookie: access_token={}"], 400),
        (["Cookie: a=1", "Cookie: access_token={}"], 200),
        (["Authorization: Basic eHg6eA==", "Cookie: access_token={}"], 401),
        (["X-Authorization: Bearer {}"], 401),
        ([], 401),
    ],
)
def test_headers_are_read_as_they_arrive(issuer: FakeIssuer, port: int, headers: list[str], status: int) -> None:
    token = issuer.mint("ada")
    sent = [header.replace("{}", token) for header in headers]
    assert exchange(port, "GET /x HTTP/1.1", HOST, *sent)[0] == status


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/health", 200),
        ("/public/a", 200),
        ("/public/a?x=/admin", 200),
        ("/health%0a", 401),
        ("/health%00", 401),
        ("/public/%2e%2e/admin", 401),
        ("/public/a%2fb", 401),
        ("/public/a%5cb", 401),
        ("/public/a%252fb", 401),
        ("/public//admin", 401),
        ("/admin?/health", 401),
        ("/admin%3f/health", 401),
        ("/admin%23/health", 401),
        ("http://evil.example/health", 401),
        ("health", 401),
        ("*", 401),
    ],
)
def test_targets_are_read_as_they_arrive(port: int, target: str, status: int) -> None:
    assert exchange(port, f"GET {target} HTTP/1.1", HOST)[0] == status
    assert exchange(port, f"GET {target} HTTP/1.1", "Host: x/health?")[0] == status


def test_a_refusal_is_whole_on_the_wire(port: int) -> None:
    status, received = exchange(port, "GET /x HTTP/1.1", HOST)
    head, _, body = received.partition("\r\n\r\n")
    assert (status, json.loads(body)["error"]) == (401, "missing_credential")
    assert "www-authenticate: Bearer\r\n" in head + "\r\n"
    assert "cache-control: no-store\r\n" in head + "\r\n"
    status, received = exchange(port, "HEAD /x HTTP/1.1", HOST)
    assert (status, received.partition("\r\n\r\n")[2]) == (401, "")
    assert f"content-length: {len(body)}" in received


def test_a_refused_upload_is_answered_before_its_body_is_sent(port: int) -> None:
    lines = ["POST /x HTTP/1.1", HOST, "Content-Length: 1000000", "Expect: 100-continue"]
    assert exchange(port, *lines)[0] == 401


@pytest.mark.parametrize(("proto", "status"), [(None, 403), ("http", 403), ("https", 200)])
def test_behind_a_proxy_that_ends_tls_our_own_origin_is_the_outer_one(
    issuer: FakeIssuer, port: int, proto: str | None, status: int
) -> None:
    cookie = f"Cookie: access_token={issuer.mint('ada')}"
    forwarded = [f"X-Forwarded-Proto: {proto}"] if proto else []
    lines = ["POST /x HTTP/1.1", HOST, cookie, "Origin: https://127.0.0.1", "Content-Length: 0", *forwarded]
    assert exchange(port, *lines)[0] == status


@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::uvicorn.config.UvicornDeprecationWarning")  # the older of the two serves many yet
def test_a_websocket_is_refused_with_an_http_answer_before_it_is_accepted(
    issuer: FakeIssuer, ws: WebSocketServer
) -> None:
    probe = Probe()
    with served(guarded(issuer, probe, token_source=TokenSource.BOTH), ws) as port:
        url, token = f"ws://127.0.0.1:{port}/x", issuer.mint("ada")
        refused: list[tuple[dict[str, str], int]] = [
            ({}, 401),
            (auth_header("abc"), 401),
            (auth_header("a b"), 400),
            ({"Cookie": f"access_token={token}"}, 403),
            ({"Cookie": f"access_token={token}", "Origin": "https://evil.example"}, 403),
        ]
        for headers, status in refused:
            with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers, proxy=None):
                pass
            response = caught.value.response
            assert response.status_code == status
            assert json.loads(response.body).keys() == {"detail", "error", "code"}
            assert (response.headers.get("WWW-Authenticate") is None) == (status == 403)
        assert probe.scopes == []
        own = {"Cookie": f"access_token={token}", "Origin": f"http://127.0.0.1:{port}"}
        for headers in (auth_header(token), own):
            with connect(url, additional_headers=headers, proxy=None) as accepted:
                assert json.loads(accepted.recv())["user_id"] == "ada"


def test_a_stream_reaches_the_client_event_by_event(issuer: FakeIssuer) -> None:
    read_first = threading.Event()
    waited: list[bool] = []

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await serve_lifespan(receive, send)
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: one\n\n", "more_body": True})
        waited.append(await asyncio.to_thread(read_first.wait, 5))
        await send({"type": "http.response.body", "body": b"data: two\n\n"})

    with served(guarded(issuer, stream)) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        authorization = f"Authorization: Bearer {issuer.mint('ada')}"
        client.sendall("\r\n".join(["GET / HTTP/1.1", HOST, authorization, "Connection: close", "", ""]).encode())
        received = b""
        while b"data: one" not in received:
            received += client.recv(65536)
        assert b"data: two" not in received
        read_first.set()
        received += b"".join(iter(lambda: client.recv(65536), b""))
    assert b"data: two" in received
    assert waited == [True]


def test_a_server_does_not_start_with_a_mistake_and_says_which(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    app = OIDCMiddleware(Probe(), issuer_url="https://idp.test")
    with pytest.raises(SystemExit):
        uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="on", log_config=None)).run()
    assert "oidcbridge: audience is missing" in caplog.text
