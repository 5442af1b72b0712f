"""``oidcbridge serve-idp`` as a process: what it serves, what it prints, how it ends."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.cli.demo.exchange import header_of

COMMAND = [sys.executable, "-m", "oidcbridge.cli", "serve-idp"]
SECRET = "dev-secret"
PASSWORD = "dev-password"


class Served:
    """A running provider; ``said`` is what it has printed until it was ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        while "Ctrl-C stops it." not in self.said:
            line = self.read_line()
            assert line, process.communicate()
            self.said += line
        found = re.search(r"issuer +(http://\S+)", self.said)
        assert found
        self.issuer_url = found[1]

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def interrupt(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        stdout, stderr = self.process.communicate(timeout=20)
        return self.process.returncode, stdout, stderr

    def token(self, **form: str) -> httpx2.Response:
        return httpx2.post(f"{self.issuer_url}/token", data={"client_id": "dev", **form}, trust_env=False)

    def service_token(self, secret: str = SECRET) -> str:
        answer = self.token(grant_type="client_credentials", client_secret=secret)
        return str(answer.raise_for_status().json()["access_token"])

    def user_token(self, user: str = "ada", password: str = PASSWORD, **more: str) -> str:
        form = {"grant_type": "password", "client_secret": SECRET, "username": user, "password": password, **more}
        return str(self.token(**form).raise_for_status().json()["access_token"])


Serve = Callable[..., Served]


@pytest.fixture
def local_environment(command_environment: dict[str, str]) -> dict[str, str]:
    return {**command_environment, "no_proxy": "127.0.0.1,127.0.0.2", "NO_PROXY": "127.0.0.1,127.0.0.2"}


@pytest.fixture
def serve(local_environment: dict[str, str]) -> Iterator[Serve]:
    with ExitStack() as running:

        def start(*arguments: str, port: int = 0, **variables: str) -> Served:
            process = subprocess.Popen(
                [*COMMAND, "--port", str(port), *arguments],
                env={**local_environment, **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.enter_context(process)
            running.callback(process.kill)
            return Served(process)

        yield start


def _verify(served: Served, token: str) -> Principal:
    with Verifier(issuer_url=served.issuer_url, audience="agent-api") as verifier:
        return verifier.verify_now(token)


def _get(url: str) -> dict[str, Any]:
    content: dict[str, Any] = httpx2.get(url, trust_env=False).raise_for_status().json()
    return content


def test_it_serves_discovery_keys_and_tokens_that_a_verifier_takes(serve: Serve) -> None:
    served = serve()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", served.issuer_url)
    metadata = _get(f"{served.issuer_url}/.well-known/openid-configuration")
    assert metadata["issuer"] == served.issuer_url
    assert {key["alg"] for key in _get(metadata["jwks_uri"])["keys"]} == {"RS256", "ES256"}

    service = _verify(served, served.service_token())
    assert (service.user_id, service.kind) == ("client:dev", "machine")
    assert service.scopes == ("agents:run", "agents:read")
    user = _verify(served, served.user_token(scope="agents:run"))
    assert (user.user_id, user.kind, user.scopes) == ("ada", "user", ("agents:run",))


def test_the_options_say_who_is_served_and_how(serve: Serve) -> None:
    served = serve("--user", "grace", "--audience", "other-api", "--scope", "x:y", "--algorithm", "ES256")
    token = served.user_token("grace")
    assert header_of(token)["alg"] == "ES256"
    with Verifier(issuer_url=served.issuer_url, audience="other-api") as verifier:
        principal = verifier.verify_now(token)
    assert (principal.user_id, principal.scopes) == ("grace", ("openid", "x:y"))
    refused = served.token(grant_type="password", client_secret=SECRET, username="ada", password=PASSWORD)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_given_secret_works_alone_and_is_never_printed(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2-from-file\n")
    for secret, served in (
        ("hunter2-from-file", serve("--client-secret-file", str(file), OIDCBRIDGE_PASSWORD="hunter3")),
        ("hunter2", serve(OIDCBRIDGE_CLIENT_SECRET="hunter2", OIDCBRIDGE_PASSWORD="hunter3")),
    ):
        assert _verify(served, served.service_token(secret)).user_id == "client:dev"
        assert _verify(served, served.user_token(password="hunter3", client_secret=secret)).user_id == "ada"
        assert served.token(grant_type="client_credentials", client_secret=SECRET).status_code == 401
        assert "hunter" not in served.said
        code, stdout, stderr = served.interrupt()
        assert code == 0
        assert "hunter" not in stdout + stderr


def _paste(said: str, environment: dict[str, str]) -> list[str]:
    """The tokens that the printed lines give in a shell."""
    blocks = re.findall(r"^TOKEN=.*?\)$", said, re.MULTILINE | re.DOTALL)
    tokens = []
    for block in blocks:
        script = f'{block}\nprintf %s "$TOKEN"'
        pasted = subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        tokens.append(pasted.stdout)
    return tokens


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines call curl")
def test_the_lines_it_prints_give_tokens_when_copied(serve: Serve, local_environment: dict[str, str]) -> None:
    served = serve()
    tokens = _paste(served.said, local_environment)
    users = [_verify(served, token).user_id for token in tokens]
    assert users == ["client:dev", "client:dev", "ada", "ada"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines call curl")
def test_the_lines_work_with_given_secrets_of_odd_characters(
    serve: Serve, local_environment: dict[str, str], tmp_path: Path
) -> None:
    given = {"OIDCBRIDGE_PASSWORD": "p&w 'é\"%$"}
    file = tmp_path / "a secret"
    file.write_text("s+c&r%t\n")
    served = serve("--client-secret-file", str(file), **given)
    tokens = _paste(served.said, {**local_environment, **given})
    users = [_verify(served, token).user_id for token in tokens]
    assert users == ["client:dev", "client:dev", "ada", "ada"]


def test_rotation_brings_new_keys_and_old_tokens_stay_good_until_they_expire(serve: Serve) -> None:
    served = serve("--rotate-every", "2")
    with Verifier(issuer_url=served.issuer_url, audience="agent-api") as verifier:
        before = served.service_token()
        verifier.verify_now(before)
        said = served.read_line()
        after = served.service_token()
        assert said.rstrip().endswith(header_of(after)["kid"])
        assert header_of(after)["kid"] != header_of(before)["kid"]
        assert verifier.verify_now(after).user_id == "client:dev"
        published = {key["kid"] for key in _get(f"{served.issuer_url}/jwks")["keys"]}
        assert {header_of(before)["kid"], header_of(after)["kid"]} <= published


def test_ctrl_c_ends_it_with_0_and_without_a_traceback(serve: Serve) -> None:
    code, stdout, stderr = serve().interrupt()
    assert (code, stdout, stderr) == (0, "\nStopped.\n", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "idp.example.com"])
def test_an_address_that_others_can_reach_is_refused(local_environment: dict[str, str], host: str) -> None:
    answer = subprocess.run(
        [*COMMAND, "--port", "0", "--host", host],
        env=local_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    assert "loopback only" in answer.stderr
    assert "use 127.0.0.1" in answer.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is set up")
def test_another_loopback_address_is_served(serve: Serve) -> None:
    served = serve("--host", "127.0.0.2")
    assert served.issuer_url.startswith("http://127.0.0.2:")
    assert _get(f"{served.issuer_url}/jwks")["keys"]


def test_a_port_that_is_taken_is_one_clear_line_and_2(local_environment: dict[str, str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        answer = subprocess.run(
            [*COMMAND, "--port", str(port)],
            env=local_environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in answer.stderr
    assert "--port" in answer.stderr
