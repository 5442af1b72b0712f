"""Messages that teach: each mistake, with a provider's own token, is told in the log and by ``check``.

Both name the setting or the console step that mends it. The client learns nothing of it: one 401 for all.
"""

from __future__ import annotations

import json
import logging
import socket
from typing import Any, NoReturn

import pytest

from oidcbridge import ConfigurationError, OIDCMiddleware, Verifier
from tests.asgi.kit import Probe, ask, bearer
from tests.asgi.test_lifespan import run_lifespan
from tests.cli.check_kit import check, serving, token_of
from tests.diagnosis.mistakes import AUTH0, COGNITO, MISTAKES, Mistake

pytestmark = pytest.mark.usefixtures("environment", "_no_network")


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who have these host names in earnest are not to be asked."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a real provider was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _arguments(issuer_url: str, options: tuple[str, ...]) -> dict[str, Any]:
    """The options of ``check`` as an app writes them."""
    arguments: dict[str, Any] = {"issuer_url": issuer_url}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "--provider":
            arguments["provider"] = value
        else:
            arguments.setdefault({"--audience": "audience", "--client-id": "client_ids"}[option], []).append(value)
    return arguments


def _start(arguments: dict[str, Any]) -> str:
    """What a server logs of an app that refuses to start."""
    (message,) = run_lifespan(OIDCMiddleware(Probe(), **arguments), events=("startup",))
    return str(message["message"])


def _log(
    caplog: pytest.LogCaptureFixture, arguments: dict[str, Any], token: str, *, status: tuple[int, ...] = (401,)
) -> str:
    """What an app's operator reads when this token comes, or before that; the client reads the usual answer."""
    try:
        verifier = Verifier(**arguments)
    except ConfigurationError:
        return _start(arguments)
    caplog.set_level(logging.INFO)
    caplog.clear()
    with verifier:
        answer = ask(OIDCMiddleware(Probe(), verifier), headers=bearer(token))
    assert answer.status in status
    if answer.status == 401:
        assert answer.json() == {
            "detail": "The token is not valid", "error": "invalid_token", "code": "invalid_token",
        }  # fmt: skip
    text = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("oidcbridge"))
    assert token.rpartition(".")[2] not in text
    return text


def _missing(words: tuple[str, ...], text: str) -> list[str]:
    return [word for word in words if word not in text]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_told_in_the_log_and_by_check_with_what_mends_it_and_passes_once_mended(
    mistake: Mistake, caplog: pytest.LogCaptureFixture
) -> None:
    sample, issuer_url = mistake.served
    with serving(sample, issuer_url=issuer_url) as issuer:
        log = _log(caplog, _arguments(issuer.issuer_url, mistake.options), mistake.text)
        bad = check(issuer.issuer_url, *mistake.options, token=mistake.text)
    assert (bad.exit_code, bad.report["outcome"], bad.report["principal"]) == (1, "failed", None)
    assert bad.failed() == mistake.fails
    told = " ".join((one["advice"] or {}).get("text", "") for one in bad.report["token"])
    assert (_missing(mistake.says, told), _missing(mistake.says, log)) == ([], [])
    assert mistake.text not in f"{bad.report}{bad.stderr}"

    options = mistake.mended_options or mistake.options
    with serving(mistake.mended, issuer_url=mistake.mended_issuer_url) as issuer:
        token = token_of(mistake.mended)
        silence = _log(caplog, _arguments(issuer.issuer_url, options), token, status=(200,))
        good = check(issuer.issuer_url, *options, token=token)
    assert "refused" not in silence
    assert (good.exit_code, good.failed(), good.failed("provider")) == (0, {}, {})
    assert good.report["principal"]["user_id"]


_COGNITO_CLIENT = str(COGNITO.payload["client_id"])


@pytest.mark.parametrize(
    ("issuer_url", "options", "says"),
    [
        pytest.param(
            "https://id.example.com/realms/acme/.well-known/openid-configuration",
            ("--audience", "agent-api"),
            ('write issuer_url="https://id.example.com/realms/acme"', "OIDCBRIDGE_ISSUER_URL"),
            id="a pasted discovery URL",
        ),
        pytest.param(
            "https://acme.eu.auth0.com/.well-known/openid-configuration",
            ("--audience", "agent-api"),
            ('write issuer_url="https://acme.eu.auth0.com/"',),
            id="a pasted discovery URL of a provider whose issuers end with a slash",
        ),
        pytest.param(
            "acme.eu.auth0.com",
            ("--audience", "agent-api"),
            ('write issuer_url="https://acme.eu.auth0.com/"', "OIDCBRIDGE_ISSUER_URL"),
            id="a bare domain",
        ),
        pytest.param(
            "id.example.com",
            ("--audience", "agent-api"),
            ('write issuer_url="https://id.example.com"', "https://HOST/realms/REALM"),
            id="a bare domain of nobody that is known",
        ),
        pytest.param(
            "localhost:8080/realms/acme",
            ("--audience", "agent-api"),
            ('write issuer_url="http://localhost:8080/realms/acme"',),
            id="a bare domain of this machine",
        ),
        pytest.param("http://id.example.com/realms/acme", ("--audience", "agent-api"), ("Use https",), id="plain http"),
        pytest.param(
            "https://ada:s3cret@id.example.com/.well-known/openid-configuration",
            ("--audience", "agent-api"),
            ("no user name",),
            id="a URL with a password, which is not repeated",
        ),
        pytest.param(
            COGNITO.issuer, ("--audience", _COGNITO_CLIENT), ("write client_ids=[",), id="Cognito's client as audience"
        ),
        pytest.param(
            "https://id.example.com",
            ("--audience", "x", "--provider", "keyclock"),
            ("write one of auto, keycloak",),
            id="a provider that nobody knows",
        ),
    ],
)
def test_settings_that_cannot_be_are_told_at_the_start_and_by_check(
    issuer_url: str, options: tuple[str, ...], says: tuple[str, ...]
) -> None:
    log, ran = _start(_arguments(issuer_url, options)), check(issuer_url, *options)
    assert (ran.exit_code, ran.report) == (2, {})
    assert ran.stderr.startswith("oidcbridge check: ")
    assert (_missing(says, log), _missing(says, ran.stderr)) == ([], [])
    assert "s3cret" not in log + ran.stderr


def test_check_writes_cognitos_client_into_the_setting_where_it_belongs() -> None:
    ran = check(COGNITO.issuer, "--audience", _COGNITO_CLIENT)
    assert f'client_ids=["{_COGNITO_CLIENT}"]' in ran.stderr
    with serving(COGNITO) as issuer:
        assert check(issuer.issuer_url, "--client-id", _COGNITO_CLIENT).exit_code == 0


def test_a_wrong_slash_is_told_with_both_spellings_before_there_is_a_token(caplog: pytest.LogCaptureFixture) -> None:
    wrong, right = "https://acme.eu.auth0.com", "https://acme.eu.auth0.com/"
    options, token = ("--audience", "https://api.acme.example"), token_of(AUTH0.but(iss=wrong))
    with serving(AUTH0, issuer_url=right):
        log = _log(caplog, _arguments(wrong, options), token, status=(503,))
        bad, good = check(wrong, *options), check(right, *options)
    finding = bad.finding("issuer")
    assert (bad.exit_code, finding["advice"]["name"]) == (1, "issuer_slash")
    assert f'issuer_url="{right}"' in finding["advice"]["text"]
    for text in (log, finding["said"]):
        assert _missing((f"'{right}'", f"issuer_url is '{wrong}'", "a slash at the end counts"), text) == []
    assert json.dumps(bad.report["settings"]["issuer_url"]) == f'"{right}"'
    assert (good.exit_code, good.report["settings"]["provider"]) == (0, "auth0")
