"""Cognito: tokens that moto made, of its own shape and signature; with them the profile that its issuer URL names."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import AudienceMismatchError, BadSignatureError, TokenTypeError, UnknownIssuerError
from tests.providers.live.tokens import unverified_claims, with_claims
from tests.providers.sample import load_sample
from tests.providers.servers.cognito import Cognito, UserPool


class Login(NamedTuple):
    pool: UserPool
    client_id: str
    tokens: dict[str, Any]


@pytest.fixture(scope="module")
def login(cognito: Cognito) -> Login:
    pool = cognito.make_pool()
    client_id = pool.make_client()
    pool.make_user("alice", groups=["admins", "readers"])
    return Login(pool, client_id, pool.log_in(client_id, "alice"))


def verifier_for(login: Login, **arguments: Any) -> Verifier:
    """What a user of Cognito writes, and where moto's keys are."""
    usual = {"issuer_url": login.pool.issuer_url, "client_ids": [login.client_id], "jwks_uri": login.pool.jwks_uri}
    return Verifier(**{**usual, **arguments})


def test_a_user_is_known_by_sub_with_login_session_groups_and_scopes(login: Login) -> None:
    claims = unverified_claims(login.tokens["AccessToken"])
    with verifier_for(login, dependencies_claims=["username"]) as verifier:
        principal = verifier.verify_now(login.tokens["AccessToken"])
    assert (principal.user_id, principal.kind) == (claims["sub"], "user")
    assert principal.session_id == claims["origin_jti"]
    assert principal.scopes == ("aws.cognito.signin.user.admin",)
    assert sorted(principal.groups) == ["admins", "readers"]  # moto has them in any order
    assert (principal.client_id, principal.tenant) == (login.client_id, None)
    assert principal.dependencies == {"username": "alice"}


def test_the_session_outlasts_a_refresh_and_not_a_second_login(login: Login) -> None:
    refreshed = login.pool.refresh(login.client_id, login.tokens["RefreshToken"])
    second = login.pool.log_in(login.client_id, "alice")
    with verifier_for(login) as verifier:
        sessions = [
            verifier.verify_now(tokens["AccessToken"]).session_id for tokens in (login.tokens, refreshed, second)
        ]
    assert sessions[0] == sessions[1]
    assert sessions[0] != sessions[2]


def test_the_discovery_document_leads_to_the_same_keys(login: Login) -> None:
    with verifier_for(login, jwks_uri=None, discovery_url=login.pool.discovery_url) as verifier:
        assert verifier.verify_now(login.tokens["AccessToken"]).client_id == login.client_id


def test_an_id_token_is_refused_though_its_signature_and_client_are_right(login: Login) -> None:
    with verifier_for(login) as verifier, pytest.raises(TokenTypeError, match="token_use"):
        verifier.verify_now(login.tokens["IdToken"])


def test_a_token_of_another_app_client_is_refused(login: Login) -> None:
    other = login.pool.make_client("other-ui")
    token = login.pool.log_in(other, "alice")["AccessToken"]
    with verifier_for(login, client_ids=[other]) as verifier:
        assert verifier.verify_now(token).client_id == other
    with verifier_for(login) as verifier, pytest.raises(AudienceMismatchError, match="client_ids"):
        verifier.verify_now(token)


def test_a_token_of_another_pool_is_refused_though_the_same_key_signed_it(login: Login, cognito: Cognito) -> None:
    pool = cognito.make_pool("others")
    client_id = pool.make_client()
    pool.make_user("mallory")
    other = Login(pool, client_id, pool.log_in(client_id, "mallory"))
    with verifier_for(other) as verifier:
        assert verifier.verify_now(other.tokens["AccessToken"]).client_id == client_id
    with verifier_for(login, client_ids=[client_id]) as verifier, pytest.raises(UnknownIssuerError):
        verifier.verify_now(other.tokens["AccessToken"])


def test_an_id_token_that_calls_itself_an_access_token_is_refused_by_its_signature(login: Login) -> None:
    forged = with_claims(login.tokens["IdToken"], token_use="access", client_id=login.client_id)
    with verifier_for(login) as verifier, pytest.raises((BadSignatureError, AudienceMismatchError)):
        verifier.verify_now(forged)


@pytest.mark.parametrize(
    ("name", "kind", "not_in_moto", "not_at_aws"),
    [
        ("access-sdk", "AccessToken", {"version", "event_id"}, {"cognito:groups"}),
        ("id", "IdToken", {"at_hash", "event_id", "email_verified", "custom:tenant"}, set()),
    ],
)
def test_moto_s_tokens_have_the_documented_claims(
    login: Login, name: str, kind: str, not_in_moto: set[str], not_at_aws: set[str]
) -> None:
    sample, real = load_sample("cognito", name).payload, unverified_claims(login.tokens[kind])
    assert sample.keys() - real.keys() == not_in_moto
    assert real.keys() - sample.keys() == not_at_aws
    assert {name: type(real[name]) for name in real.keys() & sample.keys()} == {
        name: type(sample[name]) for name in real.keys() & sample.keys()
    }
