"""``oidcbridge token --grant client-credentials`` and ``--grant password``: where secrets come from and go to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from oidcbridge.cli import token_grants
from oidcbridge.cli.app import app
from oidcbridge.cli.token_discovery import fetch_metadata
from oidcbridge.cli.token_request import Grant, TokenRequest
from oidcbridge.core.metadata import IssuerMetadata

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.cli.provider import Provider

SERVICE = ("--grant", "client-credentials")
USER = ("--grant", "password", "--username", "ada")


def test_a_service_gets_its_token_with_a_secret_from_the_environment(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    result = run(*SERVICE, client_id="svc")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "aaa.bbb.ccc\n", "")
    assert provider.forms == [{"grant_type": "client_credentials"}]  # by Basic, and with no scope of ours


def test_the_secret_goes_into_the_form_where_the_provider_offers_that_alone(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post", "private_key_jwt"]
    assert run(*SERVICE, client_id="svc").exit_code == 0
    assert provider.forms[0]["client_secret"] == provider.secrets["svc"]
    assert provider.authorization_headers == [None]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_file_stands_before_the_variable(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch, tmp_path: Path, end: str
) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", "another one")
    file = tmp_path / "secret"
    file.write_bytes((provider.secrets["svc"] + end).encode())
    assert run(*SERVICE, "--client-secret-file", str(file), client_id="svc").stdout == "aaa.bbb.ccc\n"


def test_scope_audience_and_resource_are_sent(run: Run, provider: Provider, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    arguments = ("--scope", "a b", "--audience", "agent-api", "--resource", "https://api.example.com")
    assert run(*SERVICE, *arguments, client_id="svc").exit_code == 0
    assert provider.forms[0] == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "audience": "agent-api",
        "resource": "https://api.example.com",
    }


def test_a_user_gets_a_token_with_a_password_from_environment_or_file(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(provider.users["ada"] + "\n", encoding="utf-8")
    assert run(*USER, "--password-file", str(file)).stdout == "aaa.bbb.ccc\n"
    environment.setenv("OIDCBRIDGE_PASSWORD", provider.users["ada"])
    result = run(*USER)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "aaa.bbb.ccc\n", "")
    assert provider.forms[1]["scope"] == "openid"


def test_the_password_grant_warns_where_the_provider_is_another_machine(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    # TEST-NET-1 (RFC 5737) behind a proxy address where nobody listens: nothing leaves this machine.
    environment.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    environment.setenv("OIDCBRIDGE_PASSWORD", "secret-password")
    provider.metadata["token_endpoint"] = "https://192.0.2.1/token"
    result = run(*USER)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "warning: the password grant is for local development" in result.stderr
    assert "cannot reach https://192.0.2.1/token" in result.stderr


def test_a_proxy_gets_no_secret_that_is_for_a_provider_on_this_machine(
    run: Run, provider: Provider, environment: pytest.MonkeyPatch
) -> None:
    def fetch_then_meet_a_proxy(issuer_url: str, ca_file: str | None) -> IssuerMetadata:
        metadata = fetch_metadata(issuer_url, ca_file)
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens there
        return metadata

    environment.setattr(token_grants, "fetch_metadata", fetch_then_meet_a_proxy)
    environment.setenv("OIDCBRIDGE_CLIENT_SECRET", provider.secrets["svc"])
    assert run(*SERVICE, client_id="svc").stdout == "aaa.bbb.ccc\n"


@pytest.mark.parametrize(
    ("arguments", "client_id", "variable", "value", "said"),
    [
        (
            SERVICE,
            "svc",
            "OIDCBRIDGE_CLIENT_SECRET",
            "hunter2-hunter2",
            "invalid_client: Wrong secret (check --client-id",
        ),
        (USER, "ui", "OIDCBRIDGE_PASSWORD", "hunter2-hunter2", "invalid_grant: Invalid user credentials"),
    ],
)
def test_a_wrong_secret_shows_the_providers_words_and_not_the_secret(
    run: Run,
    environment: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    client_id: str,
    variable: str,
    value: str,
    said: str,
) -> None:
    environment.setenv(variable, value)
    result = run(*arguments, client_id=client_id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (SERVICE, "set OIDCBRIDGE_CLIENT_SECRET or give --client-secret-file"),
        (("--grant", "password"), "give --username NAME"),
        (USER, "set OIDCBRIDGE_PASSWORD or give --password-file"),
    ],
)
def test_a_missing_secret_without_a_terminal_names_where_to_put_it(
    run: Run, provider: Provider, arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout, provider.forms) == (2, "", [])
    assert said in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "should hold the secret alone"),
        (b"\n", "should hold the secret alone"),
        (b"hunter2\nhunter3\n", "should hold the secret alone"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_quoting_it(
    run: Run, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    result = run(*SERVICE, "--client-secret-file", str(file), client_id="svc")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "hunter" not in result.stderr


@pytest.mark.parametrize("option", ["--client-secret", "--password", "--secret"])
def test_no_option_takes_a_secret_and_a_mistaken_one_is_not_repeated(option: str) -> None:
    for arguments in ([option, "hunter2"], [f"{option}=hunter2"]):
        result = CliRunner().invoke(app, ["token", *arguments])
        assert result.exit_code == 2
        assert "No such option" in result.stderr
        assert "hunter2" not in result.output


def test_options_of_the_password_grant_are_refused_elsewhere(run: Run, tmp_path: Path) -> None:
    for arguments in (("--username", "ada"), ("--password-file", str(tmp_path / "p"))):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "go with --grant password" in result.stderr


def test_the_repr_of_a_request_shows_no_secret() -> None:
    request = TokenRequest(
        grant=Grant.PASSWORD, issuer_url="https://idp", client_id="ui", client_secret="hunter2", password="hunter3"
    )
    assert "ui" in repr(request)
    assert "hunter" not in repr(request)
