"""oidc-provider as it is: RFC 9068 tokens by resource indicators, read by the generic profile; and its rotations."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    KeyNotFoundError,
    TokenTypeError,
    UnknownIssuerError,
)
from tests.providers.live.tokens import unverified_claims, unverified_header, with_claims
from tests.providers.servers.oidc_provider import API, APIS, OTHER_API, OidcProvider


def verifier_for(server: OidcProvider, shape: str = "plain", **arguments: Any) -> Verifier:
    usual = {"issuer_url": server.issuer_url(shape), "audience": API}
    return Verifier(**{**usual, **arguments})


def test_a_user_is_known_by_sub_with_session_scopes_roles_and_groups(oidc_provider: OidcProvider) -> None:
    tokens = oidc_provider.log_in("plain", "alice", scope="openid tools:run read:docs")
    with verifier_for(oidc_provider) as verifier:
        principal = verifier.verify_now(tokens["access_token"])
    assert (principal.user_id, principal.kind, principal.client_id) == ("alice", "user", "agent-ui")
    assert principal.session_id == unverified_claims(tokens["id_token"])["sid"]
    assert sorted(principal.scopes) == ["read:docs", "tools:run"]
    assert (principal.roles, principal.groups) == (("analyst",), ("staff",))
    assert principal.issuer == oidc_provider.issuer_url("plain")


def test_the_session_outlasts_a_refresh_and_not_a_second_login(oidc_provider: OidcProvider) -> None:
    first = oidc_provider.log_in("plain")
    refreshed = oidc_provider.refresh("plain", first["refresh_token"])
    second = oidc_provider.log_in("plain")
    assert refreshed["access_token"] != first["access_token"]
    with verifier_for(oidc_provider) as verifier:
        sessions = [verifier.verify_now(tokens["access_token"]).session_id for tokens in (first, refreshed, second)]
    assert sessions[0] == sessions[1]
    assert sessions[0] != sessions[2]


def test_a_machine_is_known_by_its_client(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider) as verifier:
        principal = verifier.verify_now(oidc_provider.machine_token("plain"))
    assert (principal.user_id, principal.kind, principal.session_id) == ("client:svc", "machine", None)
    assert (principal.client_id, principal.scopes) == ("svc", ("tools:run",))


def test_a_user_who_is_called_like_a_client_is_not_that_client(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider) as verifier:
        user = verifier.verify_now(oidc_provider.log_in("plain", "svc")["access_token"])
        machine = verifier.verify_now(oidc_provider.machine_token("plain"))
    assert (user.user_id, user.kind) == ("svc", "user")
    assert (machine.user_id, machine.kind) == ("client:svc", "machine")


@pytest.mark.parametrize("algorithm", APIS)
@pytest.mark.parametrize("token_type", [None, "at+jwt"])
def test_each_algorithm_is_verified_and_can_be_the_only_one(
    oidc_provider: OidcProvider, algorithm: str, token_type: str | None
) -> None:
    api = APIS[algorithm]
    token = oidc_provider.machine_token("plain", resource=api)
    header = unverified_header(token)
    assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
    with verifier_for(oidc_provider, audience=api, algorithm=algorithm, token_type=token_type) as verifier:
        assert verifier.verify_now(token).client_id == "svc"
        with pytest.raises(BadSignatureError):
            verifier.verify_now(with_claims(token, client_id="root"))


def test_an_id_token_is_refused_also_by_an_api_that_has_the_client_s_name(oidc_provider: OidcProvider) -> None:
    token = oidc_provider.log_in("plain")["id_token"]
    with verifier_for(oidc_provider, audience="agent-ui") as verifier, pytest.raises(TokenTypeError):
        verifier.verify_now(token)
    with verifier_for(oidc_provider, token_type="at+jwt") as verifier, pytest.raises(TokenTypeError):
        verifier.verify_now(token)


def test_a_token_for_another_api_is_refused(oidc_provider: OidcProvider) -> None:
    token = oidc_provider.machine_token("plain", resource=OTHER_API)
    with verifier_for(oidc_provider, audience=[API, OTHER_API]) as verifier:
        assert verifier.verify_now(token).client_id == "svc"
    with verifier_for(oidc_provider) as verifier, pytest.raises(AudienceMismatchError):
        verifier.verify_now(token)


def test_a_token_of_a_client_that_is_not_on_the_list_is_refused(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, client_ids=["svc"]) as verifier:
        assert verifier.verify_now(oidc_provider.machine_token("plain")).client_id == "svc"
        with pytest.raises(AudienceMismatchError, match="client_ids"):
            verifier.verify_now(oidc_provider.machine_token("plain", client_id="other-svc"))


def test_a_token_of_another_issuer_on_the_same_server_is_refused(oidc_provider: OidcProvider) -> None:
    token = oidc_provider.machine_token("rotating")
    with verifier_for(oidc_provider) as verifier, pytest.raises(UnknownIssuerError):
        verifier.verify_now(token)
    disguised = with_claims(token, iss=oidc_provider.issuer_url("plain"))
    with verifier_for(oidc_provider) as verifier, pytest.raises(KeyNotFoundError):
        verifier.verify_now(disguised)


def test_a_key_published_ahead_changes_nothing_and_signs_without_a_refusal(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, "rotating", audience=list(APIS.values())) as verifier:
        for step in ("publish", "promote"):
            before = _tokens(oidc_provider)
            oidc_provider.rotate("rotating", step)
            after = _tokens(oidc_provider)
            assert (_kids(before) == _kids(after)) is (step == "publish")
            assert {verifier.verify_now(token).user_id for token in (*before, *after)} == {"client:svc"}


def test_a_key_that_comes_unannounced_is_fetched_and_the_old_one_still_counts(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, "rotating") as verifier:
        old = oidc_provider.machine_token("rotating")
        assert verifier.verify_now(old).client_id == "svc"
        oidc_provider.rotate("rotating", "rotate")
        new = oidc_provider.machine_token("rotating")
        assert verifier.verify_now(new).client_id == "svc"
        assert verifier.verify_now(old).client_id == "svc"


def test_a_withdrawn_key_s_tokens_are_refused_once_the_next_key_is_known(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, "rotating") as verifier:
        old = oidc_provider.machine_token("rotating")
        assert verifier.verify_now(old).client_id == "svc"
        oidc_provider.rotate("rotating", "rotate-hard")
        assert verifier.verify_now(oidc_provider.machine_token("rotating")).client_id == "svc"
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(old)


def _tokens(server: OidcProvider) -> list[str]:
    return [server.machine_token("rotating", resource=api) for api in APIS.values()]


def _kids(tokens: list[str]) -> list[str]:
    return [unverified_header(token)["kid"] for token in tokens]
