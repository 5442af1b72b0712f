"""What ``oidcbridge token`` says, and how it ends, when the provider is away, is another, or answers oddly."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from oidcbridge.cli.app import app

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.cli.provider import Provider

SERVICE = ("--grant", "client-credentials")


@pytest.fixture
def ask(run: Run, provider: Provider, environment: pytest.MonkeyPatch) -> Run:
    """The shortest grant, with the right secret."""
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])

    def run_service(*arguments: str) -> Result:
        return run(*SERVICE, *arguments, client_id="svc")

    return run_service


def _token(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["token", *arguments])


def test_issuer_and_client_default_to_the_variables_of_the_library(
    provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_ISSUER_URL", provider.issuer_url)
    environment.setenv("OIDCBRIDGE_CLIENT_IDS", " svc , ui")
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    assert _token(*SERVICE).stdout == "aaa.bbb.ccc\n"


def test_a_missing_issuer_or_client_names_option_and_variable(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_IDS", "")
    result = _token()
    assert result.exit_code == 2
    assert "give --issuer URL or set OIDCBRIDGE_ISSUER_URL" in result.stderr
    result = _token("--issuer", "https://id.example.com")
    assert result.exit_code == 2
    assert "give --client-id ID or set OIDCBRIDGE_CLIENT_IDS" in result.stderr


def test_an_unknown_grant_lists_the_known_ones() -> None:
    result = _token("--grant", "implicit")
    assert result.exit_code == 2
    for grant in ("code", "device", "client-credentials", "password"):
        assert grant in result.stderr


@pytest.mark.parametrize(
    "issuer", ["http://192.0.2.1/realms/x", "ftp://127.0.0.1", "id.example.com", "https://a b", "https://ada@x"]
)
def test_an_issuer_that_is_no_https_url_is_refused_before_anything_is_sent(
    issuer: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", "secret-secret")
    result = _token("--issuer", issuer, "--client-id", "svc", *SERVICE)
    assert result.exit_code == 2
    assert "is no https:// URL (plain http is for this machine alone)" in result.stderr
    assert "fetch=" not in result.stderr


def test_nobody_listening_is_exit_code_3_and_names_the_address(environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{closed.getsockname()[1]}"
        result = _token("--issuer", issuer, "--client-id", "ui")
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"{issuer}/.well-known/openid-configuration cannot be reached" in result.stderr


def test_an_issuer_that_spells_itself_otherwise_shows_both_spellings(run: Run, provider: Provider) -> None:
    provider.metadata["issuer"] = provider.issuer_url + "/"
    result = run()
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"'{provider.issuer_url}/'" in result.stderr
    assert f"'{provider.issuer_url}'" in result.stderr


def test_an_issuer_with_a_slash_at_its_end_is_asked_at_the_right_address(ask: Run, provider: Provider) -> None:
    provider.metadata["issuer"] = provider.issuer_url + "/"
    assert ask("--issuer", provider.issuer_url + "/").stdout == "aaa.bbb.ccc\n"


def test_a_wrong_path_is_told_as_such(run: Run, provider: Provider) -> None:
    provider.metadata_status = 404
    result = run()
    assert result.exit_code == 3
    assert ".well-known/openid-configuration answered 404; check --issuer, to the letter" in result.stderr


def test_a_discovery_document_that_redirects_is_not_followed(run: Run, provider: Provider) -> None:
    provider.metadata_status = 302
    result = run()
    assert result.exit_code == 3
    assert "answered 302" in result.stderr


@pytest.mark.parametrize("url", ["http://192.0.2.1/token", "javascript:x", "/token", 7, "https://x\x1b[2J/"])
def test_a_token_endpoint_that_is_not_safe_gets_no_secret(ask: Run, provider: Provider, url: object) -> None:
    provider.metadata["token_endpoint"] = url
    result = ask()
    assert (result.exit_code, provider.forms) == (1, [])
    assert "the provider's token_endpoint" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_redirect_does_not_carry_the_secret_elsewhere(ask: Run, provider: Provider) -> None:
    provider.token_override = (307, b"")
    result = ask()
    assert (result.exit_code, len(provider.forms)) == (3, 1)
    assert "/token answered HTTP 307" in result.stderr


def test_an_error_description_cannot_touch_the_terminal(ask: Run, provider: Provider) -> None:
    hostile = "no\x1b]52;c;ZXZpbA==\x07\x9b31m\r\nfake: line\u202egnp.exe\u2028" + "x" * 5000
    provider.token_override = (400, {"error": "invalid_scope\x1b[2J", "error_description": hostile})
    result = ask()
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert len(result.stderr) < 700
    assert all(character.isprintable() for character in result.stderr.rstrip("\n"))
    assert "no ]52;c;ZXZpbA== 31m fake: line gnp.exe x" in result.stderr


@pytest.mark.parametrize("description", [7, ["a", "b"], {"x": 1}])
def test_an_error_description_of_another_type_is_shown_as_text(
    ask: Run, provider: Provider, description: object
) -> None:
    provider.token_override = (400, {"error": "invalid_request", "error_description": description})
    result = ask()
    assert result.exit_code == 1
    assert "invalid_request: " in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b"<h1>down</h1>", "answered HTTP 503, which is no OAuth answer"),
        (503, {"error": "temporarily_unavailable", "error_description": "Back soon"}, "unavailable: Back soon"),
        (429, b"slow down", "answered HTTP 429, which is no OAuth answer"),
        (302, b"", "answered HTTP 302, which is no OAuth answer"),
        (404, {"message": "no such route"}, "answered HTTP 404"),
        (200, b"[]", "which is no OAuth answer: not a JSON object"),
        (200, b"[" * 100_000, "which is no OAuth answer"),
        (200, {"access_token": "a.b.c", "expires_in": "soon"}, "with an expiry that is no number of seconds"),
        (200, {"access_token": "a.b.c", "expires_in": "9" * 5000}, "with an expiry that is no number of seconds"),
        (200, {"access_token": "a.b.c", "expires_at": [1]}, "with an expiry that is no number of seconds"),
    ],
)
def test_what_is_no_oauth_answer_is_exit_code_3_with_its_status(
    ask: Run, provider: Provider, status: int, body: dict[str, Any] | bytes, said: str
) -> None:
    provider.token_override = (status, body)
    result = ask()
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"{provider.issuer_url}/token answered HTTP {status}" in result.stderr
    assert said in result.stderr


@pytest.mark.parametrize("token", [None, "", 7, ["a"], "a.b.c\nd", "a.b.c\x1b[2J", "a b.c.d", "ä.b.c"])
def test_an_access_token_that_no_header_could_carry_is_not_printed(ask: Run, provider: Provider, token: object) -> None:
    provider.token_answer["access_token"] = token
    result = ask()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds no access token" in result.stderr


def test_a_token_that_is_no_bearer_token_is_not_printed(ask: Run, provider: Provider) -> None:
    provider.token_answer["token_type"] = "DPoP"
    result = ask()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "of type 'DPoP'" in result.stderr


@pytest.mark.parametrize("kind", ["bearer", "BEARER", None])
def test_the_token_type_is_compared_without_case(ask: Run, provider: Provider, kind: str | None) -> None:
    if kind is None:
        del provider.token_answer["token_type"]
    else:
        provider.token_answer["token_type"] = kind
    assert ask().stdout == "aaa.bbb.ccc\n"


@pytest.mark.parametrize("times", [{}, {"expires_in": None}, {"expires_in": "3600"}, {"expires_in": 3600.5}])
def test_expiry_is_optional_and_may_be_text(ask: Run, provider: Provider, times: dict[str, object]) -> None:
    provider.token_answer.pop("expires_in")
    provider.token_answer.update(times)
    assert ask().stdout == "aaa.bbb.ccc\n"


def test_an_opaque_token_is_printed_with_a_warning(ask: Run, provider: Provider) -> None:
    provider.token_answer["access_token"] = "opaque-token"
    result = ask()
    assert (result.exit_code, result.stdout) == (0, "opaque-token\n")
    assert "warning: this access token is no signed JWT" in result.stderr
    assert "opaque-token" not in result.stderr


def test_a_file_of_authorities_that_holds_none_is_said_before_anything_is_sent(
    ask: Run, provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    for content in (None, "no certificate here"):
        if content is not None:
            file.write_text(content)
        result = ask("--ca-file", str(file))
        assert (result.exit_code, provider.forms) == (2, [])
        assert f"--ca-file {file} is no PEM file of certificates" in result.stderr


def test_a_private_authority_is_trusted_when_its_file_is_given_and_not_before(
    secure_provider: Provider, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", secure_provider.secrets["svc"])
    arguments = ("--issuer", secure_provider.issuer_url, "--client-id", "svc", *SERVICE)
    result = _token(*arguments)
    assert (result.exit_code, result.stdout, secure_provider.forms) == (3, "", [])
    assert "give --ca-file if a private authority signed" in result.stderr
    result = _token(*arguments, "--ca-file", str(certificate))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "aaa.bbb.ccc\n", "")
