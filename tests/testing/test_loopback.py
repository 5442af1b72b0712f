"""The fake issuer as a real HTTP server on loopback."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx2
import pytest

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeClient, FakeIssuer


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer(url=None, algorithms=("ES256",), clients=[FakeClient("agent-svc", "svc-secret")])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_servers_address_becomes_the_issuer_and_discovery_leads_to_the_keys(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        assert issuer.issuer_url == server.url == f"http://127.0.0.1:{server.port}"
        discovery = httpx2.get(f"{issuer.issuer_url}/.well-known/openid-configuration").json()
        assert discovery["issuer"] == issuer.issuer_url
        assert httpx2.get(discovery["jwks_uri"]).json() == issuer.jwks()
        assert httpx2.get(f"{server.url}/nope").status_code == 404
    assert issuer.fetches == {"discovery": 1, "jwks": 1, "token": 0}


def test_a_token_is_had_by_post_over_the_wire(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        form = {"grant_type": "client_credentials", "client_id": "agent-svc", "client_secret": "svc-secret"}
        answer = httpx2.post(f"{server.url}/token", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["access_token"].count(".") == 2


def test_connections_are_kept_alive_and_answers_do_not_stall(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        for _ in range(20):
            connection.request("GET", "/jwks")
            answer = connection.getresponse()
            assert json.loads(answer.read()) == issuer.jwks()
            assert not answer.will_close
        connection.close()
    assert issuer.fetches["jwks"] == 20


def test_counting_is_exact_under_many_threads(issuer: FakeIssuer) -> None:
    with issuer.serve() as server, httpx2.Client() as client, ThreadPoolExecutor(8) as pool:
        codes = set(pool.map(lambda _: client.get(f"{server.url}/jwks").status_code, range(120)))
    assert codes == {200}
    assert issuer.fetches["jwks"] == 120


def test_a_stopped_server_refuses_connections_and_comes_back_on_the_same_port(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        url = f"{server.url}/jwks"
        with httpx2.Client() as client:
            assert client.get(url).status_code == 200
            server.stop()
            with pytest.raises(httpx2.TransportError):  # the connection kept alive is gone too
                client.get(url)
            with pytest.raises(httpx2.ConnectError):
                client.get(url)
            server.start()
            assert client.get(url).status_code == 200
        assert url.startswith(issuer.issuer_url)
    assert issuer.fetches["jwks"] == 2


def test_starting_twice_and_stopping_twice_do_no_harm(issuer: FakeIssuer) -> None:
    server = issuer.serve()
    assert repr(server) == "LoopbackServer('http://127.0.0.1:0', stopped)"
    server.stop()
    server.start()
    port = server.port
    server.start()
    assert server.port == port
    assert repr(server) == f"LoopbackServer('http://127.0.0.1:{port}', running)"
    assert httpx2.get(f"{server.url}/jwks").status_code == 200
    server.stop()
    server.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "oidcbridge-fake-issuer"]


def test_an_issuer_served_again_keeps_its_address(issuer: FakeIssuer) -> None:
    with issuer.serve() as first:
        pass
    with issuer.serve() as second:
        assert second.url == first.url == issuer.issuer_url
        assert httpx2.get(f"{second.url}/jwks").status_code == 200


def test_while_down_the_connection_closes_without_an_answer(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        with issuer.outage(), pytest.raises(httpx2.RemoteProtocolError):
            httpx2.get(f"{server.url}/jwks")
        assert httpx2.get(f"{server.url}/jwks").status_code == 200
    assert issuer.fetches["jwks"] == 2


def test_slow_answers_run_into_the_clients_deadline(issuer: FakeIssuer) -> None:
    with issuer.serve() as server:
        issuer.slow = 0.4
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get(f"{server.url}/jwks", timeout=0.1)
        assert httpx2.get(f"{server.url}/jwks", timeout=3).status_code == 200


@pytest.mark.parametrize("status", [204, 304, 429, 500])
def test_every_status_leaves_the_connection_usable(issuer: FakeIssuer, status: int) -> None:
    with issuer.serve() as server, httpx2.Client() as client:
        issuer.status = status
        assert client.get(f"{server.url}/jwks").status_code == status
        issuer.status = None
        assert client.get(f"{server.url}/jwks").json() == issuer.jwks()


@pytest.mark.parametrize("length", ["x", "-1", "70000"])
def test_a_body_that_is_too_large_or_unmeasured_is_refused_unread(issuer: FakeIssuer, length: str) -> None:
    with issuer.serve() as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.putrequest("POST", "/token")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_a_client_that_hangs_up_leaves_no_trace_and_no_harm(
    issuer: FakeIssuer, capfd: pytest.CaptureFixture[str]
) -> None:
    with issuer.serve() as server:
        issuer.slow = 0.05
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # hang up by a reset
                client.sendall(b"GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n")
        assert httpx2.get(f"{server.url}/jwks").status_code == 200
    assert capfd.readouterr() == ("", "")


def test_a_url_with_an_address_is_served_there_and_nowhere_else() -> None:
    port = free_port()
    issuer = FakeIssuer(f"http://127.0.0.1:{port}/realms/a", algorithms=("ES256",))
    with issuer.serve() as server:
        assert server.port == port
        assert httpx2.get(f"{issuer.issuer_url}/jwks").json() == issuer.jwks()
    with pytest.raises(ConfigurationError, match=r"url=None.*impersonate"):
        issuer.serve(port=free_port())


def test_localhost_is_served_by_name() -> None:
    issuer = FakeIssuer(f"http://localhost:{free_port()}", algorithms=("ES256",))
    with issuer.serve():
        assert httpx2.get(f"{issuer.issuer_url}/jwks").json() == issuer.jwks()


@pytest.mark.parametrize("url", ["https://idp.test", "https://127.0.0.1:8443", "http://idp.test:8080"])
def test_a_url_elsewhere_cannot_be_served(url: str) -> None:
    with pytest.raises(ConfigurationError, match="impersonate"):
        FakeIssuer(url, algorithms=()).serve()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.0.1", "idp.test", "::"])
def test_only_loopback_addresses_are_bound(issuer: FakeIssuer, host: str) -> None:
    with pytest.raises(ConfigurationError, match="loopback only"):
        issuer.serve(host)


def test_a_taken_port_is_an_error_and_the_server_stays_startable(issuer: FakeIssuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = issuer.serve(port=other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.start()
    with server:
        assert httpx2.get(f"{server.url}/jwks").status_code == 200


def test_a_fault_of_the_issuer_itself_keeps_its_traceback(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with issuer.serve() as server:
        monkeypatch.setattr(issuer, "jwks", lambda: {"keys": object()})
        with pytest.raises(httpx2.RemoteProtocolError):
            httpx2.get(f"{server.url}/jwks")
    assert "TypeError: Object of type object is not JSON serializable" in capfd.readouterr().err
