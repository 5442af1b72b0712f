"""What an operator may do: deny a key, force a refresh, ask how the keys stand."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from oidcbridge import ConfigurationError, Issuer, ProviderError, Verifier
from oidcbridge.asgi.health import health_endpoint
from oidcbridge.errors import KeyNotFoundError, RevokedTokenError
from oidcbridge.fastapi import protect
from oidcbridge.testing import Clock, FakeIssuer, auth_header


def verify(verifier: Verifier, token: str) -> str:
    return asyncio.run(verifier.verify(token)).user_id


def test_a_denied_key_is_refused_at_once_without_a_fetch_and_the_others_go_on() -> None:
    with FakeIssuer().impersonate() as issuer:
        verifier = issuer.verifier()
        lost, kept = issuer.mint("ada"), issuer.mint("ada", alg="ES256")
        assert verify(verifier, lost) == verify(verifier, kept) == "ada"
        verifier.deny_key(issuer.signing_key("RS256").kid)
        for token in (lost, issuer.mint("ada")):  # seen before, and never seen
            with pytest.raises(RevokedTokenError):
                verify(verifier, token)
        assert verify(verifier, kept) == "ada"
        assert issuer.fetches["jwks"] == 1


def test_a_denied_key_stays_denied_through_refreshes_that_bring_it_back() -> None:
    with FakeIssuer().impersonate() as issuer:
        verifier = issuer.verifier()
        token = issuer.mint("ada")
        verify(verifier, token)
        verifier.deny_key(issuer.signing_key("RS256").kid)
        asyncio.run(verifier.refresh(force=True))
        issuer.rotate("RS256")
        assert verify(verifier, issuer.mint("ada")) == "ada"
        with pytest.raises(RevokedTokenError):
            verify(verifier, token)


def test_a_token_without_a_kid_is_not_verified_with_a_denied_key() -> None:
    with FakeIssuer(algorithms=("RS256",)).impersonate() as issuer:
        verifier = issuer.verifier()
        key = issuer.signing_key("RS256")
        nameless = issuer.sign({"alg": "RS256"}, json.dumps(claims_for(issuer)).encode(), key)
        assert verify(verifier, nameless) == "ada"
        verifier.deny_key(key.kid)
        with pytest.raises(KeyNotFoundError):
            verify(verifier, nameless)


def claims_for(issuer: FakeIssuer) -> dict[str, Any]:
    return {"iss": issuer.issuer_url, "aud": issuer.audience, "sub": "ada", "exp": 4_000_000_000}


def test_keys_of_one_name_at_two_issuers_are_denied_apart() -> None:
    first, second = FakeIssuer("https://one.test"), FakeIssuer("https://two.test")
    with first.impersonate(), second.impersonate():
        issuers = [
            Issuer(issuer_url=issuer.issuer_url, audience="agent-api", name=name)
            for name, issuer in (("one", first), ("two", second))
        ]
        verifier = Verifier(issuers=issuers)
        kid = first.signing_key("RS256").kid
        with pytest.raises(ConfigurationError, match="issuer="):
            verifier.deny_key(kid)
        with pytest.raises(ConfigurationError, match=r"three\.test"):
            verifier.deny_key(kid, issuer="https://three.test")
        verifier.deny_key(kid, issuer="https://one.test")
        with pytest.raises(RevokedTokenError):
            verify(verifier, first.mint("ada"))
        assert verify(verifier, second.mint("ada")) == "two:ada"


def test_a_static_key_can_be_denied_too() -> None:
    issuer = FakeIssuer()
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience, jwks=dict(issuer.jwks()))
    assert verify(verifier, issuer.mint("ada")) == "ada"
    verifier.deny_key(issuer.signing_key("RS256").kid)
    with pytest.raises(RevokedTokenError):
        verify(verifier, issuer.mint("ada"))
    assert verify(verifier, issuer.mint("ada", alg="ES256")) == "ada"


def test_a_denied_key_is_refused_under_every_name_its_material_has() -> None:
    with FakeIssuer(algorithms=("RS256",)).impersonate() as issuer:
        verifier = issuer.verifier()
        key = issuer.signing_key("RS256")
        issuer.jwks_override = json.dumps({"keys": [key.public_jwk(), {**key.public_jwk(), "kid": "alias"}]}).encode()
        alias = issuer.mint("ada", header={"kid": "alias"})
        assert verify(verifier, alias) == verify(verifier, issuer.mint("ada")) == "ada"
        verifier.deny_key(key.kid)
        issuer.jwks_override = json.dumps({"keys": [{**key.public_jwk(), "kid": "alias"}]}).encode()
        asyncio.run(verifier.refresh(force=True))
        for token in (alias, issuer.mint("ada", header={"kid": "alias"})):
            with pytest.raises(KeyNotFoundError):
                verify(verifier, token)
        (health,) = verifier.health()
        assert (health.usable, health.keys) == (False, 0)


def test_keys_without_names_cannot_be_denied_and_the_operator_is_told() -> None:
    issuer = FakeIssuer()
    verifier = Verifier(verification_keys=[issuer.signing_key("RS256").public_pem()])
    assert verify(verifier, issuer.mint("ada")) == "ada"
    with pytest.raises(ConfigurationError, match="no names"):
        verifier.deny_key(issuer.signing_key("RS256").kid)


def test_a_forced_refresh_asks_every_issuer_though_one_of_them_is_down() -> None:
    first, second = FakeIssuer("https://one.test"), FakeIssuer("https://two.test")
    with first.impersonate(), second.impersonate():
        verifier = Verifier(
            issuers=[
                Issuer(issuer_url=issuer.issuer_url, audience="agent-api", name=name)
                for name, issuer in (("one", first), ("two", second))
            ]
        )
        stolen = second.mint("thief")
        assert verify(verifier, first.mint("ada")) == "one:ada"
        assert verify(verifier, stolen) == "two:thief"
        second.rotate("RS256")
        second.retire()
        with first.outage(), pytest.raises(ProviderError, match=r"one\.test"):
            asyncio.run(verifier.refresh(force=True))
        with pytest.raises(KeyNotFoundError):
            verify(verifier, stolen)


def test_a_forced_refresh_that_joins_an_older_fetch_looks_once_more() -> None:
    with FakeIssuer().impersonate() as issuer:
        verifier = issuer.verifier()
        stolen = issuer.mint("thief")
        verify(verifier, stolen)

        async def refresh_while_one_is_under_way() -> None:
            issuer.slow = 0.3
            first = asyncio.create_task(verifier.refresh(force=True))
            await asyncio.sleep(0)  # its fetch has been asked for
            second = asyncio.create_task(verifier.refresh(force=True))
            await asyncio.gather(first, second)

        asyncio.run(refresh_while_one_is_under_way())
        assert issuer.fetches["jwks"] == 3, "the first, the one that both waited for, and one more"


def test_keys_given_by_hand_cause_no_network_at_all() -> None:
    with FakeIssuer().impersonate() as issuer:
        app = protect(FastAPI(), issuer_url=issuer.issuer_url, audience=issuer.audience, jwks=dict(issuer.jwks()))
        with TestClient(app) as client:
            assert client.get("/openapi.json").status_code == 200
            assert client.get("/docs").status_code == 200
            assert client.get("/", headers=auth_header(issuer.mint("ada"))).status_code == 404
        assert sum(issuer.fetches.values()) == 0


def test_a_forced_refresh_makes_a_withdrawn_key_die_at_the_next_request() -> None:
    with FakeIssuer().impersonate() as issuer:
        verifier = issuer.verifier()
        token = issuer.mint("ada")
        verify(verifier, token)
        issuer.rotate("RS256")
        issuer.retire()
        assert verify(verifier, token) == "ada", "the key set at hand is fresh, and still has it"
        asyncio.run(verifier.refresh())
        assert issuer.fetches["jwks"] == 1, "nothing to do: the set is fresh"
        asyncio.run(verifier.refresh(force=True))
        with pytest.raises(KeyNotFoundError):
            verify(verifier, token)
        assert issuer.fetches["jwks"] == 3, "the forced one, and one look for the key that is unknown now"


def test_a_forced_refresh_that_fails_says_why_and_keeps_the_keys() -> None:
    with FakeIssuer().impersonate() as issuer:
        verifier = issuer.verifier()
        verify(verifier, issuer.mint("ada"))
        with issuer.outage(), pytest.raises(ProviderError, match="cannot be reached"):
            asyncio.run(verifier.refresh(force=True))
        assert verify(verifier, issuer.mint("ada")) == "ada"


def test_health_tells_each_state_and_the_endpoint_is_ready_while_keys_can_be_used() -> None:
    clock = Clock()
    with FakeIssuer(clock=clock).impersonate() as issuer:
        verifier = issuer.verifier()
        probe = TestClient(Starlette(routes=[Route("/", health_endpoint(verifier))]))
        assert [(health.state, health.usable, health.keys) for health in verifier.health()] == [("empty", False, 0)]
        assert probe.get("/").status_code == 503
        verify(verifier, issuer.mint("ada"))
        (fresh,) = verifier.health()
        assert (fresh.state, fresh.usable, fresh.keys, fresh.failures, fresh.last_error) == ("fresh", True, 2, 0, None)
        clock.advance(301)
        assert verifier.health()[0].state == "stale"
        with issuer.outage():
            clock.advance(400)
            assert verifier.health()[0].state == "expired"
            assert verify(verifier, issuer.mint("ada")) == "ada", "served while the provider is down"
            (degraded,) = verifier.health()
            assert (degraded.state, degraded.usable, degraded.failures) == ("degraded", True, 1)
            assert degraded.last_error is not None
            assert degraded.next_try_in is not None
            assert degraded.stale_budget_left == pytest.approx(4 * 3600 - 701, abs=5)
            answer = probe.get("/")
            assert (answer.status_code, answer.json()["ready"]) == (200, True)
            assert "last_error" not in answer.json()["issuers"][0], "what went wrong is for the log"
            clock.advance(4 * 3600)
            with pytest.raises(ProviderError):
                verify(verifier, issuer.mint("ada"))
            assert verifier.health()[0].state == "dead"
            assert probe.get("/").status_code == 503
        clock.advance(120)
        assert verify(verifier, issuer.mint("ada")) == "ada"
        assert verifier.health()[0].state == "fresh"
        assert issuer.fetches["jwks"] >= 3


def test_health_of_static_keys_is_always_ready_and_asks_nobody() -> None:
    issuer = FakeIssuer()
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience, jwks=dict(issuer.jwks()))
    (health,) = verifier.health()
    assert (health.issuer, health.state, health.usable, health.keys) == (issuer.issuer_url, "static", True, 2)


def test_the_health_endpoint_is_a_route_that_needs_no_token() -> None:
    with FakeIssuer().impersonate() as issuer:
        app = protect(
            FastAPI(),
            issuer_url=issuer.issuer_url,
            audience=issuer.audience,
            excluded_route_paths=["/health/oidc"],
        )
        app.add_route("/health/oidc", health_endpoint(app.state.oidcbridge))
        client = TestClient(app)  # without its lifespan: nothing has been fetched
        assert client.get("/health/oidc").json()["issuers"][0]["state"] == "empty"
        client.get("/", headers=auth_header(issuer.mint("ada")))
        answer = client.get("/health/oidc")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.json()["issuers"][0]["state"] == "fresh"


@pytest.mark.parametrize("is_early", [True, False])
def test_a_key_denied_before_the_first_fetch_is_denied_by_its_material_too(*, is_early: bool) -> None:
    clock = Clock()
    with FakeIssuer(clock=clock, algorithms=("ES256",)).impersonate() as issuer:
        lost = issuer.signing_key()
        issuer.rotate()
        with issuer.verifier() as verifier:
            if not is_early:
                asyncio.run(verifier.warm(strict=True))
            verifier.deny_key(lost.kid)
            asyncio.run(verifier.warm(strict=True))
            issuer.retire(lost.kid)
            issuer.publish(lost.public_jwk() | {"kid": "renamed"})
            clock.advance(301)
            asyncio.run(verifier.warm(strict=True))
            with pytest.raises(KeyNotFoundError):
                verify(verifier, issuer.mint("mallory", key=lost, header={"kid": "renamed"}))
            assert verify(verifier, issuer.mint("ada")) == "ada"


def test_a_forced_refresh_is_not_content_with_a_fetch_that_began_a_moment_before() -> None:
    clock = Clock()
    issuer = FakeIssuer("https://forced.test", clock=clock, algorithms=("ES256",))  # no earlier test's verifier asks it
    with issuer.impersonate(), issuer.verifier() as verifier:
        asyncio.run(verifier.warm(strict=True))
        clock.advance(301)
        issuer.slow = 0.2
        verifier.start_warming()  # an ordinary fetch, whose answer may be on its way already
        asyncio.run(verifier.refresh(force=True))
        assert issuer.fetches["jwks"] == 3
