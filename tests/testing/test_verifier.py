"""A verifier of the fake issuer: keys over the real path, time by the kit's clock."""

from __future__ import annotations

import asyncio

import pytest

from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    BadSignatureError,
    ExpiredTokenError,
    KeyNotFoundError,
    KeysUnavailableError,
    TokenTypeError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey, TokenKind

KEYCLOAK = "https://id.example.com/realms/acme"
AUTH0 = "https://acme.eu.auth0.com/"
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_minted_token_is_a_principal_and_a_forged_one_is_refused(alg: str) -> None:
    with FakeIssuer("https://idp.test/realms/a").impersonate() as issuer, issuer.verifier() as verifier:
        principal = asyncio.run(verifier.verify(issuer.mint("ada", alg=alg, scope="agents:run agents:read")))
        assert (principal.user_id, principal.issuer) == ("ada", "https://idp.test/realms/a")
        assert set(principal.scopes) == {"agents:run", "agents:read"}
        forger = FakeKey.generate(alg, kid=issuer.signing_key(alg).kid)
        with pytest.raises(BadSignatureError):
            verifier.verify_now(issuer.mint("ada", key=forger))


def test_a_served_issuer_is_verified_over_real_http_through_a_rotation() -> None:
    issuer = FakeIssuer(url=None)
    with issuer.serve(), issuer.verifier() as verifier:
        before = issuer.mint("ada")
        assert verifier.verify_now(before).user_id == "ada"
        issuer.rotate()
        assert verifier.verify_now(issuer.mint("bob")).user_id == "bob"
        assert verifier.verify_now(before).user_id == "ada"
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 2)


def test_verifier_and_tokens_share_the_clock() -> None:
    clock = Clock()
    with FakeIssuer(clock=clock).impersonate() as issuer, issuer.verifier() as verifier:
        token = issuer.mint("ada", expires_in=300)
        assert verifier.verify_now(token).user_id == "ada"
        clock.advance(300 + 61)
        with pytest.raises(ExpiredTokenError):
            verifier.verify_now(token)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


@pytest.mark.parametrize("kind", ["id", "logout"])
def test_tokens_of_another_kind_are_refused_for_their_kind_alone(kind: TokenKind) -> None:
    with FakeIssuer().impersonate() as issuer, issuer.verifier() as verifier:
        with pytest.raises(TokenTypeError):
            verifier.verify_now(issuer.mint(kind=kind, audience=issuer.audience))
        assert verifier.verify_now(issuer.mint(audience=issuer.audience)).user_id == "user-1"


def test_a_refresh_token_is_refused_for_its_algorithm() -> None:
    with FakeIssuer().impersonate() as issuer, issuer.verifier() as verifier, pytest.raises(AlgorithmNotAllowedError):
        verifier.verify_now(issuer.mint(kind="refresh"))


@pytest.mark.parametrize("kind", ["id", "refresh", "logout"])
def test_keycloaks_tokens_of_another_kind_are_refused_for_their_type_alone(kind: TokenKind) -> None:
    with FakeIssuer(KEYCLOAK).impersonate() as issuer, issuer.verifier() as verifier:
        plain = {"typ": "JWT"}  # a logout token's header would give it away first
        with pytest.raises(TokenTypeError, match="'typ' says"):
            verifier.verify_now(issuer.mint(kind=kind, alg="RS256", audience=issuer.audience, header=plain))
        assert verifier.verify_now(issuer.mint(alg="RS256")).user_id == "user-1"


def test_an_impersonated_provider_mints_users_and_machines_like_its_own() -> None:
    for url in (KEYCLOAK, AUTH0, "https://idp.test"):
        with FakeIssuer(url, algorithms=("ES256",)).impersonate() as issuer, issuer.verifier() as verifier:
            user = verifier.verify_now(issuer.mint("ada", client_id="agent-ui", scope="agents:run"))
            assert (user.kind, user.user_id, user.client_id) == ("user", "ada", "agent-ui"), url
            assert set(user.scopes) == {"agents:run"}
            machine = verifier.verify_now(issuer.mint("agent-svc", client_id="agent-svc"))
            assert (machine.kind, machine.client_id) == ("machine", "agent-svc"), url


def test_an_impersonated_cognito_pool_names_the_client_and_no_audience() -> None:
    with (
        FakeIssuer(COGNITO, algorithms=("ES256",)).impersonate() as issuer,
        issuer.verifier(audience=None, client_ids=["agent-ui", "agent-svc"]) as verifier,
    ):
        user = verifier.verify_now(issuer.mint("ada"))
        assert (user.kind, user.client_id) == ("user", "agent-ui")
        assert verifier.verify_now(issuer.mint("agent-svc", client_id="agent-svc")).kind == "machine"
        with pytest.raises(TokenTypeError, match="token_use"):
            verifier.verify_now(issuer.mint(kind="id"))
        with pytest.raises(AudienceMismatchError):
            verifier.verify_now(issuer.mint(audience="agent-api"))


def test_arguments_stand_over_the_issuers_own() -> None:
    with FakeIssuer().impersonate() as issuer, issuer.verifier(audience="another-api") as verifier:
        with pytest.raises(AudienceMismatchError):
            verifier.verify_now(issuer.mint())
        assert verifier.verify_now(issuer.mint(audience="another-api")).user_id == "user-1"


def test_a_withdrawn_key_is_unknown_to_a_verifier_that_never_saw_it() -> None:
    with FakeIssuer().impersonate() as issuer, issuer.verifier() as verifier:
        issuer.retire(issuer.signing_key("RS256").kid)
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(issuer.mint(alg="RS256"))
        assert verifier.verify_now(issuer.mint(alg="ES256")).user_id == "user-1"


def test_an_outage_before_any_key_is_known_is_unavailability_and_never_a_bad_token() -> None:
    with FakeIssuer().impersonate() as issuer, issuer.verifier() as verifier:
        with issuer.outage(), pytest.raises(KeysUnavailableError):
            verifier.verify_now(issuer.mint())
        assert issuer.fetches["discovery"] >= 1
