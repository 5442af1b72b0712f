"""The rows of the providers that are not Keycloak, Auth0 or Cognito, on documented tokens."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    ConfigurationError,
    TokenError,
    TokenTypeError,
    UnknownIssuerError,
)
from oidcbridge.testing import Clock
from tests.providers.sample import Sample, load_sample, sign

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ENTRA_V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
ENTRA_V1 = f"https://sts.windows.net/{TENANT}/"
GUID = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
PROJECT = "163840776835432705"
#: Provider -> what its users write beside the issuer.
USUAL: dict[str, dict[str, Any]] = {
    "okta": {"audience": "api://default"},
    "entra": {"audience": [GUID, f"api://{GUID}"]},
    "google": {"audience": "1234567890-agentui.apps.googleusercontent.com", "accept_id_tokens": True},
    "zitadel": {"audience": PROJECT, "provider": "zitadel"},
    "authentik": {"audience": "agent-ui"},
    "dex": {"audience": "agent-ui", "accept_id_tokens": True},
    "hydra": {"audience": "agent-api", "provider": "hydra"},
    "pingone": {"audience": "https://api.acme.example"},
}
ISSUERS = {"google": "https://accounts.google.com"}


def principal_of(sample: Sample, **arguments: Any) -> Principal:
    """Verify the sample at its own time, with what its provider's users write; ``arguments`` are laid on top."""
    token, jwks = sign(sample)
    issuer = ISSUERS.get(sample.provider, sample.issuer)
    said = {"issuer_url": issuer, **USUAL[sample.provider], **arguments}
    with Verifier(jwks=jwks, clock=Clock(sample.now), dependencies_claims=["name", "email"], **said) as verifier:
        return verifier.verify_now(token)


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


#: Provider, its ID token, and an audience and client that would let it pass were its kind not told.
ID_TOKENS = [
    ("okta", "id", {"audience": "0oa1b2c3d4E5f6G7h8i9"}),
    ("entra", "v2-id", {}),
    ("zitadel", "id", {}),
    ("authentik", "id", {}),
    ("hydra", "id", {"audience": "agent-ui"}),
    ("pingone", "id", {"audience": "2e6f8a0c-1b3d-4f5e-9a7c-8d0b2c4e6f18"}),
]


@pytest.mark.parametrize(("provider", "name", "arguments"), ID_TOKENS)
@pytest.mark.parametrize("without", [(), ("nonce",), ("nonce", "at_hash"), ("nonce", "at_hash", "auth_time")])
def test_an_id_token_is_refused_though_everything_else_fits(
    provider: str, name: str, arguments: dict[str, Any], without: tuple[str, ...]
) -> None:
    with pytest.raises(TokenTypeError):
        principal_of(load_sample(provider, name).but(*without), **arguments)


@pytest.mark.parametrize("claims", [{"roles": ["Analyst"]}, {"idtyp": "user"}, {"groups": ["g"]}])
def test_an_entra_id_token_with_app_roles_is_no_access_token(claims: dict[str, object]) -> None:
    with pytest.raises(TokenTypeError, match="'scp' or 'roles' with 'azp'"):
        principal_of(load_sample("entra", "v2-id").but(**claims))


@pytest.mark.parametrize("provider", ["google", "dex"])
def test_where_nothing_tells_access_tokens_from_id_tokens_the_operator_has_to_say_so(provider: str) -> None:
    sample = load_sample(provider, "id" if provider == "google" else "access")
    with pytest.raises(ConfigurationError, match="write accept_id_tokens=True"):
        principal_of(sample, accept_id_tokens=False)
    assert principal_of(sample).user_id == sample.payload["sub"]


@pytest.mark.parametrize("provider", ["google", "dex"])
def test_a_logout_token_is_never_accepted_as_an_id_token(provider: str) -> None:
    sample = load_sample(provider, "id")
    with pytest.raises(TokenTypeError, match="events"):
        principal_of(sample.but(events={"http://schemas.openid.net/event/backchannel-logout": {}}))


@pytest.mark.parametrize("provider", ["keycloak", "auth0", "cognito", "okta", "entra", "zitadel", "authentik"])
def test_id_tokens_cannot_be_accepted_where_access_tokens_can_be_told(provider: str) -> None:
    with pytest.raises(ConfigurationError, match="leave accept_id_tokens out"):
        Verifier(issuer_url="https://login.acme.example/x", audience="api", provider=provider, accept_id_tokens=True)


@pytest.mark.parametrize("provider", USUAL)
def test_a_token_for_somebody_else_is_refused(provider: str) -> None:
    names = {"entra": "v2-user", "google": "id", "authentik": "access", "dex": "access"}
    sample = load_sample(provider, names.get(provider, "user"))
    assert principal_of(sample).kind == "user"
    with pytest.raises(AudienceMismatchError):
        principal_of(sample.but(aud="another"))
    with pytest.raises(AudienceMismatchError):
        principal_of(sample, client_ids=["another"])
    with pytest.raises(UnknownIssuerError):
        principal_of(sample.but(iss=f"{sample.issuer}/other"), issuer_url=ISSUERS.get(provider, sample.issuer))


def test_okta_s_org_server_is_refused_on_the_user_s_line_and_by_its_tokens() -> None:
    sample = load_sample("okta", "org-server")
    for url in ("https://acme.okta.com", "https://acme.okta.com/"):
        with pytest.raises(ConfigurationError, match="/oauth2/default"):
            Verifier(issuer_url=url, audience=url)
    with pytest.raises(TokenTypeError, match="okta-internal-at"):
        principal_of(sample.but(iss="https://acme.okta.com/oauth2/default"), audience=sample.payload["aud"])


def test_a_graph_token_is_refused_for_its_header_and_graph_as_audience_on_the_user_s_line() -> None:
    sample = load_sample("entra", "graph")
    with pytest.raises(TokenTypeError, match="nonce in the header"):
        principal_of(sample.but(aud=GUID))
    for audience in ("00000003-0000-0000-c000-000000000000", ["api", "https://graph.microsoft.com/"]):
        with pytest.raises(ConfigurationError, match="Expose an API"):
            Verifier(issuer_url=ENTRA_V2, audience=audience)


def test_each_entra_version_has_an_issuer_of_its_own() -> None:
    with pytest.raises(UnknownIssuerError):
        principal_of(load_sample("entra", "v1-user"), issuer_url=ENTRA_V2)
    with pytest.raises(UnknownIssuerError):
        principal_of(load_sample("entra", "v2-user"), issuer_url=ENTRA_V1)


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


def test_a_hydra_token_without_an_audience_needs_its_client_to_be_allowed() -> None:
    sample = load_sample("hydra", "user-without-audience")
    with pytest.raises(AudienceMismatchError):
        principal_of(sample)
    assert principal_of(sample, audience=None, client_ids=["agent-ui"]).user_id == sample.payload["sub"]
    with pytest.raises(AudienceMismatchError):
        principal_of(sample, audience=None, client_ids=["another"])


@pytest.mark.parametrize("uid", ["", None, 7, ["x"]])
def test_authentik_s_mark_has_to_be_some_text(uid: object) -> None:
    sample = load_sample("authentik", "access")
    assert principal_of(sample).user_id
    with pytest.raises(TokenTypeError, match="uid"):
        principal_of(sample.but(uid=uid))


def test_okta_s_changeable_login_name_is_not_the_user_id() -> None:
    sample = load_sample("okta", "user")
    renamed = sample.but(sub="alice.b@example.com")
    assert principal_of(sample).user_id == principal_of(renamed).user_id == "00ujmkLgagxeRrAg20g3"


def test_pingone_without_anybody_in_it_is_a_machine_only_with_a_client() -> None:
    sample = load_sample("pingone", "machine")
    assert principal_of(sample.but(sub="someone")).kind == "user"
    with pytest.raises(TokenError):
        principal_of(sample.but("client_id"))
