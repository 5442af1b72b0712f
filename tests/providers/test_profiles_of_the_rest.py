"""The rows of the providers that are not Keycloak, Auth0 or Cognito, on documented tokens: who somebody is."""

from __future__ import annotations

import pytest

from oidcbridge.errors import TokenError
from tests.providers.documented import PROJECT, TENANT, principal_of
from tests.providers.sample import load_sample

OKTA_USER = {
    "user_id": "00ujmkLgagxeRrAg20g3",
    "session_id": None,
    "kind": "user",
    "client_id": "0oa1b2c3d4E5f6G7h8i9",
    "scopes": ("openid", "email", "tools:run"),
    "roles": (),
    "groups": ("Everyone", "Analysts"),
    "permissions": (),
    "tenant": None,
}
ENTRA_USER = {
    "user_id": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
    "session_id": None,
    "kind": "user",
    "client_id": "0d1b3c5e-7f2a-4b6d-8c9e-1a2b3c4d5e6f",
    "scopes": ("access_as_user",),
    "roles": ("Analyst",),
    "groups": (),
    "groups_complete": True,
    "permissions": (),
    "tenant": TENANT,
    "dependencies": {"name": "Alice Adams"},
}
ENTRA_APP = {
    "user_id": "b1c7a9d3-5e0f-4d2b-8a6c-7f9e1d3c5b20",
    "kind": "machine",
    "client_id": "0d1b3c5e-7f2a-4b6d-8c9e-1a2b3c4d5e6f",
    "scopes": (),
    "roles": ("Tools.Run.All",),
    "permissions": ("Tools.Run.All",),
    "tenant": TENANT,
}
GOOGLE_USER = {
    "user_id": "110169484474386276334",
    "session_id": None,
    "kind": "user",
    "client_id": "1234567890-agentui.apps.googleusercontent.com",
    "scopes": (),
    "roles": (),
    "groups": (),
    "permissions": (),
    "tenant": None,
    "issuer": "https://accounts.google.com",
    "dependencies": {"name": "Alice Adams", "email": "alice@gmail.com"},
}
ZITADEL_USER: dict[str, object] = {
    "user_id": "177073608051458051",
    "session_id": None,
    "kind": "user",
    "client_id": "170079991923474689@agents",
    "scopes": (),
    "roles": ("analyst",),
    "permissions": (),
    "tenant": "165617389845094785",
    "dependencies": {},
}
DEX_USER = {
    "user_id": "CgcyMzQyNzQ5EgZnaXRodWI",
    "session_id": "4c1d2e3f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
    "kind": "user",
    "client_id": "agent-ui",
    "scopes": (),
    "roles": (),
    "groups": ("acme:analysts",),
    "permissions": (),
    "tenant": "github",
    "dependencies": {"name": "Alice Adams", "email": "alice@acme.example"},
}
HYDRA_USER = {
    "user_id": "c655aa44-ed1c-4d4c-9b0b-3f6a2e5d7c81",
    "session_id": None,
    "kind": "user",
    "client_id": "agent-ui",
    "scopes": ("openid", "tools:run"),
    "roles": ("analyst",),
    "groups": ("staff",),
    "permissions": (),
    "tenant": None,
    "dependencies": {"name": "Alice Adams", "email": "alice@acme.example"},
}
PINGONE_USER = {
    "user_id": "a1c3e5f7-9b0d-4f2e-8a6c-4d5e6f7a8b93",
    "session_id": None,
    "kind": "user",
    "client_id": "2e6f8a0c-1b3d-4f5e-9a7c-8d0b2c4e6f18",
    "scopes": ("openid", "tools:run"),
    "permissions": (),
    "tenant": "9b3c7f10-42d5-4e8a-b6f1-0c5d2e7a9f34",
}


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("okta", "user", OKTA_USER),
        (
            "okta",
            "machine",
            {
                "user_id": "client:0oa9z8y7x6W5v4U3t2s1",
                "kind": "machine",
                "client_id": "0oa9z8y7x6W5v4U3t2s1",
                "scopes": ("tools:run",),
                "groups": (),
            },
        ),
        ("entra", "v2-user", ENTRA_USER),
        ("entra", "v1-user", {**ENTRA_USER, "roles": ()}),
        (
            "entra",
            "v2-groups",
            {**ENTRA_USER, "groups": ("2f5f1c0e-9c0a-4c5e-8b62-3c1a7d6f9e10", "8b1d9e72-44f5-4f0b-a5c3-0d8e6a7b9c21")},
        ),
        ("entra", "v2-overage", {**ENTRA_USER, "groups_complete": False}),
        ("entra", "v2-overage-hasgroups", {**ENTRA_USER, "groups_complete": False}),
        ("entra", "v2-app-only", ENTRA_APP),
        ("entra", "v2-app-only-without-idtyp", ENTRA_APP),
        ("entra", "v1-app-only", ENTRA_APP),
        ("google", "id", GOOGLE_USER),
        ("google", "id-bare-issuer", GOOGLE_USER),
        (
            "google",
            "id-workspace",
            {
                **GOOGLE_USER,
                "tenant": "acme.example",
                "dependencies": {"name": "Alice Adams", "email": "alice@acme.example"},
            },
        ),
        ("zitadel", "user", ZITADEL_USER),
        ("zitadel", "user-plain", {**ZITADEL_USER, "roles": (), "tenant": None}),
        (
            "authentik",
            "access",
            {
                "user_id": "d1f2b7c4e8a9035f6c2d4b1e7a8f9c0d3e5b6a7c8d9e0f1a2b3c4d5e6f7a8b9c",
                "session_id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "kind": "user",
                "client_id": "agent-ui",
                "roles": (),
                "groups": ("analysts", "staff"),
                "tenant": None,
                "dependencies": {"name": "Alice Adams", "email": "alice@acme.example"},
            },
        ),
        ("dex", "access", DEX_USER),
        ("dex", "access-cross-client", DEX_USER),
        ("hydra", "user", HYDRA_USER),
        ("hydra", "user-scope-string", HYDRA_USER),
        (
            "hydra",
            "machine",
            {"user_id": "client:svc", "kind": "machine", "client_id": "svc", "scopes": ("tools:run",), "roles": ()},
        ),
        ("pingone", "user", PINGONE_USER),
        ("pingone", "user-at-jwt", PINGONE_USER),
        ("pingone", "user-odd-actor", PINGONE_USER),
        (
            "pingone",
            "machine",
            {
                "user_id": "client:6d8f0a2c-3e5b-4c7d-9f1e-0b2a4c6d8e37",
                "kind": "machine",
                "client_id": "6d8f0a2c-3e5b-4c7d-9f1e-0b2a4c6d8e37",
                "scopes": ("tools:run",),
            },
        ),
    ],
)
def test_the_principal_says_who_the_documented_token_speaks_for(
    provider: str, name: str, expected: dict[str, object]
) -> None:
    principal = principal_of(load_sample(provider, name))
    assert {field: getattr(principal, field) for field in expected} == expected


def test_a_google_service_account_is_a_machine_with_a_subject_of_its_own() -> None:
    principal = principal_of(load_sample("google", "id-service-account"), audience="https://api.acme.example")
    assert (principal.kind, principal.user_id) == ("machine", "107517467455664443765")


def test_zitadel_s_roles_are_ours_only_in_our_own_project() -> None:
    roles = {"admin": {"165617389845094785": "acme.id.acme.example"}}
    prefix = "urn:zitadel:iam:org:project"
    sample = load_sample("zitadel", "user").but(
        f"{prefix}:{PROJECT}:roles", **{f"{prefix}:roles": roles, f"{prefix}:999:roles": roles}
    )
    assert principal_of(sample).roles == ("999:admin",)
    older = sample.but(f"{prefix}:999:roles")
    assert principal_of(older).roles == ("admin",)
    assert principal_of(load_sample("zitadel", "user"), audience="170079991923474689@agents").roles == (
        f"{PROJECT}:analyst",
    )


def test_okta_s_changeable_login_name_is_not_the_user_id() -> None:
    sample = load_sample("okta", "user")
    renamed = sample.but(sub="alice.b@example.com")
    assert principal_of(sample).user_id == principal_of(renamed).user_id == "00ujmkLgagxeRrAg20g3"


def test_pingone_without_anybody_in_it_is_a_machine_only_with_a_client() -> None:
    sample = load_sample("pingone", "machine")
    assert principal_of(sample.but(sub="someone")).kind == "user"
    with pytest.raises(TokenError):
        principal_of(sample.but("client_id"))
