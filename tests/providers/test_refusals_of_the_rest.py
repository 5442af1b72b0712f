"""What the same rows refuse, each provider's own traps among it."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    ConfigurationError,
    TokenTypeError,
    UnknownIssuerError,
)
from tests.providers.documented import ENTRA_V1, ENTRA_V2, GUID, ISSUERS, USUAL, principal_of
from tests.providers.sample import load_sample

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
