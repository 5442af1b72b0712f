"""Names that a stranger had a say in: looked up, checked, and connected to at the very address that was checked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from oidcbridge import ConfigurationError, DynamicIssuers, Verifier
from oidcbridge.core.addresses import AddressRule
from oidcbridge.core.policy import FetchOptions
from oidcbridge.errors import KeysUnavailableError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import Answer, fetch, serve_in_process
from tests.remote.hostile import HeldIssuer, HostileServer, answer, hang_up
from tests.remote.test_tls import Authority

PUBLIC_ONLY = FetchOptions(addresses=AddressRule(), deadline=2.0)
#: The one address that stands for the public internet here; the rest of this machine stands for the inside.
OUTSIDE = FetchOptions(addresses=AddressRule((ip_network("127.0.0.1/32"),)), deadline=2.0)

Resolve = Callable[[str, list[str]], list[str]]


def get(url: str, options: FetchOptions) -> Answer:
    return asyncio.run(fetch(url, options))


def refusal(url: str, options: FetchOptions) -> FetchError:
    with pytest.raises(FetchError) as caught:
        get(url, options)
    return caught.value


class NameServer:
    """Answers ``socket.getaddrinfo``: each name's addresses, one set for each look-up; the last stays."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: object, *_: object, **__: object) -> list[Any]:
        self.asked.append(host)
        answers = self.addresses.get(host, [[host]])
        return [_entry(address) for address in (answers.pop(0) if len(answers) > 1 else answers[0])]


def _entry(address: str) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, 0)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    return server


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a connection was tried to; only this machine is really connected to."""
    tried: list[str] = []
    connect = asyncio.BaseEventLoop.create_connection

    async def create_connection(self: Any, factory: Any, host: Any = None, *args: Any, **options: Any) -> Any:
        tried.append(host)
        assert host.startswith(("127.", "::1")), f"a connection to {host}"
        return await connect(self, factory, host, *args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create_connection)
    return tried


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer(answer(b'{"keys": []}')) as server:
        yield server


def port_of(server: HostileServer) -> str:
    return server.url.rpartition(":")[2]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
        ["fe80::1%eth0"],
        ["8.8.8.8", "10.0.0.1"],
        ["2606:4700::1111", "::ffff:169.254.169.254"],
    ],
)
def test_a_name_that_leads_inside_with_any_of_its_addresses_is_refused_before_a_connection(
    names: NameServer, connections: list[str], addresses: list[str]
) -> None:
    names.addresses["id.tenant.test"] = [addresses]
    error = refusal("https://id.tenant.test/jwks", PUBLIC_ONLY)
    assert error.kind == "address"
    assert "id.tenant.test leads to" in str(error)
    assert "allowed_networks" in str(error)
    assert connections == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:a00:1]", "localhost"])
def test_an_address_in_the_url_itself_is_judged_like_a_name_s(connections: list[str], host: str) -> None:
    assert refusal(f"http://{host}:8080/jwks", PUBLIC_ONLY).kind == "address"
    assert connections == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001"])
def test_a_number_in_an_old_spelling_is_judged_by_where_it_leads(connections: list[str], host: str) -> None:
    assert refusal(f"http://{host}/jwks", PUBLIC_ONLY).kind in ("address", "dns", "url")
    assert connections == []


def test_an_allowed_address_is_connected_to_under_the_name_that_was_asked_for(
    names: NameServer, connections: list[str], server: HostileServer
) -> None:
    names.addresses["id.tenant.test"] = [["127.0.0.1"]]
    assert get(f"http://id.tenant.test:{port_of(server)}/jwks", OUTSIDE).body == b'{"keys": []}'
    assert server.requests[0].headers["host"] == f"id.tenant.test:{port_of(server)}"
    assert (names.asked, connections) == (["id.tenant.test"], ["127.0.0.1"])


def test_an_internationalised_name_is_looked_up_as_it_is_written(names: NameServer, server: HostileServer) -> None:
    # Decoded it is "straße.test", and Python would encode that as "strasse.test".
    names.addresses["xn--strae-oqa.test"] = [["127.0.0.1"]]
    assert get(f"http://xn--strae-oqa.test:{port_of(server)}/jwks", OUTSIDE).status == 200
    assert names.asked == ["xn--strae-oqa.test"]
    assert server.requests[0].headers["host"] == f"xn--strae-oqa.test:{port_of(server)}"


def test_a_name_that_changes_between_check_and_connection_changes_nothing(
    names: NameServer, connections: list[str], server: HostileServer
) -> None:
    names.addresses["id.tenant.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    assert get(f"http://id.tenant.test:{port_of(server)}/jwks", OUTSIDE).status == 200
    assert (names.asked, connections) == (["id.tenant.test"], ["127.0.0.1"])  # the second answer was never asked for


def test_the_second_try_of_a_fetch_is_checked_like_the_first(names: NameServer, connections: list[str]) -> None:
    names.addresses["id.tenant.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    with HostileServer(hang_up) as server:
        error = refusal(f"http://id.tenant.test:{port_of(server)}/jwks", OUTSIDE)
    assert (error.kind, len(server.requests)) == ("address", 1)
    assert connections == ["127.0.0.1"]


def test_where_one_address_is_dead_the_next_one_is_tried(
    names: NameServer, connections: list[str], server: HostileServer
) -> None:
    options = FetchOptions(addresses=AddressRule((ip_network("127.0.0.0/8"),)))
    names.addresses["id.tenant.test"] = [["127.0.0.9", "127.0.0.1"]]
    assert get(f"http://id.tenant.test:{port_of(server)}/jwks", options).status == 200
    assert connections == ["127.0.0.9", "127.0.0.1"]


def test_a_name_with_very_many_addresses_costs_few_connections(names: NameServer, connections: list[str]) -> None:
    options = FetchOptions(addresses=AddressRule((ip_network("127.0.0.0/8"),)))
    names.addresses["id.tenant.test"] = [[f"127.0.1.{n}" for n in range(1, 100)]]
    assert refusal("http://id.tenant.test:9/jwks", options).kind == "refused"
    assert len(connections) == 8  # four, and four again for the fetch's second try


def test_an_ipv6_address_is_pinned_as_well(names: NameServer, connections: list[str]) -> None:
    names.addresses["id.tenant.test"] = [["::1"]]
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    async def main() -> Answer:
        async with await asyncio.start_server(serve, "::1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            options = FetchOptions(addresses=AddressRule((ip_network("::1/128"),)))
            return await fetch(f"http://id.tenant.test:{port}/jwks", options)

    names.addresses["::1"] = [["::1"]]
    assert asyncio.run(main()).body == b"{}"
    assert b"id.tenant.test" in seen[0]
    assert connections == ["::1"]


class NamingAuthority(Authority):
    """Signs for names too."""

    def context_for(self, name: str, asked: list[str | None]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair(name, x509.SubjectAlternativeName([x509.DNSName(name)])).together)
        context.set_servername_callback(lambda _socket, server_name, _context: asked.append(server_name))
        return context


@pytest.mark.parametrize(("certified", "kind"), [("id.tenant.test", None), ("id.other.test", "tls")])
def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    tmp_path: Path, names: NameServer, certified: str, kind: str | None
) -> None:
    names.addresses["id.tenant.test"] = [["127.0.0.1"]]
    authority, asked = NamingAuthority(tmp_path, "acme-ca"), list[str | None]()
    options = FetchOptions(addresses=OUTSIDE.addresses, ca_file=str(authority.file))
    with HostileServer(answer(b"{}"), tls=authority.context_for(certified, asked)) as server:
        url = f"https://id.tenant.test:{port_of(server)}/jwks"
        if kind is None:
            assert get(url, options).body == b"{}"
        else:
            assert refusal(url, options).kind == kind
    assert set(asked) == {"id.tenant.test"}


def test_no_proxy_of_the_environment_is_used_it_would_look_names_up_by_itself(
    names: NameServer, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.addresses["id.tenant.test"] = [["127.0.0.1"]]
    with HostileServer(answer(b'{"proxied": true}')) as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        assert get(f"http://id.tenant.test:{port_of(server)}/jwks", OUTSIDE).body == b'{"keys": []}'
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("name", "fetch_options"),
    [("proxy", {"proxy": "http://127.0.0.1:3128"}), ("http_client", {"http_client": httpx2.AsyncClient})],
)
def test_a_client_or_proxy_that_looks_names_up_by_itself_does_not_go_with_dynamic_issuers(
    name: str, fetch_options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=rf"FetchOptions\({name}=\) and DynamicIssuers exclude each other"):
        Verifier(
            issuers=DynamicIssuers(allow="https://id.test/{tenant}", audience="agent-api"),
            fetch=FetchOptions(**fetch_options),
        )


def test_an_origin_that_is_served_in_process_is_not_looked_up(names: NameServer) -> None:
    def respond(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    with serve_in_process("https://id.tenant.test", httpx2.MockTransport(respond)):
        assert get("https://id.tenant.test/jwks", PUBLIC_ONLY).body == b"{}"
    assert names.asked == []


def everybody(_issuer: str) -> bool:
    return True


def test_a_tenant_on_a_network_that_is_not_named_is_refused_and_on_one_that_is_accepted() -> None:
    issuer = HeldIssuer()
    with issuer.serve():
        with Verifier(issuers=DynamicIssuers(allow=everybody, audience="agent-api")) as verifier:
            with pytest.raises(KeysUnavailableError, match="no public address"):
                verifier.verify_now(issuer.mint("ada"))
            assert issuer.fetches.total() == 0
        opened = DynamicIssuers(allow=everybody, audience="agent-api", allowed_networks=["127.0.0.0/8"])
        with Verifier(issuers=opened) as verifier:
            assert verifier.verify_now(issuer.mint("ada")).user_id.endswith(":ada")


def test_a_discovery_document_cannot_lead_inside_by_its_jwks_uri(
    names: NameServer, connections: list[str], server: HostileServer
) -> None:
    names.addresses["keys.tenant.test"] = [["127.0.0.2"]]
    issuer = HeldIssuer()
    with issuer.serve():
        inside = f"https://keys.tenant.test:{port_of(server)}/jwks"
        issuer.discovery_override = f'{{"issuer": "{issuer.issuer_url}", "jwks_uri": "{inside}"}}'.encode()
        tenants = DynamicIssuers(allow=everybody, audience="agent-api", allowed_networks=["127.0.0.1"])
        with (
            Verifier(issuers=tenants) as verifier,
            pytest.raises(KeysUnavailableError, match=r"keys\.tenant\.test leads to '127\.0\.0\.2'"),
        ):
            verifier.verify_now(issuer.mint("ada"))
    assert set(connections) == {"127.0.0.1"}
    assert server.requests == []


@pytest.mark.parametrize("jwks_uri", ["http://keys.tenant.test/jwks", "file:///etc/passwd", "https://u@keys.test/", 7])
def test_a_jwks_uri_that_is_no_https_url_is_refused_unasked(names: NameServer, jwks_uri: object) -> None:
    issuer = HeldIssuer()
    with issuer.serve():
        said = f'"{jwks_uri}"' if isinstance(jwks_uri, str) else jwks_uri
        issuer.discovery_override = f'{{"issuer": "{issuer.issuer_url}", "jwks_uri": {said}}}'.encode()
        tenants = DynamicIssuers(allow=everybody, audience="agent-api", allowed_networks=["127.0.0.1"])
        with Verifier(issuers=tenants) as verifier, pytest.raises(KeysUnavailableError, match="jwks_uri"):
            verifier.verify_now(issuer.mint("ada"))
    assert set(names.asked) == {"127.0.0.1"}
