"""Entra's issuer for all tenants, as oidc-provider plays it: two tenants of one key set, one guest in both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import BadSignatureError, IssuerMismatchError, TokenTypeError, UnknownIssuerError
from oidcbridge.profiles import PROFILES, IssuerTemplate
from tests.providers.live.tokens import unverified_claims, with_claims
from tests.providers.sample import load_sample
from tests.providers.servers.oidc_provider import SHAPE_PATHS, OidcProvider

API_ID = load_sample("entra", "v2-user").payload["aud"]
ACME, OTHER = (SHAPE_PATHS[shape].split("/")[1] for shape in ("entra-v2", "entra-v2-other"))
#: Entra's own row, whose template is at Microsoft's hosts alone, on loopback.
ENTRA = replace(
    PROFILES["entra"],
    template=IssuerTemplate(r"http://127\.0\.0\.1:\d+/(?P<tenant>organizations)/v2\.0", ".{36}", "tid"),
)


def verifier_for(server: OidcProvider, **arguments: Any) -> Verifier:
    issuer_url = server.organizations_url.partition("/.well-known/")[0]
    return Verifier(**{"issuer_url": issuer_url, "audience": API_ID, "provider": ENTRA, **arguments})


def log_in(server: OidcProvider, shape: str = "entra-v2", kind: str = "access_token") -> str:
    token: str = server.log_in(shape)[kind]
    return token


def test_one_oid_in_two_tenants_is_two_users(oidc_provider: OidcProvider) -> None:
    tokens = [log_in(oidc_provider, shape) for shape in ("entra-v2", "entra-v2-other")]
    oid = load_sample("entra", "v2-user").payload["oid"]
    assert {unverified_claims(token)["oid"] for token in tokens} == {oid}
    with verifier_for(oidc_provider, tenants=[ACME, OTHER]) as verifier:
        principals = [verifier.verify_now(token) for token in tokens]
    assert [one.user_id for one in principals] == [f"{ACME}:{oid}", f"{OTHER}:{oid}"]
    assert [one.tenant for one in principals] == [ACME, OTHER]
    assert [one.issuer for one in principals] == [unverified_claims(token)["iss"] for token in tokens]


def test_a_tenant_that_is_not_on_the_list_is_a_stranger_though_the_same_key_signed(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, tenants=[ACME]) as verifier:
        assert verifier.verify_now(log_in(oidc_provider)).tenant == ACME
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(log_in(oidc_provider, "entra-v2-other"))


def test_a_token_that_names_another_tenant_than_its_issuer_s_is_refused(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, tenants=[ACME, OTHER]) as verifier:
        with pytest.raises(IssuerMismatchError, match="tid"):
            verifier.verify_now(with_claims(log_in(oidc_provider), tid=OTHER))
        with pytest.raises(BadSignatureError):
            verifier.verify_now(
                with_claims(log_in(oidc_provider), tid=OTHER, iss=oidc_provider.issuer_url("entra-v2-other"))
            )


def test_an_app_of_a_tenant_has_permissions_and_no_scopes(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, tenants=[ACME]) as verifier:
        principal = verifier.verify_now(oidc_provider.machine_token("entra-v2"))
    assert (principal.kind, principal.permissions, principal.scopes) == ("machine", ("Tools.Run.All",), ())
    assert principal.user_id == f"{ACME}:{load_sample('entra', 'v2-app-only').payload['oid']}"


def test_a_tenant_s_id_token_is_refused_also_by_an_api_that_is_the_client(oidc_provider: OidcProvider) -> None:
    with verifier_for(oidc_provider, tenants=[ACME], audience=[API_ID, "agent-ui"]) as verifier:
        assert verifier.verify_now(log_in(oidc_provider)).kind == "user"
        with pytest.raises(TokenTypeError):
            verifier.verify_now(log_in(oidc_provider, kind="id_token"))
