"""What oidc-provider's customizers write is what the samples say, header by header and claim by claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.providers.live.tokens import unverified_claims, unverified_header
from tests.providers.sample import claim_types, load_sample
from tests.providers.servers.oidc_provider import SHAPE_PATHS, OidcProvider

#: Shape, grant -> the sample that it imitates.
IMITATED = {
    ("auth0", "user"): ("auth0", "user"),
    ("auth0", "machine"): ("auth0", "machine"),
    ("auth0", "id"): ("auth0", "id"),
    ("auth0-rfc9068", "user"): ("auth0", "user-rfc9068"),
    ("auth0-rfc9068", "machine"): ("auth0", "machine-rfc9068"),
    ("okta", "user"): ("okta", "user"),
    ("okta", "machine"): ("okta", "machine"),
    ("okta", "id"): ("okta", "id"),
    ("entra-v2", "user"): ("entra", "v2-user"),
    ("entra-v2", "machine"): ("entra", "v2-app-only"),
    ("entra-v2", "id"): ("entra", "v2-id"),
    ("entra-v2-other", "user"): ("entra", "v2-user"),
    ("entra-v1", "user"): ("entra", "v1-user"),
    ("entra-v1", "machine"): ("entra", "v1-app-only"),
    ("pingone", "user"): ("pingone", "user"),
    ("pingone", "machine"): ("pingone", "machine"),
    ("pingone", "id"): ("pingone", "id"),
    ("zitadel", "user"): ("zitadel", "user"),
    ("authentik", "user"): ("authentik", "access"),
    ("hydra", "user"): ("hydra", "user"),
    ("hydra", "machine"): ("hydra", "machine"),
}
#: oidc-provider makes ID tokens without a customizer: these it adds, or leaves out, as it sees fit.
ID_TOKEN_DIFFERS = ("auth_time", "nonce", "sid", "at_hash")
#: Claims whose value is part of the shape: markers, versions, kinds.
CONSTANT = {"ver", "gty", "idtyp", "azpacr", "appidacr"}


@pytest.mark.parametrize(("shape", "grant"), IMITATED)
def test_a_customizer_s_token_has_the_sample_s_header_and_claims(
    oidc_provider: OidcProvider, shape: str, grant: str
) -> None:
    sample = load_sample(*IMITATED[shape, grant])
    token = _token(oidc_provider, shape, grant)
    header, claims = unverified_header(token), unverified_claims(token)
    without = ID_TOKEN_DIFFERS if grant == "id" else ()
    assert claim_types(claims, without=without) == claim_types(sample.payload, without=without)
    assert {name: claims[name] for name in CONSTANT & claims.keys()} == {
        name: sample.payload[name] for name in CONSTANT & sample.payload.keys()
    }
    if grant != "id":
        assert claim_types(header) == claim_types(sample.header)
        assert header.get("typ") == sample.header.get("typ")


@pytest.mark.parametrize(("shape", "grant"), [key for key in IMITATED if key[1] == "machine"])
def test_a_customizer_s_machine_is_told_from_a_user_as_the_sample_s_is(
    oidc_provider: OidcProvider, shape: str, grant: str
) -> None:
    sample = load_sample(*IMITATED[shape, grant])
    assert _who_it_is(unverified_claims(_token(oidc_provider, shape, grant))) == _who_it_is(sample.payload)


def test_the_issuers_end_as_the_providers_do(oidc_provider: OidcProvider) -> None:
    for shape, path in SHAPE_PATHS.items():
        document = oidc_provider.discovery(shape)
        assert document["issuer"] == f"{oidc_provider.base_url}{path}"
        imitated = [name for (one, _grant), name in IMITATED.items() if one == shape]
        for name in imitated:
            assert load_sample(*name).issuer.endswith("/") == document["issuer"].endswith("/")


def test_entra_s_keys_name_an_issuer_template_and_no_algorithm_and_two_tenants_share_them(
    oidc_provider: OidcProvider,
) -> None:
    keys = oidc_provider.jwks("entra-v2")["keys"]
    template = f"{oidc_provider.base_url}/{{tenantid}}/v2.0"
    assert {key["issuer"] for key in keys} == {template}
    assert all("alg" not in key and key["x5t"] for key in keys)
    assert [key["kid"] for key in oidc_provider.jwks("entra-v2-other")["keys"]] == [key["kid"] for key in keys]
    assert oidc_provider.organizations_discovery()["issuer"] == template


def _token(server: OidcProvider, shape: str, grant: str) -> str:
    if grant == "machine":
        return server.machine_token(shape)
    token: str = server.log_in(shape)["id_token" if grant == "id" else "access_token"]
    return token


def _who_it_is(claims: Mapping[str, Any]) -> dict[str, object]:
    """How the subject stands to the client."""
    client = next(claims[name] for name in ("azp", "client_id", "cid", "appid") if name in claims)
    sub = claims.get("sub")
    return {
        "sub": None if sub is None else {client: "the client", f"{client}@clients": "@clients"}.get(sub, "its own"),
        "is oid": "oid" in claims and sub == claims["oid"],
        "of a person": sorted({"uid", "p1.userId", "preferred_username", "upn"} & claims.keys()),
    }
