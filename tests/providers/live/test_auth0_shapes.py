"""Auth0's two token profiles, signed by oidc-provider and shaped as documented, read by the auth0 profile."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import AudienceMismatchError, BadSignatureError, TokenTypeError, UnknownIssuerError
from tests.providers.live.tokens import unverified_claims, unverified_header, with_claims
from tests.providers.servers.oidc_provider import API, OTHER_API, OidcProvider

USER = "auth0|6553da60a54af58e29493993"
BOTH = pytest.mark.parametrize("shape", ["auth0", "auth0-rfc9068"])


def verifier_for(server: OidcProvider, shape: str, **arguments: Any) -> Verifier:
    usual = {"issuer_url": server.issuer_url(shape), "audience": API, "provider": "auth0"}
    return Verifier(**{**usual, **arguments})


@BOTH
def test_a_user_is_known_by_sub_with_scopes_permissions_and_organization(
    oidc_provider: OidcProvider, shape: str
) -> None:
    token = oidc_provider.log_in(shape, USER, scope="openid profile tools:run")["access_token"]
    with verifier_for(oidc_provider, shape, roles_claim="https://acme.example/roles") as verifier:
        principal = verifier.verify_now(token)
    assert (principal.user_id, principal.kind, principal.client_id) == (USER, "user", "agent-ui")
    assert principal.session_id is None
    assert principal.scopes == ("openid", "profile", "tools:run")
    assert principal.permissions == ("tools:run",)
    assert principal.roles == ("analyst",)
    assert principal.tenant == "org_9ybsU1dN2dKfDkBi"


@BOTH
def test_roles_are_read_from_no_claim_that_nobody_named(oidc_provider: OidcProvider, shape: str) -> None:
    token = oidc_provider.log_in(shape, USER)["access_token"]
    with verifier_for(oidc_provider, shape) as verifier:
        assert verifier.verify_now(token).roles == ()


@BOTH
def test_a_machine_keeps_the_subject_that_marks_it(oidc_provider: OidcProvider, shape: str) -> None:
    with verifier_for(oidc_provider, shape) as verifier:
        principal = verifier.verify_now(oidc_provider.machine_token(shape))
    assert (principal.user_id, principal.kind, principal.client_id) == ("svc@clients", "machine", "svc")
    assert (principal.scopes, principal.permissions) == (("tools:run",), ())


def test_strictness_about_rfc_9068_takes_the_one_profile_and_not_the_other(oidc_provider: OidcProvider) -> None:
    strict, default = oidc_provider.log_in("auth0-rfc9068", USER), oidc_provider.log_in("auth0", USER)
    with verifier_for(oidc_provider, "auth0-rfc9068", token_type="at+jwt") as verifier:
        assert verifier.verify_now(strict["access_token"]).user_id == USER
    with verifier_for(oidc_provider, "auth0", token_type="at+jwt") as verifier, pytest.raises(TokenTypeError):
        verifier.verify_now(default["access_token"])


@BOTH
def test_an_id_token_is_refused_also_by_an_api_that_has_the_client_s_name(
    oidc_provider: OidcProvider, shape: str
) -> None:
    token = oidc_provider.log_in(shape, USER)["id_token"]
    with verifier_for(oidc_provider, shape, audience="agent-ui") as verifier, pytest.raises(TokenTypeError):
        verifier.verify_now(token)


@BOTH
def test_a_token_for_another_api_is_refused_though_userinfo_is_among_its_audiences(
    oidc_provider: OidcProvider, shape: str
) -> None:
    token = oidc_provider.log_in(shape, USER, resource=OTHER_API)["access_token"]
    assert unverified_claims(token)["aud"] == [OTHER_API, f"{oidc_provider.issuer_url(shape)}userinfo"]
    with verifier_for(oidc_provider, shape) as verifier, pytest.raises(AudienceMismatchError):
        verifier.verify_now(token)


@BOTH
def test_a_token_of_a_client_that_is_not_on_the_list_is_refused(oidc_provider: OidcProvider, shape: str) -> None:
    with verifier_for(oidc_provider, shape, client_ids=["agent-ui"]) as verifier:
        assert verifier.verify_now(oidc_provider.log_in(shape, USER)["access_token"]).user_id == USER
        other = oidc_provider.log_in(shape, USER, client_id="other-ui")["access_token"]
        with pytest.raises(AudienceMismatchError, match="client_ids"):
            verifier.verify_now(other)


@BOTH
def test_the_slash_at_the_issuer_s_end_counts(oidc_provider: OidcProvider, shape: str) -> None:
    token, bare = oidc_provider.log_in(shape, USER)["access_token"], oidc_provider.issuer_url(shape).rstrip("/")
    with verifier_for(oidc_provider, shape, issuer_url=bare) as verifier, pytest.raises(UnknownIssuerError):
        verifier.verify_now(token)


@BOTH
def test_a_user_who_calls_himself_a_machine_is_refused(oidc_provider: OidcProvider, shape: str) -> None:
    token = oidc_provider.log_in(shape, USER)["access_token"]
    assert unverified_header(token)["typ"] == ("JWT" if shape == "auth0" else "at+jwt")
    with verifier_for(oidc_provider, shape) as verifier, pytest.raises(BadSignatureError):
        verifier.verify_now(with_claims(token, sub="svc@clients"))
