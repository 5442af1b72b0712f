"""Which row a provider gets, rows of one's own, and the row for everybody else."""

from __future__ import annotations

import pytest

from oidcbridge import ClaimMapping, Profile
from oidcbridge.core.policy import KindMarker, TokenRules
from oidcbridge.errors import (
    ConfigurationError,
    TokenError,
    TokenTypeError,
)
from oidcbridge.profiles import PROFILES, profile_for
from oidcbridge.testing import FakeKey
from tests.verifier.bench import AUTH0, COGNITO, KEYCLOAK, NOW, Bench, Claims

CLAIMS: Claims = {
    "iss": "https://as.example.com",
    "aud": "agent-api",
    "sub": "ada",
    "client_id": "agent-ui",
    "iat": NOW,
    "exp": NOW + 300,
    "scope": "agents:run agents:read",
    "roles": ["analyst"],
    "groups": ["team"],
    "sid": "s-1",
    "org_id": "acme",
}


def test_standard_claims_are_read() -> None:
    principal = Bench("https://as.example.com", audience="agent-api").verify(CLAIMS)
    assert (principal.user_id, principal.kind, principal.session_id) == ("ada", "user", "s-1")
    assert (principal.scopes, principal.roles, principal.groups) == (
        ("agents:run", "agents:read"),
        ("analyst",),
        ("team",),
    )
    assert (principal.tenant, principal.client_id) == ("acme", "agent-ui")


def test_a_subject_that_is_the_client_is_a_machine() -> None:
    bench = Bench("https://as.example.com", audience="agent-api")
    principal = bench.verify({**CLAIMS, "sub": "agent-svc", "client_id": "agent-svc"})
    assert (principal.user_id, principal.kind) == ("client:agent-svc", "machine")


@pytest.mark.parametrize("mark", ["nonce", "at_hash", "c_hash", "events"])
def test_the_claims_of_other_tokens_are_refused(mark: str) -> None:
    Bench("https://as.example.com", audience="agent-api").refuse({**CLAIMS, mark: "x"}, TokenTypeError)


def test_a_user_may_not_look_like_a_machine() -> None:
    bench = Bench("https://as.example.com", audience="agent-api")
    bench.refuse({**CLAIMS, "sub": "client:agent-svc"}, TokenError)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (KEYCLOAK, "keycloak"),
        ("http://127.0.0.1:8080/realms/agents", "keycloak"),
        ("https://id.example.com/auth/realms/acme", "keycloak"),
        ("https://id.example.com/realms/acme/", "generic"),
        ("https://id.example.com/realms/", "generic"),
        ("https://id.example.com/realms/acme/more", "generic"),
        (AUTH0, "auth0"),
        ("https://acme.auth0.com/", "auth0"),
        ("https://acme.eu.auth0.com", "generic"),
        ("https://auth0.com.evil.example/", "generic"),
        ("https://evil.example/x.auth0.com/", "generic"),
        (COGNITO, "cognito"),
        ("https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_AbC123", "cognito"),
        ("https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbC123", "cognito"),
        ("https://cognito-idp.eu-central-1.amazonaws.com.evil.example/eu-central-1_AbC", "generic"),
        ("https://as.example.com", "generic"),
        (None, "generic"),
    ],
)
def test_the_row_is_chosen_by_the_issuer_alone(url: str | None, name: str) -> None:
    assert profile_for("auto", url).name == name


def test_a_row_can_be_named_and_one_s_own_be_given() -> None:
    for name in PROFILES:
        assert profile_for(name, COGNITO).name == name
    own = Profile(name="own")
    assert profile_for(own, COGNITO) is own
    with pytest.raises(ConfigurationError, match="'okto' is unknown; write one of auto, keycloak"):
        profile_for("okto", None)


def test_a_row_of_one_s_own_is_data_and_holds_like_the_others() -> None:
    own = Profile(
        name="own",
        rules=TokenRules(marker=KindMarker("use", frozenset({"api"})), client_id_claims=("app",)),
        mapping=ClaimMapping(user_id=("uid",), client_id=("app",), is_machine=lambda claims: claims.get("bot") is True),
    )
    bench = Bench("https://as.example.com", audience="agent-api", provider=own)
    claims: Claims = {"iss": "https://as.example.com", "aud": "agent-api", "exp": NOW + 300}
    claims |= {"uid": "u1", "app": "a1", "use": "api"}
    assert (bench.verify(claims).user_id, bench.verify(claims).client_id) == ("u1", "a1")
    assert bench.verify({**claims, "bot": True}).kind == "machine"
    bench.refuse({**claims, "use": "id"}, TokenTypeError)


def test_nobody_s_key_is_trusted_because_of_a_row() -> None:
    bench = Bench(KEYCLOAK)
    claims = {**CLAIMS, "iss": KEYCLOAK, "typ": "Bearer"}
    assert bench.verify(claims).user_id == "ada"
    forger = FakeKey.generate("ES256", kid=bench.issuer.signing_key().kid)
    forged = bench.issuer.sign({"alg": "ES256", "kid": forger.kid, "typ": "JWT"}, claims, forger)
    with bench.issuer.impersonate(), pytest.raises(TokenError):
        bench.verifier.verify_now(forged)
