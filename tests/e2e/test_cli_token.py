"""``oidcbridge token`` as a process against a real Keycloak: every grant, and what it says when Keycloak says no."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, KeySetSerialization

from tests.e2e.keycloak_browser import Browser
from tests.e2e.keycloak_server import KeycloakServer

SERVICE = ("--client-id", "agent-svc", "--grant", "client-credentials")
USER = ("--client-id", "agent-ui", "--grant", "password", "--username", "ada")
ODD_SECRET = "s+cr%t:é &=~"


class Command:
    """A running ``oidcbridge token``; a context manager that never leaves it behind."""

    def __init__(self, keycloak: KeycloakServer, *arguments: str, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OIDCBRIDGE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oidcbridge.cli", "token", *arguments],
            env={
                **inherited,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "OIDCBRIDGE_ISSUER_URL": keycloak.issuer_url,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def read_address(self) -> str:
        """The address that the command shows to the person."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.fullmatch(r"    (http\S+)\n", line):
                return found[1]
        raise AssertionError(f"no address to open in: {self.said}")

    def finish(self) -> tuple[int, str, str]:
        """Exit code, stdout and all of stderr."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Not communicate(): it reads past the lines that `read_address` left in the buffer.
        stderr, stdout = self.process.stderr.read(), self.process.stdout.read()
        return self.process.wait(60), stdout, self.said + stderr


def run(keycloak: KeycloakServer, *arguments: str, **environment: str) -> tuple[int, str, str]:
    with Command(keycloak, *arguments, **environment) as command:
        return command.finish()


def claims_of(keycloak: KeycloakServer, stdout: str, algorithm: str = "RS256") -> dict[str, Any]:
    """The claims of the one token on stdout, its signature checked with Keycloak's keys by another library."""
    assert re.fullmatch(r"[\w.-]+\n", stdout)
    keys = KeySet.import_key_set(cast(KeySetSerialization, keycloak.jwks()))
    return jwt.decode(stdout.strip(), keys, algorithms=[algorithm]).claims


@pytest.mark.parametrize(("client_id", "algorithm"), [("agent-ui", "RS256"), ("agent-es", "ES256")])
def test_a_sign_in_in_the_browser_gives_a_users_token(keycloak: KeycloakServer, client_id: str, algorithm: str) -> None:
    arguments = ("--client-id", client_id, "--scope", "openid agents:run", "--no-browser")
    with Command(keycloak, *arguments) as command:
        callback = Browser(keycloak.base_url).open(command.read_address()).log_in("ada", "ada-pw")
        page = httpx2.get(callback, trust_env=False)
        status, stdout, _ = command.finish()
    assert status == 0
    assert "Signed in" in page.text
    claims = claims_of(keycloak, stdout, algorithm)
    assert (claims["iss"], claims["azp"]) == (keycloak.issuer_url, client_id)
    assert claims["preferred_username"] == "ada"
    assert "agent-api" in claims["aud"]
    assert "agents:run" in claims["scope"].split()


def test_the_browser_is_opened_and_the_shell_gets_the_token_alone(keycloak: KeycloakServer, tmp_path: Path) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import sys, urllib.request\n"
        "from tests.e2e.keycloak_browser import Browser\n"
        "print('a browser that talks')\n"
        f"callback = Browser({keycloak.base_url!r}).open(sys.argv[1]).log_in('ada', 'ada-pw')\n"
        "urllib.request.urlopen(callback).close()\n"
    )
    status, stdout, said = run(keycloak, "--client-id", "agent-ui", BROWSER=f"{sys.executable} {browser} %s")
    assert (status, "a browser that talks" in said) == (0, True)
    assert claims_of(keycloak, stdout)["preferred_username"] == "ada"


def test_an_error_that_keycloak_sends_with_the_redirect_is_shown(keycloak: KeycloakServer) -> None:
    with Command(keycloak, "--client-id", "agent-ui", "--scope", "openid nonsense", "--no-browser") as command:
        browser = Browser(keycloak.base_url).open(command.read_address())
        page = httpx2.get(browser.sent_to, trust_env=False)
        status, stdout, said = command.finish()
    assert (status, stdout) == (1, "")
    assert re.search(r"^oidcbridge token: invalid_scope: Invalid scopes: .*nonsense", said, re.MULTILINE)
    assert "Not signed in" in page.text


def test_the_redirect_of_another_attempt_is_not_taken(keycloak: KeycloakServer) -> None:
    with Command(keycloak, "--client-id", "agent-ui", "--no-browser") as command:
        callback = Browser(keycloak.base_url).open(command.read_address()).log_in("ada", "ada-pw")
        httpx2.get(callback, trust_env=False)
        assert command.finish()[0] == 0
    with Command(keycloak, "--client-id", "agent-ui", "--no-browser") as command:
        command.read_address()
        httpx2.get(callback, trust_env=False)
        status, stdout, said = command.finish()
    assert (status, stdout) == (1, "")
    assert "does not carry the 'state' of this attempt" in said


def test_a_confirmed_device_gives_a_users_token(keycloak: KeycloakServer) -> None:
    with Command(keycloak, "--client-id", "agent-cli", "--grant", "device") as command:
        browser = Browser(keycloak.base_url).open(command.read_address())
        browser.submit(username="ada", password="ada-pw").submit(accept="Yes")
        status, stdout, said = command.finish()
    assert status == 0
    claims = claims_of(keycloak, stdout)
    assert (claims["azp"], claims["preferred_username"]) == ("agent-cli", "ada")
    code = re.search(r"shows the code ([A-Z]{4}-[A-Z]{4})\n", said)
    assert code
    assert f"user_code={code[1]}" in said


def test_a_refused_device_ends_with_keycloaks_words(keycloak: KeycloakServer) -> None:
    with Command(keycloak, "--client-id", "agent-cli", "--grant", "device") as command:
        browser = Browser(keycloak.base_url).open(command.read_address())
        browser.submit(username="bob", password="bob-pw").submit(cancel="No")
        status, stdout, said = command.finish()
    assert (status, stdout) == (1, "")
    assert "oidcbridge token: access_denied: " in said


def test_a_service_gets_its_own_token(keycloak: KeycloakServer) -> None:
    status, stdout, said = run(keycloak, *SERVICE, OIDCBRIDGE_CLIENT_SECRET="svc-secret")
    assert (status, said) == (0, "")
    claims = claims_of(keycloak, stdout)
    assert (claims["azp"], claims["client_id"]) == ("agent-svc", "agent-svc")
    assert "sid" not in claims


@pytest.fixture
def odd_secret(keycloak: KeycloakServer, tmp_path: Path) -> Iterator[Path]:
    """The service's secret changed to one with every character that form-encoding touches."""
    keycloak.update_client("agent-svc", secret=ODD_SECRET)
    file = tmp_path / "secret"
    file.write_text(ODD_SECRET + "\n", encoding="utf-8")
    yield file
    keycloak.update_client("agent-svc", secret="svc-secret")


def test_a_secret_of_odd_characters_arrives_as_it_is(keycloak: KeycloakServer, odd_secret: Path) -> None:
    status, stdout, said = run(keycloak, *SERVICE, "--client-secret-file", str(odd_secret))
    assert (status, said) == (0, "")
    assert claims_of(keycloak, stdout)["azp"] == "agent-svc"


def test_a_users_password_gives_a_users_token(keycloak: KeycloakServer) -> None:
    status, stdout, said = run(keycloak, *USER, "--scope", "openid agents:run", OIDCBRIDGE_PASSWORD="ada-pw")
    assert (status, said) == (0, "")
    claims = claims_of(keycloak, stdout)
    assert claims["preferred_username"] == "ada"
    assert "agents:run" in claims["scope"].split()


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "words"),
    [
        (USER, {"OIDCBRIDGE_PASSWORD": "wrong-pw"}, 1, "invalid_grant: Invalid user credentials"),
        (SERVICE, {"OIDCBRIDGE_CLIENT_SECRET": "wrong-pw"}, 1, "unauthorized_client: Invalid client"),
        (("--client-id", "agent-ui", "--grant", "device"), {}, 1, "unauthorized_client: Client is not allowed"),
        (("--client-id", "nobody", "--grant", "device"), {}, 1, "invalid_client: "),
    ],
)
def test_what_keycloak_refuses_is_shown_in_its_words(
    keycloak: KeycloakServer, arguments: tuple[str, ...], environment: dict[str, str], status: int, words: str
) -> None:
    answer = run(keycloak, *arguments, **environment)
    assert answer[:2] == (status, "")
    assert answer[2].startswith(f"oidcbridge token: {words}")
    assert "wrong-pw" not in answer[2]


@pytest.mark.parametrize(
    ("change", "words"), [("/", "a slash at the end counts"), ("-of-others", "answered 404; check --issuer")]
)
def test_another_spelling_of_the_issuer_is_told_as_such(keycloak: KeycloakServer, change: str, words: str) -> None:
    status, stdout, said = run(keycloak, "--client-id", "agent-ui", "--issuer", keycloak.issuer_url + change)
    assert (status, stdout) == (3, "")
    assert words in said
