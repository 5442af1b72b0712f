"""The one door out: what it fetches, what it refuses, and that nothing behind it can hold it open."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from oidcbridge._version import __version__
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import ProviderError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import Answer, fetch
from oidcbridge.remote.refresher import Refresher
from tests.remote.hostile import (
    PATIENCE,
    HostileServer,
    Script,
    answer,
    drip_body,
    drip_head,
    endless_chunks,
    hang_up,
    silence,
)

CAP = FetchOptions().max_bytes
IMPATIENT = FetchOptions(deadline=0.4)


def get(url: str, options: FetchOptions | None = None, *, etag: str | None = None) -> Answer:
    return asyncio.run(fetch(url, options or FetchOptions(), etag=etag))


def refused(url: str, options: FetchOptions | None = None, *, etag: str | None = None) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(url, options, etag=etag)
    return caught.value


@pytest.fixture(scope="module", autouse=True)
def _tls_settings_are_loaded() -> None:
    """The first client of a process reads the system's certificates, which would count against short deadlines."""
    with HostileServer(answer()) as server:
        get(server.url)


def test_a_good_answer_comes_back_with_its_body_and_lower_case_header_names() -> None:
    with HostileServer(answer(b'{"keys": []}', headers={"ETag": '"v1"', "Cache-Control": "max-age=60"})) as server:
        got = get(f"{server.url}/jwks")
    assert (got.status, got.body) == (200, b'{"keys": []}')
    assert (got.headers["etag"], got.headers["cache-control"]) == ('"v1"', "max-age=60")


def test_a_request_says_who_asks_and_for_what_and_carries_no_cookie() -> None:
    with HostileServer(answer(headers={"Set-Cookie": "session=1"})) as server:
        get(f"{server.url}/jwks?page=1")
        get(f"{server.url}/jwks", FetchOptions(user_agent="acme-agent/7"))
    first, second = server.requests
    assert first.target == "/jwks?page=1"
    assert first.headers["user-agent"] == f"oidcbridge/{__version__}"  # firewalls refuse the clients' own names
    assert second.headers["user-agent"] == "acme-agent/7"
    assert "application/json" in first.headers["accept"]
    assert "cookie" not in second.headers


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 303, 307, 308, 400, 401, 403, 404, 410, 429, 500, 503])
def test_any_status_but_200_is_a_failure_and_no_redirect_is_followed(status: int) -> None:
    with HostileServer(answer(b"{}")) as elsewhere:
        headers = {"Location": f"{elsewhere.url}/keys", "Retry-After": "7"}
        with HostileServer(answer(b"", status=status, headers=headers)) as server:
            error = refused(server.url)
        assert (error.kind, error.status, error.retry_after_header) == ("status", status, "7")
        assert ("redirects are not followed" in str(error)) == (300 <= status < 400)
        assert len(server.requests) == 1
        assert elsewhere.requests == []
        assert get(elsewhere.url).status == 200


def test_304_is_an_answer_only_to_a_conditional_request() -> None:
    with HostileServer(answer(b"", status=304)) as server:
        got = get(server.url, etag='"v1"')
        assert (got.status, got.body) == (304, b"")
        assert server.requests[0].headers["if-none-match"] == '"v1"'
        assert refused(server.url).status == 304
        assert "if-none-match" not in server.requests[-1].headers


def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not() -> None:
    with HostileServer(answer(b" " * CAP)) as server:
        assert len(get(server.url).body) == CAP
        server.otherwise = answer(b" " * (CAP + 1))
        assert refused(server.url).kind == "too_large"


def test_an_endless_chunked_body_is_left_at_the_cap() -> None:
    with HostileServer(endless_chunks) as server:
        assert refused(server.url).kind == "too_large"


def test_a_gzip_bomb_is_left_at_the_cap_and_never_unfolds_in_memory() -> None:
    bomb = gzip.compress(b" " * 30_000_000)
    assert len(bomb) < CAP
    with HostileServer(answer(bomb, headers={"Content-Encoding": "gzip"})) as server:
        tracemalloc.start()
        try:
            error = refused(server.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error.kind == "too_large"
    assert peak < 8_000_000


def test_an_honest_gzip_body_is_unfolded_and_measured_as_such() -> None:
    with HostileServer(answer(gzip.compress(b'{"keys": []}'), headers={"Content-Encoding": "gzip"})) as server:
        assert get(server.url).body == b'{"keys": []}'
        server.otherwise = answer(gzip.compress(b" " * CAP), headers={"Content-Encoding": "gzip"})
        assert len(get(server.url).body) == CAP


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"not gzip", "gzip"),
        (gzip.compress(b"{}" * 100)[:-9], "gzip"),
        (b"", "gzip"),
        (b"{}", "br"),
        (b"{}", "deflate"),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
    ],
)
def test_an_encoding_that_lies_or_was_not_asked_for_is_a_failure(body: bytes, encoding: str) -> None:
    with HostileServer(answer(body, headers={"Content-Encoding": encoding})) as server:
        assert refused(server.url).kind == "encoding"


@pytest.mark.parametrize("script", [silence, drip_head, drip_body])
def test_the_deadline_is_wall_clock_whatever_the_wire_does(script: Script) -> None:
    with HostileServer(script) as server:
        started = time.monotonic()
        error = refused(server.url, IMPATIENT)
        assert 0.35 < time.monotonic() - started < 1.5
        assert error.kind == "timeout"
        server.otherwise = answer(b'{"keys": []}')
        assert get(server.url).status == 200


def test_a_listener_that_never_accepts_is_left_at_the_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]  # they fill the queue, and nobody is let in
        try:
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            started = time.monotonic()
            error = refused(f"http://127.0.0.1:{port}", FetchOptions(deadline=5.0, connect_timeout=0.2))
        finally:
            for one in crowd:
                one.close()
    assert error.kind == "timeout"
    assert time.monotonic() - started < 2.0


def test_a_connection_that_breaks_before_the_answer_is_tried_once_more() -> None:
    with HostileServer(hang_up) as server:
        assert refused(server.url).kind == "protocol"
        assert len(server.requests) == 2

    with HostileServer(hang_up) as server:

        def hang_up_once(_request: object) -> None:
            server.otherwise = answer(b'{"keys": []}')

        server.otherwise = hang_up_once
        assert get(server.url).body == b'{"keys": []}'


def test_an_answer_that_breaks_off_in_its_body_is_a_failure_and_is_not_asked_for_again() -> None:
    with HostileServer(answer(b'{"keys": [', length=1000)) as server:
        error = refused(server.url)
        assert len(server.requests) == 1
        assert error.kind in {"protocol", "reset"}


def test_words_that_are_no_http_are_a_failure() -> None:
    with HostileServer(lambda request: request.send(b"SSH-2.0-OpenSSH_9.6\r\n")) as server:
        assert refused(server.url).kind == "protocol"


def test_a_closed_port_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refused(f"http://127.0.0.1:{port}")
    assert error.kind == "refused"
    assert isinstance(error, ProviderError)
    assert str(port) in str(error)


def test_a_client_of_the_users_own_keeps_none_of_its_freedoms() -> None:
    with HostileServer(answer()) as elsewhere:
        built: list[httpx2.AsyncClient] = []

        def build() -> httpx2.AsyncClient:
            client = httpx2.AsyncClient(
                follow_redirects=True,
                cookies={"session": "1"},
                timeout=None,
                auth=("user", "pass"),
                headers={"X-Own": "1"},
            )
            built.append(client)
            return client

        options = FetchOptions(http_client=build, deadline=1.5)
        with HostileServer(answer()) as server:
            assert get(server.url, options).status == 200
            assert server.requests[0].headers["x-own"] == "1"
            assert "cookie" not in server.requests[0].headers
            assert "authorization" not in server.requests[0].headers
            server.otherwise = answer(b"", status=302, headers={"Location": elsewhere.url})
            assert refused(server.url, options).status == 302
            server.otherwise = endless_chunks
            assert refused(server.url, options).kind == "too_large"
            server.otherwise = silence
            assert refused(server.url, options).kind == "timeout"
        assert elsewhere.requests == []
    assert len(built) == 4
    assert all(client.is_closed for client in built)


@pytest.fixture
def background() -> Iterator[Refresher]:
    own = Refresher()
    yield own
    own.stop()


def fetch_on(background: Refresher, url: str, options: FetchOptions) -> Answer | ProviderError:
    """Fetch on a background loop, where names are looked up in threads that can be abandoned."""
    ended = threading.Event()
    outcome: list[Answer | ProviderError] = []

    async def job() -> None:
        try:
            outcome.append(await fetch(url, options))
        except ProviderError as error:
            outcome.append(error)
        finally:
            ended.set()

    background.run(job)
    assert ended.wait(PATIENCE)
    return outcome[0]


def test_a_name_that_nobody_knows_is_a_failure_of_its_own_kind(
    background: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_knows(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("oidcbridge.remote.refresher.socket.getaddrinfo", nobody_knows)
    error = fetch_on(background, "https://idp.example", FetchOptions())
    assert isinstance(error, FetchError)
    assert error.kind == "dns"


def test_a_name_server_that_never_answers_is_left_at_the_deadline_and_holds_up_nobody(
    background: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    look_up = socket.getaddrinfo

    def hang_for_one_name(host: str | bytes, *args: Any, **options: Any) -> object:
        if host in ("idp.example", b"idp.example"):
            answered.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(host, *args, **options)

    monkeypatch.setattr("oidcbridge.remote.refresher.socket.getaddrinfo", hang_for_one_name)
    with HostileServer(answer()) as server:
        error = fetch_on(background, "https://idp.example", IMPATIENT)
        assert isinstance(error, FetchError)
        assert error.kind == "timeout"
        good = fetch_on(background, server.url, FetchOptions())
        assert isinstance(good, Answer)
    answered.set()
