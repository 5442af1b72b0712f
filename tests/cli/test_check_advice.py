"""What ``check`` advises where there is no token yet, and how advice is worded; `tests/diagnosis` has the mistakes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oidcbridge.diagnosis.advice import advise
from oidcbridge.diagnosis.inspection import inspect_token
from oidcbridge.diagnosis.token_checks import check_token
from oidcbridge.errors import AudienceMismatchError, KeysUnavailableError
from oidcbridge.settings import IssuerSettings, resolve
from tests.cli.check_kit import check, run, serving, token_of
from tests.diagnosis.mistakes import AUTH0, COGNITO, ENTRA_V2, FOR_COGNITO, FOR_OKTA, KEYCLOAK, OKTA, segment
from tests.providers.sample import load_sample

pytestmark = pytest.mark.usefixtures("environment")


def test_oktas_org_server_is_refused_before_there_is_a_token() -> None:
    org = load_sample("okta", "org-server")
    with serving(org) as issuer:
        bad = check(issuer.issuer_url, *FOR_OKTA)
    assert (bad.exit_code, bad.failed("provider")) == (1, {"provider": "okta_org_server"})
    assert f'issuer_url="{org.issuer}/oauth2/default"' in bad.finding("provider")["advice"]["text"]
    with serving(OKTA) as issuer:
        assert check(issuer.issuer_url, *FOR_OKTA).exit_code == 0


def test_the_issuer_of_all_entra_tenants_says_to_write_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    url, audience = "https://login.microsoftonline.com/organizations/v2.0", str(ENTRA_V2.payload["aud"])
    with serving(ENTRA_V2, issuer_url=url) as issuer:
        jwks = f'"jwks_uri": "{url}/jwks"'
        issuer.discovery_override = (
            f'{{"issuer": "https://login.microsoftonline.com/{{tenantid}}/v2.0", {jwks}}}'.encode()
        )
        bare = check(url, "--audience", audience)
        for name, value in (("ISSUER_URL", url), ("AUDIENCE", audience), ("TENANTS", str(ENTRA_V2.payload["tid"]))):
            monkeypatch.setenv(f"OIDCBRIDGE_{name}", value)
        told = run("check", "--token", "-", token=token_of(ENTRA_V2))
    assert (bare.exit_code, "tenants=" in bare.stderr) == (2, True)
    assert (told.exit_code, told.failed("provider")) == (0, {})
    assert told.report["principal"]["user_id"] == f"{ENTRA_V2.payload['tid']}:{ENTRA_V2.payload['oid']}"


def test_a_provider_at_a_name_of_its_own_is_recognised_by_a_token_and_its_profile_named() -> None:
    at_home = COGNITO.but(iss="https://login.acme.example")
    options = ("--audience", "agent-api")
    with serving(at_home) as issuer:
        ran = check(issuer.issuer_url, *options, token=token_of(at_home.but(aud="agent-api")))
        told = check(issuer.issuer_url, *FOR_COGNITO, "--provider", "cognito", token=token_of(at_home))
    assert (ran.exit_code, ran.finding("profile")["status"]) == (0, "warning")
    assert 'provider="cognito"' in ran.finding("profile")["advice"]["text"]
    assert [one for one in told.report["token"] if one["check"] == "profile"] == []
    assert (told.exit_code, told.report["principal"]["session_id"]) == (0, at_home.payload["origin_jti"])


def test_a_cognito_token_without_client_ids_shows_the_client_to_write() -> None:
    with serving(COGNITO) as issuer:
        ran = check(issuer.issuer_url, token=token_of(COGNITO))
    assert (ran.exit_code, ran.failed(), ran.finding("client")["status"]) == (1, {}, "not_judged")
    assert "57cbishk4j24pabc1234567890" in ran.finding("client")["said"]
    assert "--client-id" in ran.finding("client")["said"]


def _settings(issuer_url: str) -> IssuerSettings:
    return resolve({"issuer_url": issuer_url, "audience": "agent-api", "client_ids": ["ui"]}, {}).issuers[0]


def test_advice_goes_by_the_settings_and_is_for_tokens_alone() -> None:
    error = AudienceMismatchError("aud () does not name ['agent-api']", claim="aud")
    for sample, name in ((KEYCLOAK, "keycloak_audience_mapper"), (AUTH0, "auth0_other_audience")):
        advice = advise(error, token_of(sample), _settings(sample.issuer))
        assert advice is not None
        assert advice.name == name
    assert advise(KeysUnavailableError("no keys"), token_of(KEYCLOAK), _settings(KEYCLOAK.issuer)) is None


_NAMES = (
    "iss",
    "sub",
    "aud",
    "azp",
    "client_id",
    "jti",
    "typ",
    "token_use",
    "tid",
    "oid",
    "nonce",
    "events",
    "alg",
    "kid",
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=12)
    | st.sampled_from(["https://[", "onltac:x", "id", "Bearer", "HS256", "{x}", "https://sts.windows.net/x/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
_MEMBERS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)


@settings(max_examples=300, deadline=None)
@given(header=_MEMBERS, claims=_MEMBERS, alg=st.sampled_from(["RS256", "HS256", "ES512"]))
def test_no_token_makes_advice_fail_or_write_more_than_one_harmless_line(
    header: dict[str, object], claims: dict[str, object], alg: str
) -> None:
    token = ".".join((*(segment(json.dumps(part)) for part in ({"alg": alg, **header}, claims)), "c2ln"))
    for url in (KEYCLOAK.issuer, AUTH0.issuer, COGNITO.issuer, ENTRA_V2.issuer, "https://id.example.com"):
        findings, principal = check_token(token, _settings(url), None, 1e9)
        assert principal is None
        for one in findings:
            assert one.advice is None or (one.advice.text.isascii() and one.advice.text.isprintable())
            assert token not in f"{one}"
    inspect_token(token, 1e9)
