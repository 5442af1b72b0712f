"""The test kit's presets mint what the samples say, claim by claim, and the verifier reads them as the provider's."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from oidcbridge.errors import TokenError, TokenTypeError
from oidcbridge.testing import Clock, FakeIssuer, Provider
from tests.providers.sample import Json, claim_types, load_sample

NOW = 1_795_289_700
#: Provider, the kind of token and whose it is -> the sample that has its shape.
IMITATED: dict[tuple[Provider, str, str], str] = {
    ("keycloak", "access", "user"): "user",
    ("keycloak", "access", "machine"): "machine",
    ("keycloak", "id", "user"): "id",
    ("keycloak", "refresh", "user"): "refresh",
    ("auth0", "access", "user"): "user",
    ("auth0", "access", "machine"): "machine",
    ("auth0", "id", "user"): "id",
    ("cognito", "access", "user"): "access",
    ("cognito", "access", "machine"): "machine",
    ("cognito", "id", "user"): "id",
    ("okta", "access", "user"): "user",
    ("okta", "access", "machine"): "machine",
    ("okta", "id", "user"): "id",
    ("entra", "access", "user"): "v2-user",
    ("entra", "access", "machine"): "v2-app-only",
    ("entra", "id", "user"): "v2-id",
    ("google", "access", "user"): "id",
    ("google", "id", "user"): "id",
    ("google", "access", "machine"): "id-service-account",
    ("zitadel", "access", "user"): "user",
    ("zitadel", "id", "user"): "id",
    ("authentik", "access", "user"): "access",
    ("authentik", "id", "user"): "id",
    ("dex", "access", "user"): "access",
    ("dex", "id", "user"): "id",
    ("hydra", "access", "user"): "user",
    ("hydra", "access", "machine"): "machine",
    ("hydra", "id", "user"): "id",
    ("pingone", "access", "user"): "user",
    ("pingone", "access", "machine"): "machine",
    ("pingone", "id", "user"): "id",
}
THREE: tuple[Provider, ...] = ("keycloak", "auth0", "cognito")
_BOTH: tuple[Provider, Provider] = ("generic", "keycloak")
PROVIDERS = sorted({provider for provider, _kind, _subject in IMITATED})
#: What its users write beside issuer and audience.
NEEDS: dict[str, dict[str, Any]] = {
    "google": {"accept_id_tokens": True},
    "dex": {"accept_id_tokens": True},
    "cognito": {"client_ids": ["agent-ui"]},
}
#: Claims whose value is part of the shape: versions and kinds.
CONSTANT = {"ver", "idtyp", "azpacr", "email_verified", "amr", "typ", "token_use", "version", "gty", "acr"}


def parts(token: str) -> tuple[Json, Json]:
    header, payload, _signature = token.split(".")
    read: list[Json] = [json.loads(urlsafe_b64decode(part + "==")) for part in (header, payload)]
    return read[0], read[1]


def issuer_of(provider: Provider, sample: str | None = None) -> FakeIssuer:
    names = {"google": "id", "authentik": "access", "dex": "access", "entra": "v2-user", "cognito": "access"}
    url = load_sample(provider, sample or names.get(provider, "user")).issuer
    return FakeIssuer(url, provider=provider, clock=Clock(NOW), algorithms=("RS256",))


def mint(issuer: FakeIssuer, subject: str, **more: Any) -> str:
    return issuer.mint("ada" if subject == "user" else "agent-ui", scope="openid organization tools:run", **more)


@pytest.mark.parametrize(("provider", "kind", "subject"), IMITATED)
def test_a_preset_s_token_has_the_sample_s_header_and_claims(provider: Provider, kind: Any, subject: str) -> None:
    sample = load_sample(provider, IMITATED[provider, kind, subject])
    header, claims = parts(mint(issuer_of(provider), subject, kind=kind))
    project = "urn:zitadel:iam:org:project:{}:roles"
    renamed = {project.format("agent-api"): project.format("163840776835432705")}
    claims = {renamed.get(name, name): value for name, value in claims.items()}
    expected = sample.payload
    assert claim_types(claims) == claim_types(expected)
    assert {name: claims[name] for name in CONSTANT & claims.keys()} == {
        name: expected[name] for name in CONSTANT & expected.keys()
    }
    assert claim_types(header) == claim_types(sample.header)
    assert header.get("typ") == sample.header.get("typ")


@pytest.mark.parametrize(("provider", "kind", "subject"), IMITATED)
def test_in_a_preset_the_same_claims_are_equal_as_in_the_sample(provider: Provider, kind: Any, subject: str) -> None:
    sample = load_sample(provider, IMITATED[provider, kind, subject])
    _header, claims = parts(mint(issuer_of(provider), subject, kind=kind))
    for one, other in (("sub", "oid"), ("sub", "p1.userId"), ("sub", "cid"), ("sub", "client_id"), ("azp", "aud")):
        if one in sample.payload and other in sample.payload:
            assert (claims[one] == claims[other]) is (sample.payload[one] == sample.payload[other]), (one, other)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_verifier_reads_users_and_machines_of_a_preset_and_refuses_its_id_token(provider: Provider) -> None:
    issuer = issuer_of(provider)
    needs = NEEDS.get(provider, {})
    with issuer.impersonate(), issuer.verifier(provider=provider, **needs) as verifier:
        user = verifier.verify_now(mint(issuer, "user"))
        assert (user.user_id, user.kind) == ("ada", "user")
        if (provider, "access", "machine") in IMITATED:
            machine = verifier.verify_now(mint(issuer, "machine"))
            assert machine.kind == "machine"
            assert machine.user_id != user.user_id
        if "accept_id_tokens" not in needs:
            with pytest.raises(TokenTypeError):
                verifier.verify_now(mint(issuer, "user", kind="id", audience=issuer.audience))
        with pytest.raises(TokenError):
            verifier.verify_now(mint(issuer, "user", audience="other-api"))


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in ("dex", "hydra")])
def test_a_preset_is_taken_by_the_issuer_s_url(provider: Provider) -> None:
    url = "https://acme.zitadel.cloud" if provider == "zitadel" else issuer_of(provider).issuer_url
    by_url = FakeIssuer(url, clock=Clock(NOW), algorithms=("RS256",))
    named = FakeIssuer(url, clock=Clock(NOW), algorithms=("RS256",), provider=provider)
    assert parts(mint(by_url, "user"))[1].keys() == parts(mint(named, "user"))[1].keys()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_test_asks_for_stands_over_the_preset(provider: Provider) -> None:
    issuer = FakeIssuer(
        issuer_of(provider).issuer_url, provider=provider, algorithms=("RS256",), default_claims={"groups": ["own"]}
    )
    header, claims = parts(issuer.mint("ada", claims={"sub": "other"}, header={"typ": "at+jwt"}, audience="mine"))
    assert (claims["groups"], claims["sub"], claims["aud"], header["typ"]) == (["own"], "other", "mine", "at+jwt")


@pytest.mark.parametrize("kind", ["refresh", "logout"])
@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "keycloak"])
def test_other_tokens_of_a_preset_are_the_plain_ones(provider: Provider, kind: Any) -> None:
    plain = FakeIssuer(provider="generic", algorithms=("RS256",))
    ours = FakeIssuer(provider=provider, algorithms=("RS256",))
    assert parts(mint(ours, "user", kind=kind))[1].keys() == parts(mint(plain, "user", kind=kind))[1].keys()


def test_a_keycloak_logout_token_is_the_plain_one_with_keycloak_s_mark() -> None:
    plain, ours = (FakeIssuer(provider=name, algorithms=("RS256",)).mint(kind="logout") for name in _BOTH)
    assert parts(ours)[1].keys() == {*parts(plain)[1], "typ"}
    assert (parts(ours)[1]["typ"], parts(ours)[0]["typ"]) == ("Logout", "logout+jwt")


def test_rights_of_a_preset_s_user_are_those_that_the_test_asked_for() -> None:
    for provider in THREE:
        issuer = issuer_of(provider)
        with issuer.impersonate(), issuer.verifier(provider=provider, **NEEDS.get(provider, {})) as verifier:
            plain, able = (verifier.verify_now(issuer.mint("ada", scope=scope)) for scope in ("", "tools:run"))
        assert (plain.scopes, plain.permissions) == ((), ())
        assert able.scopes == ("tools:run",)
        assert set(plain.roles) <= {"default-roles-acme", "offline_access", "account:view-profile"}
