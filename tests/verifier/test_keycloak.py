"""Keycloak's tokens, of the shape that version 26 issues."""

from __future__ import annotations

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    MissingClaimError,
    TokenError,
    TokenTypeError,
)
from oidcbridge.testing import Clock, FakeIssuer
from tests.verifier.bench import KEYCLOAK, NOW, Bench, Claims

KEYCLOAK_USER: Claims = {
    "exp": 1795290000,
    "iat": 1795289700,
    "auth_time": 1795289600,
    "jti": "onrtac:b34080ff-8404-6867-81be-1231b50593a8",
    "iss": KEYCLOAK,
    "aud": ["agent-api", "account"],
    "sub": "33ed6c6b-c6e0-4928-a161-f2f69c7a03b9",
    "typ": "Bearer",
    "azp": "agent-ui",
    "sid": "tqtgtN9qZm1l1UX0Nmeo3mjd",
    "acr": "1",
    "allowed-origins": ["https://ui.example.com"],
    "realm_access": {"roles": ["default-roles-acme", "offline_access", "analyst"]},
    "resource_access": {"agent-api": {"roles": ["tool-runner"]}, "account": {"roles": ["view-profile", "admin"]}},
    "scope": "openid email profile",
    "email_verified": True,
    "name": "Alice Adams",
    "preferred_username": "alice",
    "email": "alice@example.com",
    "organization": {"acme-corp": {}},
}
KEYCLOAK_MACHINE: Claims = {
    "exp": 1795290000,
    "iat": 1795289700,
    "iss": KEYCLOAK,
    "jti": "trrtcc:0a1b2c3d",
    "aud": "agent-api",
    "sub": "b4768e19-86f8-4e0c-9f3a-8e0f4f0f2b1a",
    "typ": "Bearer",
    "azp": "svc",
    "scope": "email profile",
    "client_id": "svc",
    "clientHost": "172.18.0.1",
    "email_verified": False,
    "preferred_username": "service-account-svc",
}


@pytest.fixture
def keycloak() -> Bench:
    return Bench(KEYCLOAK)


def test_a_users_token_is_read_whole(keycloak: Bench) -> None:
    principal = keycloak.verify(KEYCLOAK_USER)
    assert (principal.user_id, principal.kind) == ("33ed6c6b-c6e0-4928-a161-f2f69c7a03b9", "user")
    assert principal.session_id == "tqtgtN9qZm1l1UX0Nmeo3mjd"
    assert principal.scopes == ("openid", "email", "profile")
    assert (principal.client_id, principal.tenant, principal.issuer) == ("agent-ui", "acme-corp", KEYCLOAK)
    assert principal.expires_at == 1795290000


def test_roles_of_other_clients_keep_their_clients_name(keycloak: Bench) -> None:
    roles = keycloak.verify(KEYCLOAK_USER).roles
    assert roles == (
        "default-roles-acme",
        "offline_access",
        "analyst",
        "tool-runner",
        "account:view-profile",
        "account:admin",
    )
    assert "admin" not in roles


def test_a_service_account_is_a_machine_with_a_subject_of_its_own(keycloak: Bench) -> None:
    principal = keycloak.verify(KEYCLOAK_MACHINE)
    assert (principal.user_id, principal.kind) == (KEYCLOAK_MACHINE["sub"], "machine")
    assert (principal.client_id, principal.session_id) == ("svc", None)
    older = {**KEYCLOAK_MACHINE, "jti": "b34080ff-8404-6867-81be-1231b50593a8"}
    assert keycloak.verify(older).kind == "machine"
    lightweight = {n: v for n, v in KEYCLOAK_MACHINE.items() if n not in ("client_id", "preferred_username")}
    assert keycloak.verify(lightweight).kind == "machine"


def test_a_machine_without_a_subject_is_known_by_its_client(keycloak: Bench) -> None:
    claims = {name: value for name, value in KEYCLOAK_MACHINE.items() if name != "sub"}
    assert keycloak.verify(claims).user_id == "client:svc"


def test_a_user_without_a_subject_is_refused_with_a_line_that_teaches(keycloak: Bench) -> None:
    claims = {name: value for name, value in KEYCLOAK_USER.items() if name != "sub"}
    with pytest.raises(MissingClaimError, match="'basic' scope"):
        keycloak.verify(claims)


@pytest.mark.parametrize("name", ["service-account-agent-ui", "service-account-svc"])
def test_a_user_named_like_a_service_account_stays_a_user(keycloak: Bench, name: str) -> None:
    assert keycloak.verify({**KEYCLOAK_USER, "preferred_username": name}).kind == "user"


@pytest.mark.parametrize(
    "typ", ["ID", "Refresh", "Offline", "Logout", "Serialized-ID", "bearer", "", None, 7, ["Bearer"]]
)
def test_only_its_own_mark_makes_an_access_token(keycloak: Bench, typ: object) -> None:
    keycloak.refuse({**KEYCLOAK_USER, "typ": typ}, TokenTypeError)
    keycloak.refuse({name: value for name, value in KEYCLOAK_USER.items() if name != "typ"}, TokenTypeError)


def test_an_id_token_is_refused_for_its_mark_even_with_our_audience(keycloak: Bench) -> None:
    claims = {**KEYCLOAK_USER, "typ": "ID", "nonce": "n", "at_hash": "h"}
    keycloak.refuse({**claims, "aud": "agent-ui"}, TokenError)
    keycloak.refuse(claims, TokenTypeError)


def test_its_mark_decides_alone(keycloak: Bench) -> None:
    assert keycloak.verify({**KEYCLOAK_USER, "nonce": "kept by an old mapper"}).kind == "user"


def test_a_refresh_token_fails_by_its_algorithm_already(keycloak: Bench) -> None:
    refresh = FakeIssuer(KEYCLOAK, clock=Clock(NOW), algorithms=("ES256",)).mint(kind="refresh")
    with pytest.raises(AlgorithmNotAllowedError), Verifier(issuer_url=KEYCLOAK, audience="agent-api") as verifier:
        verifier.verify_now(refresh)


def test_a_logout_token_is_refused_by_its_header_and_by_its_mark(keycloak: Bench) -> None:
    claims = {**KEYCLOAK_USER, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    keycloak.refuse(claims, TokenTypeError, {"typ": "logout+jwt"})
    keycloak.refuse({**claims, "typ": "Logout"}, TokenTypeError)


def test_a_token_bound_to_a_key_is_refused_until_possession_can_be_proven(keycloak: Bench) -> None:
    keycloak.refuse({**KEYCLOAK_USER, "typ": "DPoP", "cnf": {"jkt": "x"}}, TokenTypeError)


@pytest.mark.parametrize("aud", ["account", ["account", "agent-api2"], [], "", None, {"agent-api": 1}])
def test_a_token_for_somebody_else_is_refused(keycloak: Bench, aud: object) -> None:
    keycloak.refuse({**KEYCLOAK_USER, "aud": aud}, AudienceMismatchError)


def test_a_token_without_audience_needs_its_client_named(keycloak: Bench) -> None:
    claims = {name: value for name, value in KEYCLOAK_USER.items() if name != "aud"}
    keycloak.refuse(claims, AudienceMismatchError)
    by_client = Bench(KEYCLOAK, audience=None, client_ids=["agent-ui"])
    assert by_client.verify(claims).client_id == "agent-ui"
    by_client.refuse({**claims, "azp": "other"}, AudienceMismatchError)
    by_client.refuse({name: value for name, value in claims.items() if name != "azp"}, AudienceMismatchError)


@pytest.mark.parametrize(
    ("organization", "tenant"),
    [({"acme": {"id": "1"}}, "acme"), (["acme"], "acme"), (["acme", "other"], None), ({}, None), ([], None)],
)
def test_the_tenant_is_the_one_organization_if_there_is_one(
    keycloak: Bench, organization: object, tenant: str | None
) -> None:
    assert keycloak.verify({**KEYCLOAK_USER, "organization": organization}).tenant == tenant
