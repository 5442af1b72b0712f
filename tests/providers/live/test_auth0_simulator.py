"""Auth0 as @simulacrum/auth0-simulator has it: https by a private authority, and the slash at the issuer's end."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    MissingClaimError,
    ProviderError,
    UnknownIssuerError,
)
from tests.providers.live.tokens import unverified_claims, with_claims
from tests.providers.servers.auth0_simulator import API, CLIENT_ID, USER_ID, Auth0Simulator


def verifier_for(server: Auth0Simulator, **arguments: Any) -> Verifier:
    trusting = FetchOptions(ca_file=str(server.ca_file))
    usual = {"issuer_url": server.issuer_url, "audience": API, "provider": "auth0", "fetch": trusting}
    return Verifier(**{**usual, **arguments})


def test_a_user_is_known_by_sub_with_scopes_and_no_session(auth0_simulator: Auth0Simulator) -> None:
    with verifier_for(auth0_simulator, dependencies_claims=["email"]) as verifier:
        principal = verifier.verify_now(auth0_simulator.log_in()["access_token"])
    assert (principal.user_id, principal.kind, principal.session_id) == (USER_ID, "user", None)
    assert principal.scopes == ("openid", "profile", "email", "read:docs")
    assert (principal.roles, principal.permissions) == ((), ())
    assert principal.dependencies == {"email": "alice@example.com"}


def test_without_the_authority_s_certificate_the_provider_cannot_be_asked(auth0_simulator: Auth0Simulator) -> None:
    token = auth0_simulator.log_in()["access_token"]
    with verifier_for(auth0_simulator, fetch=FetchOptions()) as verifier, pytest.raises(ProviderError):
        verifier.verify_now(token)


def test_the_issuer_without_its_slash_is_another(auth0_simulator: Auth0Simulator) -> None:
    token, bare = auth0_simulator.log_in()["access_token"], auth0_simulator.issuer_url.rstrip("/")
    with verifier_for(auth0_simulator, issuer_url=bare) as verifier, pytest.raises(UnknownIssuerError):
        verifier.verify_now(token)


def test_an_id_token_is_refused(auth0_simulator: Auth0Simulator) -> None:
    token = auth0_simulator.log_in()["id_token"]
    assert unverified_claims(token)["aud"] == CLIENT_ID
    with verifier_for(auth0_simulator) as verifier, pytest.raises(AudienceMismatchError):
        verifier.verify_now(token)


def test_a_token_for_another_api_is_refused(auth0_simulator: Auth0Simulator) -> None:
    token = auth0_simulator.log_in(audience="https://other.acme.example")["access_token"]
    with verifier_for(auth0_simulator, audience="https://other.acme.example") as verifier:
        assert verifier.verify_now(token).user_id == USER_ID
    with verifier_for(auth0_simulator) as verifier, pytest.raises(AudienceMismatchError):
        verifier.verify_now(token)


def test_a_token_of_another_client_is_refused_where_clients_are_listed(auth0_simulator: Auth0Simulator) -> None:
    token = auth0_simulator.log_in()["access_token"]  # it names no client at all, as the real service would
    with verifier_for(auth0_simulator, client_ids=["agent-ui"]) as verifier, pytest.raises(AudienceMismatchError):
        verifier.verify_now(token)


def test_a_machine_without_a_subject_is_nobody(auth0_simulator: Auth0Simulator) -> None:
    token = auth0_simulator.machine_token()
    assert "sub" not in unverified_claims(token)
    with verifier_for(auth0_simulator) as verifier, pytest.raises(MissingClaimError):
        verifier.verify_now(token)


def test_a_changed_subject_is_refused(auth0_simulator: Auth0Simulator) -> None:
    token = with_claims(auth0_simulator.log_in()["access_token"], sub="auth0|somebody-else")
    with verifier_for(auth0_simulator) as verifier, pytest.raises(BadSignatureError):
        verifier.verify_now(token)
