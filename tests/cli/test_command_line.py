"""The command line as a process: its frame, its streams, its prompts and its end."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oidcbridge._version import __version__

if TYPE_CHECKING:
    from tests.cli.provider import Provider

COMMAND = [sys.executable, "-m", "oidcbridge.cli"]


def _run(
    *arguments: str, environment: dict[str, str], command: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(command or COMMAND), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_version_is_told(command_environment: dict[str, str]) -> None:
    answer = _run("--version", environment=command_environment)
    assert (answer.returncode, answer.stdout) == (0, f"oidcbridge {__version__}\n")


def test_without_a_command_the_help_is_shown(command_environment: dict[str, str]) -> None:
    answer = _run(environment=command_environment)
    assert answer.returncode == 2
    assert re.search(r"token +Get an access token to try an endpoint with\.", answer.stdout + answer.stderr)


def test_the_help_of_token_names_the_variables_uncut(command_environment: dict[str, str]) -> None:
    answer = _run("token", "--help", environment={**command_environment, "COLUMNS": "80"})
    assert answer.returncode == 0
    for name in ("ISSUER_URL", "CLIENT_IDS", "CLIENT_SECRET", "PASSWORD"):
        assert f"OIDCBRIDGE_{name}" in answer.stdout


def test_without_the_extra_one_line_says_how_to_install_it(command_environment: dict[str, str]) -> None:
    without_typer = [
        sys.executable,
        "-c",
        "import sys; sys.modules['typer'] = None; import oidcbridge.cli as c; c.main()",
    ]
    answer = _run("token", environment=command_environment, command=without_typer)
    line = "oidcbridge's command line needs the 'cli' extra: pip install \"oidcbridge[cli]\"\n"
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", line)


def test_commands_start_without_the_http_client_and_authlib(command_environment: dict[str, str]) -> None:
    program = "import sys, oidcbridge.cli.app; print({'httpx2', 'authlib', 'fastapi', 'uvicorn'} & set(sys.modules))"
    answer = _run(environment=command_environment, command=[sys.executable, "-c", program])
    assert answer.stdout == "set()\n"


@pytest.mark.parametrize("stays_open", [False, True])
def test_a_browser_that_talks_or_stays_open_does_not_get_between_the_token_and_its_reader(
    provider: Provider, redirect_uri: str, command_environment: dict[str, str], tmp_path: Path, stays_open: bool
) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import os, sys, time, urllib.request\n"
        "print('Opening in existing browser session.', flush=True)\n"
        "urllib.request.urlopen(sys.argv[1]).close()\n"
        f"open({str(tmp_path / 'browser.pid')!r}, 'w').write(str(os.getpid()))\n"
        f"time.sleep({30 if stays_open else 0})\n"
    )
    detached = " &" if stays_open else ""
    environment = {**command_environment, "BROWSER": f"{sys.executable} {browser} %s{detached}"}
    command = shlex.join(
        [*COMMAND, "token", "--issuer", provider.issuer_url, "--client-id", "ui", "--redirect-uri", redirect_uri]
    )
    with (tmp_path / "stderr").open("w") as stderr:
        answer = subprocess.run(
            ["sh", "-c", f'printf "Authorization: Bearer %s|" "$({command})"'],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=20,
            check=True,
        )
    if stays_open:
        os.kill(int((tmp_path / "browser.pid").read_text()), signal.SIGTERM)
    assert answer.stdout == "Authorization: Bearer aaa.bbb.ccc|"
    assert "Opening in existing browser session." in (tmp_path / "stderr").read_text()


def test_ctrl_c_while_waiting_ends_at_once_and_without_a_traceback(
    provider: Provider, redirect_uri: str, command_environment: dict[str, str]
) -> None:
    options = ["--issuer", provider.issuer_url, "--client-id", "ui", "--redirect-uri", redirect_uri, "--no-browser"]
    with subprocess.Popen(
        [*COMMAND, "token", *options],
        env=command_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "To sign in" in process.stderr.readline()
        for _ in range(3):  # the address between two empty lines: now it waits
            process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=10)
    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr


class Terminal:
    """A person at a terminal: the command's stdin, stderr and controlling terminal; stdout is a pipe."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        settings = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            # The terminal becomes the new session's own by being opened in it.
            [sys.executable, "-c", _ADOPT_TERMINAL, os.ttyname(theirs), *COMMAND, *arguments],
            env=environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        assert settings[3] & termios.ECHO
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        while text not in self.shown:
            assert select.select([self._ours], [], [], 20)[0], f"never showed {text!r}: {self.shown!r}"
            self.shown += os.read(self._ours, 4096).decode()

    def type(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def finish(self) -> tuple[int, bytes]:
        stdout, _ = self.process.communicate(timeout=20)
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self.shown += os.read(self._ours, 4096).decode()
            except OSError:  # EIO: the other end is closed
                break
        os.close(self._ours)
        return self.process.returncode, stdout


_ADOPT_TERMINAL = "import os, sys; os.close(os.open(sys.argv[1], os.O_RDWR)); os.execv(sys.argv[2], sys.argv[2:])"


def test_user_and_password_are_asked_for_at_the_terminal_and_stdout_stays_clean(
    provider: Provider, command_environment: dict[str, str]
) -> None:
    provider.users["ada"] = "typed-password"
    options = ["--issuer", provider.issuer_url, "--client-id", "ui", "--grant", "password"]
    terminal = Terminal(["token", *options], command_environment)
    terminal.wait_for("Username: ")
    terminal.type("ada")
    terminal.wait_for("Password: ")
    terminal.type("typed-password")
    assert terminal.finish() == (0, b"aaa.bbb.ccc\n")
    assert "typed-password" not in terminal.shown
    assert "Traceback" not in terminal.shown


def test_a_service_is_asked_for_its_secret_and_an_empty_answer_is_no_secret(
    provider: Provider, command_environment: dict[str, str]
) -> None:
    options = ["token", "--issuer", provider.issuer_url, "--client-id", "svc", "--grant", "client-credentials"]
    terminal = Terminal(options, command_environment)
    terminal.wait_for("Client secret: ")
    terminal.type("")
    assert terminal.finish() == (2, b"")
    assert "set OIDCBRIDGE_CLIENT_SECRET or give --client-secret-file" in terminal.shown

    provider.secrets["svc"] = "typed-secret"
    terminal = Terminal(options, command_environment)
    terminal.wait_for("Client secret: ")
    terminal.type("typed-secret")
    assert terminal.finish() == (0, b"aaa.bbb.ccc\n")
    assert "typed-secret" not in terminal.shown


def test_a_fault_is_one_line(provider: Provider, command_environment: dict[str, str]) -> None:
    provider.metadata["issuer"] = "https://another.example"
    options = ["--issuer", provider.issuer_url, "--client-id", "ui"]
    answer = _run("token", *options, environment=command_environment)
    assert (answer.returncode, answer.stdout) == (3, "")
    assert answer.stderr.startswith("oidcbridge token: ")
    assert len(answer.stderr.splitlines()) == 1
