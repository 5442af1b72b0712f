"""``OIDCBRIDGE_*``: read where the code names nothing, never echoed, and never able to weaken a check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from oidcbridge import ConfigurationError, TokenSource, Verifier
from oidcbridge.arguments import HttpArguments, VerifierArguments
from oidcbridge.environment import HTTP_VARIABLES, VERIFIER_VARIABLES, read_environment
from oidcbridge.settings import Settings, resolve
from oidcbridge.testing import FakeIssuer, FakeKey

URL = "https://id.example.com/realms/acme"
SECRET = "a shared secret of at least thirty-two bytes"
GOOD = {"OIDCBRIDGE_ISSUER_URL": URL, "OIDCBRIDGE_AUDIENCE": "agent-api"}


def build(environ: dict[str, str], **arguments: Any) -> Settings:
    return resolve(arguments, environ)  # type: ignore[arg-type]


def test_an_issuer_and_its_audience_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeIssuer(URL).impersonate() as issuer:
        for name, value in GOOD.items():
            monkeypatch.setenv(name, value)
        with Verifier() as verifier:
            assert verifier.issuer_urls == (URL,)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def test_lists_are_parted_by_commas_and_trimmed() -> None:
    settings = build(
        {
            **GOOD,
            "OIDCBRIDGE_AUDIENCE": " agent-api , https://api.acme.example,",
            "OIDCBRIDGE_CLIENT_IDS": "agent-ui,agent-svc",
            "OIDCBRIDGE_ALGORITHMS": "RS256, ES256",
            "OIDCBRIDGE_ROLES_CLAIM": "realm_access.roles",
            "OIDCBRIDGE_DEPENDENCIES_CLAIMS": "email,name",
            "OIDCBRIDGE_SESSION_STATE_CLAIMS": "locale",
            "OIDCBRIDGE_LEEWAY": "5",
            "OIDCBRIDGE_TOKEN_CACHE": "0",
            "OIDCBRIDGE_TOKEN_TYPE": "at+jwt",
            "OIDCBRIDGE_PROVIDER": "generic",
            "OIDCBRIDGE_TENANTS": "acme",
        }
    )
    [issuer] = settings.issuers
    policy, mapping = issuer.policy, issuer.mapping
    assert policy.audiences == frozenset({"agent-api", "https://api.acme.example"})
    assert policy.client_ids == {"agent-ui", "agent-svc"}
    assert policy.algorithms == {"RS256", "ES256"}
    assert (policy.leeway, policy.token_type, settings.token_cache) == (5.0, "at+jwt", 0)
    assert mapping.roles == ("realm_access.roles",)
    assert dict(mapping.dependencies) == {"email": "email", "name": "name"}
    assert dict(mapping.session_state) == {"locale": "locale"}
    assert (mapping.tenants, issuer.profile.name) == (frozenset({"acme"}), "generic")


def test_shared_secrets_and_key_files_can_come_from_it(tmp_path: Path) -> None:
    [issuer] = build({"OIDCBRIDGE_VERIFICATION_KEYS": SECRET, "OIDCBRIDGE_ALGORITHMS": "HS256"}).issuers
    assert issuer.keys is not None
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [FakeKey.generate("ES256").public_jwk()]}))
    [issuer] = build({**GOOD, "OIDCBRIDGE_JWKS_FILE": str(file)}).issuers
    assert issuer.keys is not None


@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer_url": "https://code.example.com", "audience": "code"},
        {"verification_keys": [SECRET], "algorithm": "HS256"},
        {"secret_key": SECRET},
        {"jwks": {"keys": [FakeKey.generate("ES256").public_jwk()]}},
    ],
)
def test_where_the_code_names_an_issuer_or_keys_it_is_not_read_at_all(arguments: dict[str, Any]) -> None:
    environ = {
        **GOOD,
        "OIDCBRIDGE_LEEWAY": "300",
        "OIDCBRIDGE_CLIENT_IDS": "other",
        "OIDCBRIDGE_NONSENSE": "1",
        "OIDCBRIDGE_TOKEN_CACHE": "seven",
    }
    settings = build(environ, **arguments)
    [issuer] = settings.issuers
    assert issuer.issuer_url == arguments.get("issuer_url")
    assert (issuer.policy.leeway, issuer.policy.client_ids, settings.token_cache) == (60.0, frozenset(), 10_000)


def test_what_the_code_says_stands_over_it() -> None:
    settings = build({**GOOD, "OIDCBRIDGE_LEEWAY": "300"}, leeway=1, audience="code")
    [issuer] = settings.issuers
    assert (issuer.issuer_url, issuer.policy.leeway, issuer.policy.audiences) == (URL, 1.0, frozenset({"code"}))


def test_what_the_code_leaves_at_none_comes_from_it_but_for_an_audience_of_none() -> None:
    [issuer] = build(GOOD, issuer_url=None, leeway=None).issuers
    assert (issuer.issuer_url, issuer.policy.audiences) == (URL, frozenset({"agent-api"}))
    with pytest.raises(ConfigurationError, match="client_ids="):
        build(GOOD, audience=None)
    [issuer] = build({**GOOD, "OIDCBRIDGE_CLIENT_IDS": "agent-ui"}, audience=None).issuers
    assert issuer.policy.audiences is None


@pytest.mark.parametrize(
    ("variable", "suggestion"),
    [
        ("OIDCBRIDGE_ISSUER", "OIDCBRIDGE_ISSUER_URL"),
        ("OIDCBRIDGE_AUDIENCES", "OIDCBRIDGE_AUDIENCE"),
        ("OIDCBRIDGE_CLIENT_ID", "OIDCBRIDGE_CLIENT_IDS"),
        ("OIDCBRIDGE_ALGORITHMES", "OIDCBRIDGE_ALGORITHMS"),
        ("OIDCBRIDGE_COOKIE", "OIDCBRIDGE_COOKIE_NAME"),
    ],
)
def test_an_unknown_variable_is_refused_with_a_suggestion_and_without_its_value(variable: str, suggestion: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build({**GOOD, variable: SECRET})
    assert f"{variable} is unknown; did you mean {suggestion}?" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("argument", ["validate", "require_authentication", "fetch", "insecure_allow_http", "jwks"])
def test_what_weakens_a_check_is_unknown_to_it(argument: str) -> None:
    with pytest.raises(ConfigurationError, match="is unknown"):
        build({**GOOD, f"OIDCBRIDGE_{argument.upper()}": "false"})


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("OIDCBRIDGE_LEEWAY", "a number of seconds"),
        ("OIDCBRIDGE_TOKEN_CACHE", "a whole number"),
        ("OIDCBRIDGE_TOKEN_SOURCE", "header, cookie or both"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would_and_without_itself(variable: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_environment({**VERIFIER_VARIABLES, **HTTP_VARIABLES}, {variable: SECRET})
    assert variable in str(caught.value)
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "environ",
    [
        {**GOOD, "OIDCBRIDGE_LEEWAY": "nan"},
        {**GOOD, "OIDCBRIDGE_ALGORITHMS": "HS256"},
        {**GOOD, "OIDCBRIDGE_USER_ID_CLAIM": ","},
        {"OIDCBRIDGE_VERIFICATION_KEYS": "hunter2-hunter2", "OIDCBRIDGE_ALGORITHMS": "HS256"},
        {"OIDCBRIDGE_VERIFICATION_KEYS": "hunter2-hunter2"},
        {"OIDCBRIDGE_AUDIENCE": "agent-api"},
    ],
)
def test_what_is_read_is_checked_like_what_is_written(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(environ)
    assert "hunter2" not in str(caught.value)


def test_empty_variables_say_nothing() -> None:
    [issuer] = build({**GOOD, "OIDCBRIDGE_LEEWAY": " ", "OIDCBRIDGE_JWKS_URI": ""}).issuers
    assert (issuer.policy.leeway, issuer.jwks_uri) == (60.0, None)


@pytest.mark.parametrize("variable", ["OIDCBRIDGE_CLIENT_IDS", "OIDCBRIDGE_TENANTS"])
@pytest.mark.parametrize("value", ["", " ", ",", " , ,"])
def test_an_allow_list_that_names_nobody_is_refused_since_it_would_allow_everybody(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} is set and names nobody.*unset it"):
        build({**GOOD, variable: value})
    [issuer] = build({**GOOD, variable: "acme,"}).issuers
    assert frozenset({"acme"}) in (issuer.policy.client_ids, issuer.mapping.tenants)


def test_one_algorithm_can_be_named_as_in_the_code() -> None:
    [issuer] = build({"OIDCBRIDGE_VERIFICATION_KEYS": SECRET, "OIDCBRIDGE_ALGORITHM": " HS256 "}).issuers
    assert issuer.policy.algorithms == {"HS256"}
    with pytest.raises(ConfigurationError, match="one-element form"):
        build({**GOOD, "OIDCBRIDGE_ALGORITHM": "RS256", "OIDCBRIDGE_ALGORITHMS": "RS256"})


@pytest.mark.parametrize("said", [{"algorithm": "ES256"}, {"algorithms": ["ES256"]}])
@pytest.mark.parametrize("variable", ["OIDCBRIDGE_ALGORITHM", "OIDCBRIDGE_ALGORITHMS"])
def test_an_algorithm_in_the_code_stands_over_either_variable(variable: str, said: dict[str, Any]) -> None:
    [issuer] = build({**GOOD, variable: "RS256"}, **said).issuers
    assert issuer.policy.algorithms == {"ES256"}


def test_the_variables_of_others_are_left_alone() -> None:
    environ = {
        **GOOD,
        "OIDCBRIDGE_CLIENT_SECRET": "the command line's",
        "OIDCBRIDGE_PASSWORD": "the command line's",
        "OIDCBRIDGE_COOKIE_NAME": "the middleware's",
        "OIDC_ISSUER": "another program's",
        "MY_OIDCBRIDGE_LEEWAY": "9",
    }
    [issuer] = build(environ).issuers
    assert issuer.policy.leeway == 60.0


def test_the_http_side_reads_its_own() -> None:
    environ = {
        **GOOD,
        "OIDCBRIDGE_TOKEN_SOURCE": " Both ",
        "OIDCBRIDGE_COOKIE_NAME": "session",
        "OIDCBRIDGE_EXCLUDED_ROUTE_PATHS": "/health, /docs*",
    }
    assert read_environment(HTTP_VARIABLES, environ) == {
        "token_source": TokenSource.BOTH,
        "cookie_name": "session",
        "excluded_route_paths": ["/health", "/docs*"],
    }


def test_every_variable_is_an_argument_that_exists() -> None:
    assert VERIFIER_VARIABLES.keys() <= get_type_hints(VerifierArguments).keys()
    assert HTTP_VARIABLES.keys() <= get_type_hints(HttpArguments).keys()
