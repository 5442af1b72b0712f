"""Whose token it is, for people: by issuers as they are, and as they are mistyped; else by the claims."""

from __future__ import annotations

import pytest

from oidcbridge.diagnosis.recognition import recognise_provider
from oidcbridge.profiles import PROFILES, profile_for
from tests.providers.sample import Sample, all_samples

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"

#: An issuer that no row has, and the provider that it was meant to be.
MISSPELT = [
    ("https://id.example.com/realms/acme/", "keycloak"),
    ("https://acme.eu.auth0.com", "auth0"),
    ("https://acme.eu.auth0.com/oauth/token", "auth0"),
    ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123/", "cognito"),
    ("https://acme.okta.com/oauth2/default/", "okta"),
    ("https://acme.okta.com/oauth2/default/v1/keys", "okta"),
    (f"https://login.microsoftonline.com/{TENANT}", "entra"),
    (f"https://login.microsoftonline.com/{TENANT}/v2.0/", "entra"),
    (f"https://sts.windows.net/{TENANT}", "entra"),
    ("accounts.google.com", "google"),
    ("https://accounts.google.com/", "google"),
    ("https://acme-x1y2.zitadel.cloud/", "zitadel"),
    ("https://sso.acme.example/application/o/agents", "authentik"),
    ("https://acme.example/dex/", "dex"),
    ("https://auth.pingone.eu/9b3c7f10/as/", "pingone"),
    ("https://auth.pingone.eu/9b3c7f10", "pingone"),
]


@pytest.mark.parametrize(("url", "name"), MISSPELT)
def test_an_issuer_that_is_mistyped_is_still_known_and_decides_nothing(url: str, name: str) -> None:
    assert recognise_provider(url, {}) == (name, "by its issuer URL")
    assert profile_for("auto", url) is PROFILES["generic"]


@pytest.mark.parametrize("sample", all_samples(), ids=lambda one: f"{one.provider}-{one.name}")
def test_what_a_verifier_goes_by_is_also_what_people_are_told(sample: Sample) -> None:
    row = profile_for("auto", sample.issuer)
    assert row is PROFILES["generic"] or recognise_provider(sample.issuer, {}).name == row.name


@pytest.mark.parametrize(
    "url",
    [
        "https://okta.com.evil.example/oauth2/default",
        "https://acme.okta.com.evil.example/oauth2/default",
        "https://login.microsoftonline.com.evil.example/x/v2.0",
        "https://auth0.com/",
        "https://accounts.google.com.evil.example",
        "https://id.example.com",
        "",
    ],
)
def test_a_host_that_only_begins_like_a_provider_s_is_nobody_s(url: str) -> None:
    assert recognise_provider(url, {}).name == "generic"


@pytest.mark.parametrize("issuer", [None, 7, ["https://acme.eu.auth0.com/"], {}])
def test_an_issuer_that_is_no_text_leaves_it_to_the_claims(issuer: object) -> None:
    assert recognise_provider(issuer, {}).name == "generic"
    assert recognise_provider(issuer, {"token_use": "access"}) == ("cognito", "by its claims (token_use)")
