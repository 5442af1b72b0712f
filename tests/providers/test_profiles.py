"""The profiles on documented tokens: who the user is, and what each provider's own traps come to."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.arguments import VerifierArguments
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    ClaimError,
    ConfigurationError,
    MissingClaimError,
    TokenTypeError,
    UnknownIssuerError,
)
from oidcbridge.testing import Clock
from tests.providers.sample import Sample, load_sample, sign

KEYCLOAK: VerifierArguments = {"issuer_url": "https://id.example.com/realms/acme", "audience": "agent-api"}
AUTH0: VerifierArguments = {"issuer_url": "https://acme.eu.auth0.com/", "audience": "https://api.acme.example"}
COGNITO: VerifierArguments = {
    "issuer_url": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123",
    "client_ids": ["57cbishk4j24pabc1234567890"],
}
USUAL: dict[str, VerifierArguments] = {"keycloak": KEYCLOAK, "auth0": AUTH0, "cognito": COGNITO}


def principal_of(sample: Sample, **arguments: Any) -> Principal:
    """Verify the sample at its own time, with what its provider's users write; ``arguments`` are laid on top."""
    token, jwks = sign(sample)
    usual: dict[str, Any] = {**USUAL[sample.provider], **arguments}
    with Verifier(jwks=jwks, clock=Clock(sample.now), **usual) as verifier:
        return verifier.verify_now(token)


ALICE = {
    "keycloak": "33ed6c6b-c6e0-4928-a161-f2f69c7a03b9",
    "auth0": "auth0|6553da60a54af58e29493993",
    "cognito": "b87e7221-9797-4c65-af71-ffd6cab3230e",
}
KEYCLOAK_USER = {
    "user_id": ALICE["keycloak"],
    "session_id": "tqtgtN9qZm1l1UX0Nmeo3mjd",
    "kind": "user",
    "client_id": "agent-ui",
    "scopes": ("openid", "email", "profile"),
    "roles": ("default-roles-acme", "offline_access", "analyst", "tool-runner", "account:view-profile"),
    "tenant": "acme-corp",
}
AUTH0_USER = {
    "user_id": ALICE["auth0"],
    "session_id": None,
    "kind": "user",
    "client_id": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
    "scopes": ("openid", "profile", "email", "read:docs"),
    "permissions": ("read:docs", "run:tools"),
    "roles": (),
    "tenant": "org_9ybsU1dN2dKfDkBi",
}
AUTH0_MACHINE = {
    "user_id": "9GkqXJ4fC2vZ1pYt7LwB0aQmD5sNxReU@clients",
    "session_id": None,
    "kind": "machine",
    "client_id": "9GkqXJ4fC2vZ1pYt7LwB0aQmD5sNxReU",
    "scopes": ("read:docs",),
    "permissions": (),
    "tenant": None,
}
COGNITO_USER = {
    "user_id": ALICE["cognito"],
    "session_id": "a280d432-13c8-4466-a11b-9aa3c7c63fd5",
    "kind": "user",
    "client_id": "57cbishk4j24pabc1234567890",
    "scopes": ("openid", "email", "https://api.acme.example/read"),
    "groups": ("admins", "readers"),
    "tenant": None,
}


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("keycloak", "user", KEYCLOAK_USER),
        ("keycloak", "user-at-jwt", KEYCLOAK_USER),
        ("keycloak", "organization-list", {**KEYCLOAK_USER, "tenant": "acme"}),
        ("keycloak", "organization-id", {**KEYCLOAK_USER, "tenant": "acme"}),
        ("keycloak", "organization-string", {**KEYCLOAK_USER, "tenant": "acme"}),
        ("keycloak", "organization-two", {**KEYCLOAK_USER, "tenant": None}),
        (
            "keycloak",
            "machine",
            {
                "user_id": "b4768e19-0c1d-4a53-9d0a-54d3a3a8f0de",
                "session_id": None,
                "kind": "machine",
                "client_id": "svc",
                "scopes": ("email", "profile"),
                "roles": (),
                "tenant": None,
            },
        ),
        ("auth0", "user", AUTH0_USER),
        ("auth0", "user-rfc9068", AUTH0_USER),
        ("auth0", "machine", AUTH0_MACHINE),
        ("auth0", "machine-rfc9068", AUTH0_MACHINE),
        ("cognito", "access", COGNITO_USER),
        ("cognito", "access-sdk", {**COGNITO_USER, "scopes": ("aws.cognito.signin.user.admin",), "groups": ()}),
        (
            "cognito",
            "machine",
            {
                "user_id": "client:57cbishk4j24pabc1234567890",
                "session_id": None,
                "kind": "machine",
                "client_id": "57cbishk4j24pabc1234567890",
                "scopes": ("https://api.acme.example/read",),
                "groups": (),
            },
        ),
    ],
)
def test_the_principal_says_who_the_documented_token_speaks_for(
    provider: str, name: str, expected: dict[str, object]
) -> None:
    sample = load_sample(provider, name)
    principal = principal_of(sample)
    assert {field: getattr(principal, field) for field in expected} == expected
    assert principal.issuer == sample.issuer
    assert principal.expires_at == sample.payload["exp"]


@pytest.mark.parametrize("name", ["id", "refresh"])
def test_keycloak_s_other_tokens_are_refused_for_what_they_are(name: str) -> None:
    sample = load_sample("keycloak", name)
    error = AlgorithmNotAllowedError if name == "refresh" else TokenTypeError
    with pytest.raises(error):
        principal_of(sample, audience=["agent-api", "agent-ui", sample.issuer])


def test_an_auth0_id_token_is_refused_also_where_no_nonce_was_asked_for() -> None:
    sample = load_sample("auth0", "id")
    with pytest.raises(TokenTypeError, match="nonce"):
        principal_of(sample)
    with pytest.raises(AudienceMismatchError):
        principal_of(sample.but("nonce"))


def test_a_cognito_id_token_is_refused_though_its_client_is_allowed() -> None:
    with pytest.raises(TokenTypeError, match="token_use"):
        principal_of(load_sample("cognito", "id"))
    with pytest.raises(TokenTypeError, match="token_use"):
        principal_of(load_sample("cognito", "access").but("token_use"))


USER = {"keycloak": "user", "auth0": "user", "cognito": "access"}


@pytest.mark.parametrize("provider", USUAL)
@pytest.mark.parametrize("issuer", ["https://elsewhere.example/realms/acme", "one slash more or less", "one case more"])
def test_the_same_token_by_another_issuer_is_refused(provider: str, issuer: str) -> None:
    sample = load_sample(provider, USER[provider])
    spelled = {
        "one slash more or less": sample.issuer.rstrip("/") if sample.issuer.endswith("/") else f"{sample.issuer}/",
        "one case more": sample.issuer.replace("https://", "HTTPS://"),
    }
    with pytest.raises(UnknownIssuerError):
        principal_of(sample.but(iss=spelled.get(issuer, issuer)))


@pytest.mark.parametrize("provider", ["keycloak", "auth0"])
@pytest.mark.parametrize("audience", [["account"], ["agent-ui"], "https://acme.eu.auth0.com/userinfo", [], None])
def test_a_token_for_another_api_is_refused(provider: str, audience: object) -> None:
    sample = load_sample(provider, "user")
    without = ("aud",) if audience is None else ()
    with pytest.raises(AudienceMismatchError):
        principal_of(sample.but(*without, **({} if audience is None else {"aud": audience})))


@pytest.mark.parametrize(("provider", "own"), [("keycloak", "agent-ui"), ("auth0", "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja")])
def test_a_client_that_is_not_on_the_list_is_refused(provider: str, own: str) -> None:
    sample = load_sample(provider, "user")
    assert principal_of(sample, client_ids=[own]).user_id == ALICE[provider]
    with pytest.raises(AudienceMismatchError, match="client_ids"):
        principal_of(sample, client_ids=["another"])


def test_a_cognito_token_of_another_app_client_is_refused() -> None:
    with pytest.raises(AudienceMismatchError, match="client_ids"):
        principal_of(load_sample("cognito", "access"), client_ids=["another"])


def test_a_cognito_client_id_written_as_audience_is_refused_on_the_user_s_line() -> None:
    with pytest.raises(ConfigurationError, match="client_ids"):
        Verifier(issuer_url=COGNITO["issuer_url"], audience="57cbishk4j24pabc1234567890")


def test_a_cognito_token_bound_to_an_api_is_for_that_api_alone() -> None:
    sample = load_sample("cognito", "access-resource")
    assert principal_of(sample, audience="https://api.acme.example").user_id == ALICE["cognito"]
    for arguments in ({}, {"audience": "https://other.acme.example"}):
        with pytest.raises(AudienceMismatchError):
            principal_of(sample, **arguments)


def test_a_keycloak_token_without_the_basic_scope_names_nobody_and_the_error_says_which_scope_it_lacks() -> None:
    with pytest.raises(MissingClaimError, match="'basic' scope"):
        principal_of(load_sample("keycloak", "no-basic-scope"))


def test_a_keycloak_lightweight_token_is_refused_until_its_mappers_bring_the_claims_back() -> None:
    sample = load_sample("keycloak", "lightweight")
    with pytest.raises(ClaimError):
        principal_of(sample)
    restored = sample.but(sub=ALICE["keycloak"], aud="agent-api")  # mappers with lightweight.claim
    assert principal_of(restored).user_id == ALICE["keycloak"]


def test_the_same_role_of_another_client_or_of_the_realm_is_another_role() -> None:
    sample = load_sample("keycloak", "user").but(
        realm_access={"roles": ["viewer"]},
        resource_access={"agent-api": {"roles": ["runner"]}, "billing": {"roles": ["admin", "runner"]}},
    )
    assert principal_of(sample).roles == ("viewer", "runner", "billing:admin", "billing:runner")


def test_auth0_s_roles_and_profile_are_read_from_the_namespace_that_is_named() -> None:
    principal = principal_of(
        load_sample("auth0", "user"),
        roles_claim="https://acme.example/roles",
        dependencies_claims={"email": "https://acme.example/email"},
    )
    assert principal.roles == ("analyst",)
    assert principal.dependencies == {"email": "alice@example.com"}


def test_auth0_s_permissions_are_no_scopes() -> None:
    principal = principal_of(load_sample("auth0", "user").but("scope"))
    assert (principal.scopes, principal.permissions) == ((), ("read:docs", "run:tools"))
