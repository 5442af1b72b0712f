"""F: where our requests go, and where they never do."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import DiscoveryError
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.testing import Clock, FakeIssuer
from tests.faults.kit import health
from tests.faults.network import TunnelProxy, watched
from tests.faults.table import Row, scenario
from tests.faults.turncoat import OPENID, STALE, Turncoat, accepts, case, recovers, survives, turncoat
from tests.remote.asking import settle, unavailable
from tests.remote.hostile import HostileServer, Request, answer
from tests.remote.test_tls import Authority

METADATA_SERVICE = "http://169.254.169.254/latest/meta-data/"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "acme")


@pytest.fixture
def secure(clock: Clock, authority: Authority) -> Iterator[Turncoat]:
    """A provider that speaks https, by a certificate of the authority."""
    with HostileServer(answer(b"", status=404), tls=authority.server_context()) as server:
        yield Turncoat(server, clock)


@pytest.fixture
def trusting(authority: Authority) -> FetchOptions:
    return FetchOptions(ca_file=str(authority.file))


@pytest.fixture
def provider(clock: Clock) -> Iterator[Turncoat]:
    with turncoat(clock) as provider:
        yield provider


@scenario("F55")
def test_f55_no_redirect_is_followed_anywhere(secure: Turncoat, trusting: FetchOptions, row: Row) -> None:
    issuer = secure.issuer
    with HostileServer(answer(secure.lie())) as elsewhere, watched() as attempts:
        places = (
            elsewhere.url,
            elsewhere.url.replace("127.0.0.1", "localhost"),
            "https://keys.example/jwks",
            f"{secure.server.url}/jwks",
            "/jwks",
            METADATA_SERVICE,
        )
        redirects = [
            answer(secure.lie(), status=status, headers={"Location": place})
            for status in (301, 302, 303, 307, 308)
            for place in places
        ]
        with issuer.verifier(fetch=trusting) as verifier:
            settle(verifier)
            for redirect in redirects:
                assert "redirects are not followed" in str(survives(secure, verifier, redirect))
        for place in places:
            secure.server.routes[OPENID] = answer(b"{}", status=302, headers={"Location": place})
            with issuer.verifier(fetch=trusting) as verifier, pytest.raises(DiscoveryError, match="not followed"):
                settle(verifier)
        assert elsewhere.requests == []
        assert attempts.names == []
        assert set(attempts.addresses) == {("127.0.0.1", int(secure.server.url.rpartition(":")[2]))}
    assert secure.fetches == {"discovery": 1 + len(places), "jwks": 1 + 2 * len(redirects)}
    row.saw("each redirect was a failure, nobody else was asked", secure.fetches)


@scenario("F56")
def test_f56_a_discovered_jwks_uri_that_leads_astray_is_refused_without_a_request(provider: Turncoat, row: Row) -> None:
    """Another https origin is allowed, as Google and many more have it, and there is no stricter mode of discovery.

    Who wants one place and no other writes it as ``jwks_uri``: the document then has no say, which is what is tried.
    """
    with HostileServer(answer(provider.lie())) as elsewhere, watched() as attempts:
        evil = elsewhere.url.removeprefix("http://")
        astray = (
            "http://keys.example/jwks",
            METADATA_SERVICE,
            "file:///etc/passwd",
            f"data:application/json,{provider.lie().decode().replace(' ', '')}",
            f"ftp://{evil}/jwks",
            f"gopher://{evil}/jwks",
            f"http://user:pass@{evil}/jwks",
            f"https://127.0.0.1@{evil}/jwks",
            f"//{evil}/jwks",
            f"http://{evil}\\@127.0.0.1/jwks",
            f"{elsewhere.url}/jwks#127.0.0.1",
            "",
            None,
            [f"{elsewhere.url}/jwks"],
        )
        for jwks_uri in astray:
            with case(repr(jwks_uri)), provider.issuer.verifier() as verifier:
                provider.describe(jwks_uri=jwks_uri)
                with pytest.raises(DiscoveryError, match="jwks_uri"):
                    settle(verifier)
        assert provider.fetches == {"discovery": len(astray)}
        provider.describe(jwks_uri=f"{elsewhere.url}/jwks")
        with provider.issuer.verifier(jwks_uri=f"{provider.server.url}/jwks") as verifier:
            accepts(verifier, provider.issuer)
        assert elsewhere.requests == []
        assert attempts.names == []
        assert len(set(attempts.addresses)) == 1
    assert provider.fetches == {"discovery": len(astray), "jwks": 1}
    row.saw("each refused, nobody else was asked; jwks_uri= has the last word", provider.fetches)


@scenario("F57")
def test_f57_a_document_of_almost_the_same_issuer_is_refused(clock: Clock, row: Row) -> None:
    with HostileServer(answer(b"", status=404)) as server:
        provider = Turncoat(server, clock, path="/realms/acme")
        issuer = provider.issuer
        port = issuer.issuer_url.split(":")[2].partition("/")[0]
        others = (
            f"{issuer.issuer_url}/",
            issuer.issuer_url.replace("acme", "Acme"),
            issuer.issuer_url.replace("http", "HTTP", 1),
            issuer.issuer_url.replace("http", "https", 1),
            issuer.issuer_url.replace(f":{port}", ""),
            issuer.issuer_url.replace(f":{port}", f":0{port}"),
            issuer.issuer_url.replace("127.0.0.1", "localhost"),
            issuer.issuer_url.replace("acme", "%61cme"),
            f"{issuer.issuer_url} ",
        )
        for other in others:
            with case(other), issuer.verifier() as verifier:
                provider.describe(issuer=other)
                with pytest.raises(DiscoveryError, match="calls itself"):
                    settle(verifier)
                verifier.pause()  # or the timer would ask again a moment later
                assert "calls itself" in str(unavailable(verifier, issuer.mint("ada")))
        assert provider.fetches == {"discovery": len(others)}
        provider.be_honest()
        with issuer.verifier() as verifier:
            accepts(verifier, issuer)
        assert provider.fetches == {"discovery": len(others) + 1, "jwks": 1}
        row.saw("503 for each, its keys not asked for; the very issuer accepted", provider.fetches)


@scenario("F59")
def test_f59_authorities_and_proxies_of_ones_own_are_used_and_their_failures_survived(
    secure: Turncoat, authority: Authority, trusting: FetchOptions, tmp_path: Path, row: Row
) -> None:
    with secure.issuer.verifier(fetch=trusting) as verifier:
        settle(verifier)
        accepts(verifier, secure.issuer)
        survives_the_wrong_authority(secure, verifier, authority, tmp_path)
    in_front = secure.fetches
    survives_a_dead_proxy(secure, str(authority.file))
    assert secure.fetches - in_front == {"discovery": 1, "jwks": 2}
    proxies_of_the_environment(secure.clock)
    row.saw("own CA and proxies used, NO_PROXY kept; wrong CA, dead proxy: keys went on", secure.fetches)


def survives_the_wrong_authority(secure: Turncoat, verifier: Verifier, authority: Authority, folder: Path) -> None:
    """The file of trusted authorities is replaced: the provider hears no request, and known keys go on."""
    right, heard = authority.file.read_bytes(), len(secure.server.requests)
    authority.file.write_bytes(Authority(folder, "stranger").file.read_bytes())
    secure.clock.advance(STALE)
    fails_with(verifier, secure.issuer, "tls")
    assert len(secure.server.requests) == heard
    authority.file.write_bytes(right)
    recovers(secure, verifier)


def fails_with(verifier: Verifier, issuer: FakeIssuer, kind: str) -> None:
    """The refresh that is due fails in this way, and known keys go on."""
    with pytest.raises(FetchError) as caught:
        settle(verifier)
    verifier.pause()  # or the timer would ask again a moment later
    assert caught.value.kind == kind
    accepts(verifier, issuer)
    assert (health(verifier).state, health(verifier).failures) == ("degraded", 1)


def survives_a_dead_proxy(secure: Turncoat, ca_file: str) -> None:
    """Every request goes through the proxy; without it none goes around it."""
    proxy = TunnelProxy(int(secure.server.url.rpartition(":")[2]))
    with proxy, secure.issuer.verifier(fetch=FetchOptions(ca_file=ca_file, proxy=proxy.url)) as verifier:
        running = threading.Thread(target=proxy.serve_forever, args=(0.02,))
        running.start()
        try:
            settle(verifier)
            secure.clock.advance(STALE)
            settle(verifier)
        finally:
            proxy.shutdown()
            running.join()
        accepts(verifier, secure.issuer)
        assert proxy.asked == [f"CONNECT {secure.server.url.removeprefix('https://')}"] * 3
        proxy.server_close()
        secure.clock.advance(STALE)
        fails_with(verifier, secure.issuer, "refused")


def proxies_of_the_environment(clock: Clock) -> None:
    """HTTP_PROXY is used, and NO_PROXY kept. Plain http, so that the proxy itself can answer for the provider."""
    with HostileServer(answer(b"", status=404)) as proxy, pytest.MonkeyPatch.context() as patch:
        port = int(proxy.url.rpartition(":")[2])
        issuer = FakeIssuer(f"http://idp.example:{port}", algorithms=("ES256",), clock=clock)
        documents = {OPENID: issuer.discovery(), "/jwks": issuer.jwks()}
        for path, document in documents.items():
            for target in (path, f"{issuer.issuer_url}{path}"):
                proxy.routes[target] = answer(json.dumps(document).encode())
        patch.setenv("HTTP_PROXY", proxy.url)
        patch.setenv("http_proxy", proxy.url)
        for no_proxy, form, names in (("", issuer.issuer_url, 0), ("idp.example", "", 1)):
            patch.setenv("NO_PROXY", no_proxy)
            patch.setenv("no_proxy", no_proxy)
            with (
                watched({"idp.example": ["127.0.0.1"]}) as attempts,
                issuer.verifier(fetch=FetchOptions(insecure_allow_http=True)) as verifier,
            ):
                accepts(verifier, issuer)
            assert proxy.targets[-2:] == [f"{form}{path}" for path in documents]
            assert ("idp.example" in attempts.names) == bool(names)


@scenario("F60")
def test_f60_a_firewall_that_refuses_the_clients_of_robots_lets_us_through(provider: Turncoat, row: Row) -> None:
    behind, unwelcome = dict(provider.server.routes), ("python", "httpx", "urllib", "curl", "aiohttp")

    def firewall(request: Request) -> None:
        agent = request.headers.get("user-agent", "").lower()
        refused = not agent or agent.startswith(unwelcome)
        (answer(b"Forbidden", status=403) if refused else behind[request.target])(request)

    provider.server.routes.clear()
    provider.server.otherwise = firewall
    nameless = http.client.HTTPConnection(provider.server.url.removeprefix("http://"), timeout=5)
    nameless.request("GET", "/jwks")
    assert nameless.getresponse().status == 403
    nameless.close()
    with provider.issuer.verifier() as verifier:
        accepts(verifier, provider.issuer)
        agents = [request.headers["user-agent"] for request in provider.server.requests[1:]]
        assert len(agents) == 2
        assert all(agent.startswith("oidcbridge/") for agent in agents)
    row.saw("let through under a name of our own", {"discovery": 1, "jwks": 1})
