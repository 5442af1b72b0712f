"""F and I, issuers that a rule lets in: where they may be, how many are kept, and who decides."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from oidcbridge import DynamicIssuers, FetchOptions, Verifier
from oidcbridge.errors import ProviderError, UnknownIssuerError
from oidcbridge.testing import Clock, FakeIssuer
from tests.faults.kit import LOAD, stopwatch
from tests.faults.network import watched
from tests.faults.table import Row, scenario
from tests.faults.turncoat import JWKS, Turncoat, case
from tests.remote.asking import refuse, unavailable
from tests.remote.hostile import HostileServer, Request, answer

INSIDE = (
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "fd00::1",
    "fe80::1",
    "ff02::1",
    "93.184.216.34 10.0.0.1",
)
REQUEST_WAIT = 2.5  # seconds
TENANTS = 10_000
_FETCH = FetchOptions(insecure_allow_http=True)


def verifier_of(
    clock: Clock,
    allow: str | Callable[[str], str | bool | None],
    *networks: str,
    fetch: FetchOptions = _FETCH,
) -> Verifier:
    tenants = DynamicIssuers(allow=allow, audience="agent-api", allowed_networks=networks)
    return Verifier(issuers=tenants, clock=clock, fetch=fetch)


@scenario("F58")
def test_f58_a_tenant_leads_us_to_public_addresses_only_and_to_the_one_that_was_checked(clock: Clock, row: Row) -> None:
    with HostileServer(answer(b"", status=404)) as server:
        port = server.url.rpartition(":")[2]
        provider = Turncoat(server, clock, url=f"http://acme.id.example:{port}")
        names_that_lead_inside(clock, port)
        numbers_that_lead_inside(clock, port)
        assert server.requests == []
        rebinding_to_us(provider)
        rebinding_of_a_public_name(clock)
        with watched({"acme.id.example": ["127.0.0.1"]}), verifier_for(provider) as verifier:
            assert verifier.verify_now(provider.issuer.mint("ada")).user_id == "acme:ada"
        assert provider.fetches == {"discovery": 2, "jwks": 1}
        row.saw("refused before connecting; rebound names pinned; a named network served", provider.fetches)


def verifier_for(provider: Turncoat) -> Verifier:
    """One that may go where the provider is, and nowhere else inside."""
    pattern = provider.issuer.issuer_url.replace("acme", "{tenant}")
    return verifier_of(provider.clock, pattern, "127.0.0.1/32")


def names_that_lead_inside(clock: Clock, port: str) -> None:
    for scheme in ("http", "https"):
        with verifier_of(clock, f"{scheme}://{{tenant}}.id.example:{port}") as verifier:
            for number, address in enumerate(INSIDE):
                host = f"{scheme}-{number}.id.example"
                with case(address), watched({host: [address]}) as attempts:
                    issuer = FakeIssuer(f"{scheme}://{host}:{port}", algorithms=("ES256",), clock=clock)
                    assert "no public address" in str(unavailable(verifier, issuer.mint("eve")))
                    assert attempts == ([], [host])
                clock.advance(1)  # looking for issuers in vain has a budget, which is another scenario's


def numbers_that_lead_inside(clock: Clock, port: str) -> None:
    """Issuers whose host is an address, in spellings that systems understand."""
    hosts = {
        "127.0.0.1": "127.0.0.1",
        "[::ffff:7f00:1]": "::ffff:7f00:1",
        "2130706433": "127.0.0.1",
        "0x7f.1": "127.0.0.1",
    }
    with verifier_of(clock, lambda _issuer: True) as verifier:
        for host, address in hosts.items():
            with case(host), watched({host.strip("[]"): [address]}) as attempts:
                issuer = FakeIssuer(f"http://{host}:{port}", algorithms=("ES256",), clock=clock)
                with pytest.raises((ProviderError, UnknownIssuerError)):
                    verifier.verify_now(issuer.mint("eve"))
                assert attempts.addresses == []
            clock.advance(1)


def rebinding_to_us(provider: Turncoat) -> None:
    """The second look-up, for the keys, leads elsewhere: it is checked as well, and refused."""
    with watched({"acme.id.example": ["127.0.0.1", "127.0.0.3"]}) as attempts, verifier_for(provider) as verifier:
        assert "no public address" in str(unavailable(verifier, provider.issuer.mint("ada")))
        assert {address for address, _port in attempts.addresses} == {"127.0.0.1"}
    assert provider.fetches == {"discovery": 1}


def rebinding_of_a_public_name(clock: Clock) -> None:
    """Public when it was checked, ours a moment later: the connection goes to what was checked."""
    public = "93.184.216.34"
    issuer = FakeIssuer("https://eve.id.example", algorithms=("ES256",), clock=clock)
    with (
        watched({"eve.id.example": [public, "127.0.0.1"]}) as attempts,
        verifier_of(clock, "https://{tenant}.id.example") as verifier,
    ):
        unavailable(verifier, issuer.mint("eve"))
        assert attempts.addresses == [(public, 443)]


class Platform:
    """Any number of tenants at ``/realms/NAME`` of one server, each with a key of its own."""

    def __init__(self, server: HostileServer, clock: Clock) -> None:
        self.url = server.url
        self.clock = clock
        self.fetches: Counter[str] = Counter()
        self._tenants: dict[str, FakeIssuer] = {}
        server.otherwise = self._answer

    def tenant(self, name: str) -> FakeIssuer:
        if name not in self._tenants:
            url = f"{self.url}/realms/{name}"
            self._tenants[name] = FakeIssuer(url, algorithms=("ES256",), clock=self.clock)
        return self._tenants[name]

    def _answer(self, request: Request) -> None:
        name, _, document = request.target.removeprefix("/realms/").partition("/")
        issuer, is_keys = self._tenants[name], f"/{document}" == JWKS
        self.fetches["jwks" if is_keys else "discovery"] += 1
        answer(json.dumps(issuer.jwks() if is_keys else issuer.discovery()).encode())(request)


@scenario("I83")
def test_i83_any_number_of_tenants_is_served_by_256_places(clock: Clock, row: Row) -> None:
    with HostileServer(answer(b"", status=404)) as server:
        platform = Platform(server, clock)
        # Of twenty thousand answers one takes seconds on a machine that is busy with something else.
        patient = FetchOptions(insecure_allow_http=True, request_wait=60, deadline=60, connect_timeout=60)
        with verifier_of(clock, f"{server.url}/realms/{{tenant}}", "127.0.0.1/32", fetch=patient) as verifier:

            def served(name: str) -> Counter[str]:
                before = platform.fetches.copy()
                assert verifier.verify_now(platform.tenant(name).mint("ada")).user_id == f"{name}:ada"
                return platform.fetches - before

            for number in range(TENANTS):
                assert served(f"t{number}") == {"discovery": 1, "jwks": 1}
                clock.advance(0.01)
            assert len(verifier.health()) == 256
            assert served(f"t{TENANTS - 1}") == {}
            assert served("t0") == {"discovery": 1, "jwks": 1}
            assert served("t0") == {}
            assert len(verifier.health()) == 256
        row.saw("all served, 256 kept; one that had left came back with one fetch", platform.fetches)


@scenario("I84")
def test_i84_a_predicate_that_raises_or_is_slow_is_a_503_and_is_asked_again(clock: Clock, row: Row) -> None:
    with HostileServer(answer(b"", status=404)) as server:
        platform, decided = Platform(server, clock), threading.Event()
        asked: list[str] = []

        def allow(issuer: str) -> bool:
            asked.append(issuer)
            name = issuer.rpartition("/")[2]
            if name == "slow":
                decided.wait()
            elif name == "broken" and len(asked) < 3:
                raise LookupError("the directory is down: s3cret")
            return name != "stranger"

        with verifier_of(clock, allow, "127.0.0.1/32") as verifier:
            refuse(verifier, platform.tenant("stranger").mint("eve"), UnknownIssuerError)
            with pytest.raises(ProviderError, match="LookupError") as caught:
                verifier.verify_now(platform.tenant("broken").mint("ada"))
            assert "s3cret" not in str(caught.value)
            with stopwatch() as watch, pytest.raises(ProviderError, match="not yet decided"):
                verifier.verify_now(platform.tenant("slow").mint("ada"))
            assert REQUEST_WAIT - 0.2 <= watch.seconds <= REQUEST_WAIT + LOAD
            assert (platform.fetches, verifier.health()) == ({}, ())
            decided.set()
            for name in ("broken", "slow"):  # nothing was remembered of it
                assert verifier.verify_now(platform.tenant(name).mint("ada")).user_id.endswith(":ada")
            refuse(verifier, platform.tenant("stranger").mint("eve"), UnknownIssuerError)
        assert platform.fetches == {"discovery": 2, "jwks": 2}
        row.saw("401 for a stranger, 503 for no decision, then accepted; nothing kept", platform.fetches)
