"""Messages that teach: each mistake, with a provider's own token, and the setting or console step that mends it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oidcbridge.diagnosis.advice import advise
from oidcbridge.diagnosis.inspection import inspect_token
from oidcbridge.diagnosis.token_checks import check_token
from oidcbridge.errors import AudienceMismatchError, KeysUnavailableError
from oidcbridge.settings import IssuerSettings, resolve
from tests.cli.check_kit import check, run, serving, token_of
from tests.providers.sample import Sample, load_sample

pytestmark = pytest.mark.usefixtures("environment")

KEYCLOAK = load_sample("keycloak", "user")
AUTH0 = load_sample("auth0", "user")
COGNITO = load_sample("cognito", "access")
OKTA = load_sample("okta", "user")
ENTRA_V2 = load_sample("entra", "v2-user")
ENTRA_V1 = load_sample("entra", "v1-user")

_FOR_KEYCLOAK = ("--audience", "agent-api")
_FOR_AUTH0 = ("--audience", "https://api.acme.example")
_FOR_COGNITO = ("--client-id", str(COGNITO.payload["client_id"]))
_FOR_OKTA = ("--audience", "api://default")


@dataclass(frozen=True)
class Mistake:
    """A token with one mistake, what ``check`` must say of it, and the same without the mistake."""

    name: str
    token: Sample
    options: tuple[str, ...]
    fails: Mapping[str, str | None]
    says: tuple[str, ...]
    mended: Sample
    mended_options: tuple[str, ...] | None = None
    header: Mapping[str, object] = field(default_factory=dict)
    issuer_url: str | None = None
    mended_issuer_url: str | None = None


MISTAKES = [
    Mistake(
        "Keycloak without an audience mapper",
        KEYCLOAK.but("aud"),
        _FOR_KEYCLOAK,
        {"audience": "keycloak_audience_mapper"},
        ("Clients > agent-ui", "agent-ui-dedicated", "Included Custom Audience = agent-api"),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak with the audience of its account console",
        KEYCLOAK.but(aud="account"),
        _FOR_KEYCLOAK,
        {"audience": "keycloak_audience_mapper"},
        ("Included Custom Audience = agent-api",),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak without the basic scope",
        KEYCLOAK.but("sub"),
        _FOR_KEYCLOAK,
        {"user": "keycloak_basic_scope"},
        ("'basic'", "Client scopes"),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak's lightweight access token",
        load_sample("keycloak", "lightweight"),
        _FOR_KEYCLOAK,
        {"audience": "keycloak_lightweight", "user": "keycloak_lightweight"},
        ("lightweight.claim", "Always use lightweight access token"),
        load_sample("keycloak", "lightweight").but(sub="u-1", aud="agent-api"),
    ),
    Mistake(
        "Keycloak with a client that signs by its secret",
        KEYCLOAK,
        _FOR_KEYCLOAK,
        {"algorithm": "keycloak_shared_secret"},
        ("Access token signature algorithm", "access.token.signed.response.alg"),
        KEYCLOAK,
        header={"alg": "HS256"},
    ),
    Mistake(
        "Keycloak's refresh token",
        load_sample("keycloak", "refresh"),
        ("--audience", str(load_sample("keycloak", "refresh").payload["aud"])),
        {"algorithm": "refresh_token", "kind": "refresh_token"},
        ("access_token",),
        KEYCLOAK,
        mended_options=_FOR_KEYCLOAK,
    ),
    Mistake(
        "the client's id for an audience",
        KEYCLOAK,
        ("--audience", "agent-ui"),
        {"audience": "client_as_audience"},
        ('client_ids=["agent-ui"]', "agent-api"),
        KEYCLOAK,
        mended_options=(*_FOR_KEYCLOAK, "--client-id", "agent-ui"),
    ),
    Mistake(
        "a token of Okta's org server",
        load_sample("okta", "org-server"),
        ("--audience", str(load_sample("okta", "org-server").payload["aud"])),
        {"header_type": "okta_org_server"},
        ("Security > API > Authorization Servers", "/oauth2/default", "api://default"),
        OKTA,
        mended_options=_FOR_OKTA,
        mended_issuer_url=OKTA.issuer,
    ),
    Mistake(
        "another audience than that of Okta's server",
        OKTA,
        ("--audience", "agent-api"),
        {"audience": "okta_other_audience"},
        ("api://default", "Settings > Audience"),
        OKTA,
        mended_options=_FOR_OKTA,
    ),
    Mistake(
        "a token for Microsoft Graph",
        load_sample("entra", "graph"),
        ("--audience", "6e74172b-be56-4843-9ff4-e66a39bb12e3"),
        {"audience": "entra_graph_token", "kind": "entra_graph_token"},
        ("Microsoft Graph", "Expose an API"),
        ENTRA_V2,
    ),
    Mistake(
        "an Entra token of version 1 where version 2 is expected",
        ENTRA_V1,
        ("--audience", str(ENTRA_V1.payload["aud"])),
        {"issuer": "entra_version_mix"},
        ("requestedAccessTokenVersion", f'issuer_url="{ENTRA_V1.issuer}"'),
        ENTRA_V1,
        issuer_url=ENTRA_V2.issuer,
        mended_issuer_url=ENTRA_V1.issuer,
    ),
    Mistake(
        "an Entra token of version 2 where version 1 is expected",
        ENTRA_V2,
        ("--audience", str(ENTRA_V2.payload["aud"])),
        {"issuer": "entra_version_mix"},
        (f'issuer_url="{ENTRA_V2.issuer}"',),
        ENTRA_V2,
        issuer_url=ENTRA_V1.issuer,
        mended_issuer_url=ENTRA_V2.issuer,
    ),
    Mistake(
        "Auth0 asked for another API",
        AUTH0.but(aud="https://other.acme.example"),
        _FOR_AUTH0,
        {"audience": "auth0_other_audience"},
        ("audience=https://api.acme.example", "Identifier"),
        AUTH0,
    ),
    Mistake(
        "an API at Auth0 that signs by a secret",
        AUTH0,
        _FOR_AUTH0,
        {"algorithm": "auth0_shared_secret"},
        ("Signing Algorithm to RS256",),
        AUTH0,
        header={"alg": "HS256"},
    ),
    Mistake(
        "Cognito's ID token",
        load_sample("cognito", "id"),
        _FOR_COGNITO,
        {"kind": "cognito_id_token", "client": "cognito_other_client", "audience": "id_token"},
        ("access_token", "token_use"),
        COGNITO,
    ),
    Mistake(
        "another app client at Cognito",
        COGNITO,
        ("--client-id", "somebody-else"),
        {"client": "cognito_other_client"},
        ('client_ids=["57cbishk4j24pabc1234567890"]', "OIDCBRIDGE_CLIENT_IDS"),
        COGNITO,
        mended_options=_FOR_COGNITO,
    ),
    Mistake(
        "an ID token",
        load_sample("auth0", "id"),
        ("--audience", str(load_sample("auth0", "id").payload["aud"])),
        {"kind": "id_token"},
        ("access_token",),
        AUTH0,
        mended_options=_FOR_AUTH0,
    ),
    Mistake(
        "a wrong slash at the issuer's end",
        AUTH0,
        _FOR_AUTH0,
        {"issuer": "issuer_slash"},
        ('issuer_url="https://acme.eu.auth0.com/"',),
        AUTH0,
        issuer_url="https://acme.eu.auth0.com",
        mended_issuer_url=AUTH0.issuer,
    ),
    Mistake(
        "a token of the provider's other host name",
        KEYCLOAK.but(iss="http://keycloak:8080/realms/acme"),
        _FOR_KEYCLOAK,
        {"issuer": "issuer_host"},
        ('issuer_url="http://keycloak:8080/realms/acme"', "discovery_url", "OIDCBRIDGE_DISCOVERY_URL"),
        KEYCLOAK,
        issuer_url=KEYCLOAK.issuer,
    ),
    Mistake(
        "a token of somebody else",
        KEYCLOAK.but(iss="https://elsewhere.example"),
        _FOR_KEYCLOAK,
        {"issuer": "other_issuer"},
        ('issuer_url="https://elsewhere.example"',),
        KEYCLOAK,
        issuer_url=KEYCLOAK.issuer,
    ),
    Mistake(
        "a client that is not on the list",
        KEYCLOAK,
        (*_FOR_KEYCLOAK, "--client-id", "another-ui"),
        {"client": "other_client"},
        ('client_ids=["agent-ui"]',),
        KEYCLOAK,
        mended_options=(*_FOR_KEYCLOAK, "--client-id", "another-ui", "--client-id", "agent-ui"),
    ),
    Mistake(
        "a token bound to the client's key",
        KEYCLOAK.but(cnf={"jkt": "x"}),
        _FOR_KEYCLOAK,
        {"sender": "sender_constrained"},
        ("Require DPoP bound tokens",),
        KEYCLOAK,
    ),
    Mistake(
        "a user id of the namespace that marks machines",
        KEYCLOAK.but(sub="client:svc"),
        _FOR_KEYCLOAK,
        {"user": None},
        (),
        KEYCLOAK,
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_named_with_the_setting_that_mends_it_and_passes_once_mended(mistake: Mistake) -> None:
    with serving(mistake.token, issuer_url=mistake.issuer_url) as issuer:
        bad = check(issuer.issuer_url, *mistake.options, token=token_of(mistake.token, **mistake.header))
    assert (bad.exit_code, bad.report["outcome"], bad.report["principal"]) == (1, "failed", None)
    assert bad.failed() == mistake.fails
    text = " ".join((one["advice"] or {}).get("text", "") for one in bad.report["token"])
    assert [word for word in mistake.says if word not in text] == []

    with serving(mistake.mended, issuer_url=mistake.mended_issuer_url) as issuer:
        options = mistake.mended_options or mistake.options
        good = check(issuer.issuer_url, *options, token=token_of(mistake.mended))
    assert (good.exit_code, good.failed(), good.failed("provider")) == (0, {}, {})
    assert good.report["principal"]["user_id"]


def _segment(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


_ENCRYPTED = _segment('{"alg":"dir","enc":"A256GCM","iss":"https://acme.eu.auth0.com/"}') + "..aXY.Y2lwaGVy.dGFn"
_OPAQUE = "ya29.a0AfH6SMBxyz-opaque"


@pytest.mark.parametrize(
    ("sample", "options", "token", "advice", "says"),
    [
        (AUTH0, _FOR_AUTH0, _ENCRYPTED, "auth0_no_audience", ("audience=https://api.acme.example", "Default Audience")),
        (AUTH0, _FOR_AUTH0, "opaque-token", "auth0_no_audience", ("Default Audience",)),
        (OKTA, _FOR_OKTA, _ENCRYPTED.replace("auth0", "okta"), "encrypted_token", ("encryption off",)),
        (KEYCLOAK, _FOR_KEYCLOAK, _OPAQUE, "opaque_token", ("strategies.access_token: jwt", "Auth Token Type = JWT")),
    ],
)
def test_a_token_that_nobody_can_read_says_how_to_get_one_that_can_be_read(
    sample: Sample, options: tuple[str, ...], token: str, advice: str, says: tuple[str, ...]
) -> None:
    with serving(sample) as issuer:
        bad = check(issuer.issuer_url, *options, token=token)
        good = check(issuer.issuer_url, *options, token=token_of(sample))
    assert (bad.exit_code, bad.failed()) == (1, {"format": advice})
    assert [word for word in says if word not in bad.finding("format")["advice"]["text"]] == []
    assert token not in f"{bad.report}{bad.stderr}"
    assert good.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("https://id.example.com/realms/acme/.well-known/openid-configuration",),
            'write issuer_url="https://id.example.com/realms/acme"',
        ),
        (
            ("https://acme.eu.auth0.com/.well-known/openid-configuration",),
            'write issuer_url="https://acme.eu.auth0.com/"',
        ),
        (("acme.eu.auth0.com",), 'write issuer_url="https://acme.eu.auth0.com/"'),
        (("id.example.com",), "https://HOST/realms/REALM"),
        (("http://id.example.com/realms/acme",), "Use https"),
        ((COGNITO.issuer, "--audience", "57cbishk4j24pabc1234567890"), 'client_ids=["57cbishk4j24pabc1234567890"]'),
        (("https://id.example.com", "--provider", "keyclock"), "write one of auto, keycloak"),
    ],
)
def test_settings_that_cannot_be_are_usage_and_say_what_to_write(arguments: tuple[str, ...], says: str) -> None:
    ran = check(*arguments)
    assert (ran.exit_code, ran.report) == (2, {})
    assert ran.stderr.startswith("oidcbridge check: ")
    assert says in ran.stderr


def test_a_cognito_client_id_that_is_given_as_one_is_taken() -> None:
    with serving(COGNITO) as issuer:
        assert check(issuer.issuer_url, *_FOR_COGNITO).exit_code == 0


def test_both_spellings_of_an_issuer_are_shown_and_the_right_one_is_what_fits() -> None:
    with serving(AUTH0, issuer_url="https://acme.eu.auth0.com/") as issuer:
        bad = check("https://acme.eu.auth0.com", *_FOR_AUTH0)
        good = check(issuer.issuer_url, *_FOR_AUTH0)
    finding = bad.finding("issuer")
    assert (bad.exit_code, finding["advice"]["name"]) == (1, "issuer_slash")
    assert "'https://acme.eu.auth0.com/'" in finding["said"]
    assert "'https://acme.eu.auth0.com'" in finding["said"]
    assert bad.report["settings"]["issuer_url"] == "https://acme.eu.auth0.com/"
    assert (good.exit_code, good.report["settings"]["provider"]) == (0, "auth0")


def test_oktas_org_server_is_refused_before_there_is_a_token() -> None:
    org = load_sample("okta", "org-server")
    with serving(org) as issuer:
        bad = check(issuer.issuer_url, *_FOR_OKTA)
    assert (bad.exit_code, bad.failed("provider")) == (1, {"provider": "okta_org_server"})
    assert f'issuer_url="{org.issuer}/oauth2/default"' in bad.finding("provider")["advice"]["text"]
    with serving(OKTA) as issuer:
        assert check(issuer.issuer_url, *_FOR_OKTA).exit_code == 0


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
        told = check(issuer.issuer_url, *_FOR_COGNITO, "--provider", "cognito", token=token_of(at_home))
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


def _issuers(*issuer_urls: str) -> tuple[IssuerSettings, ...]:
    return tuple(
        resolve({"issuer_url": url, "audience": "agent-api", "client_ids": ["ui"]}, {}).issuers[0]
        for url in issuer_urls
    )


def test_the_log_gets_the_same_advice_from_the_settings_of_the_issuer_that_the_token_names() -> None:
    issuers = _issuers("https://acme.eu.auth0.com/", "https://id.example.com/realms/acme")
    error = AudienceMismatchError("aud () does not name ['agent-api']", claim="aud")
    for sample, name in ((KEYCLOAK, "keycloak_audience_mapper"), (AUTH0, "auth0_other_audience")):
        advice = advise(error, token_of(sample), issuers)
        assert advice is not None
        assert advice.name == name
    assert advise(KeysUnavailableError("no keys"), token_of(KEYCLOAK), issuers) is None
    assert advise(error, token_of(KEYCLOAK), ()) is None


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
    token = ".".join((*(_segment(json.dumps(part)) for part in ({"alg": alg, **header}, claims)), "c2ln"))
    for issuer in _issuers(KEYCLOAK.issuer, AUTH0.issuer, COGNITO.issuer, ENTRA_V2.issuer, "https://id.example.com"):
        findings, principal = check_token(token, issuer, None, 1e9)
        assert principal is None
        for one in findings:
            assert one.advice is None or (one.advice.text.isascii() and one.advice.text.isprintable())
            assert token not in f"{one}"
    inspect_token(token, 1e9)
