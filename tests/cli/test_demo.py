"""The demo as a newcomer runs it: in a pipe, at a terminal, and where something answers as it should not."""

from __future__ import annotations

import logging
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from oidcbridge import FetchOptions
from oidcbridge.cli.app import app
from oidcbridge.cli.demo import agent, show, stage, steps_access, steps_forged, steps_websocket
from oidcbridge.cli.demo.exchange import without_tokens
from oidcbridge.cli.demo.story import Scene, Step
from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer, FakeKey

COMMAND = [sys.executable, "-m", "oidcbridge.cli", "demo"]
WHOLE_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.")
STEP_NAMES = [step.name for step in show.STEPS]


# By which a person asks for colours, or for none; and what would be read as settings of ours.
_NOT_PLAIN = re.compile(r"FORCE_COLOR|NO_COLOR|TTY_.*|OIDCBRIDGE_.*")


@pytest.fixture(scope="module")
def plain_environment() -> dict[str, str]:
    """For the command in a process of its own, which imports what we import."""
    kept = {name: value for name, value in os.environ.items() if not _NOT_PLAIN.fullmatch(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="module")
def piped(plain_environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The whole story in a pipe."""
    return subprocess.run(
        COMMAND,
        env=plain_environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_in_a_pipe_every_step_passes_and_the_end_is_0(piped: subprocess.CompletedProcess[str]) -> None:
    assert (piped.returncode, piped.stderr) == (0, ""), piped.stdout
    assert re.findall(r"^\d+/10 (.*)$", piped.stdout, re.MULTILINE) == STEP_NAMES
    summary = piped.stdout.partition("\nstep ")[2]
    for number, name in enumerate(STEP_NAMES, 1):
        assert re.search(rf"^ ?{number} {name} .* ok +\d+\.\d s$", summary, re.MULTILINE), summary
    assert "all 10 steps answered as they should" in summary
    assert "FAILED" not in piped.stdout


def test_a_pipe_gets_plain_lines_without_a_token_or_a_password(piped: subprocess.CompletedProcess[str]) -> None:
    assert piped.stdout.isascii()
    assert "\x1b" not in piped.stdout
    assert "Authorization: Bearer eyJ" in piped.stdout
    assert not WHOLE_TOKEN.search(piped.stdout)
    assert "ada-pw" not in piped.stdout


def test_the_story_shows_what_was_sent_and_what_came_back(piped: subprocess.CompletedProcess[str]) -> None:
    for line in (
        "> POST /agents/writer/runs\n    < 401 Unauthorized\n      WWW-Authenticate: Bearer\n",
        "token: alg RS256, kid rs256-",
        "token: alg ES256, kid es256-",
        '"session_id": "desk-1", "dependencies": {"name": "Ada Lovelace"',
        '< 403 Forbidden\n      WWW-Authenticate: Bearer error="insufficient_scope", scope="agents:run"\n',
        "algorithm_not_allowed: alg='none'",
        "algorithm_not_allowed: alg='HS256'",
        "bad_signature",
        "audience_mismatch",
        "token_type_not_accepted",
        "token_expired",
        "Refused: 0; fetches of the key set that the provider saw: 1.",
        "key_not_found",
        "answers 'Connection refused'",
        "< 503 Service Unavailable\n      Retry-After: ",
        "< 101 Switching Protocols",
    ):
        assert line in piped.stdout


class _Terminal:
    """The command with all its streams at a terminal of 80 columns."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "80", "PYTHONUTF8": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        while text not in self.shown:
            assert self._read(30), f"never showed {text!r}: {self.shown!r}"

    def finish(self) -> int:
        while self._read(30):
            pass
        os.close(self._ours)
        return self.process.wait(timeout=30)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            self.shown += os.read(self._ours, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
        except OSError:  # EIO: the other end is closed
            return False
        return True


def test_at_a_terminal_it_stays_up_with_lines_that_work_when_copied_until_ctrl_c(
    plain_environment: dict[str, str],
) -> None:
    terminal = _Terminal(environment=plain_environment)
    try:
        terminal.wait_for("What oidcbridge logs:")
        assert "\x1b[" in terminal.shown
        assert "✓" in terminal.shown
        assert not WHOLE_TOKEN.search(terminal.shown)
        if shutil.which("curl"):
            _try_copied_lines(terminal.shown, plain_environment)
    finally:
        terminal.process.send_signal(signal.SIGINT)
        code = terminal.finish()
    assert code == 0
    assert "Stopped." in terminal.shown
    assert "Traceback" not in terminal.shown
    if not shutil.which("curl"):
        pytest.skip("all but the copied lines was tried: they call curl, which is not here")


def _try_copied_lines(shown: str, environment: dict[str, str]) -> None:
    """Paste each way to a token, then the calls, into a shell."""
    tokens = re.findall(r"^TOKEN=.*?\)$", shown, re.MULTILINE | re.DOTALL)
    calls = re.findall(r"^curl .*$", shown, re.MULTILINE)
    assert (len(tokens), len(calls)) == (2, 3)
    for token in tokens:
        script = "\n".join([token, *calls])
        pasted = subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        statuses = re.findall(r"HTTP/1.1 (\d+)", pasted.stdout)
        assert statuses == ["200", "200", "401"], pasted


def test_once_ends_at_a_terminal_too_and_no_color_is_respected(plain_environment: dict[str, str]) -> None:
    terminal = _Terminal("--once", environment={**plain_environment, "NO_COLOR": "1"})
    assert terminal.finish() == 0
    assert "all 10 steps answered as they should" in terminal.shown
    assert "Both stay up" not in terminal.shown
    colours = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)(?:;\d+)*m")
    assert not colours.search(terminal.shown)


def test_a_reader_who_leaves_early_gets_no_traceback(plain_environment: dict[str, str]) -> None:
    with subprocess.Popen(
        COMMAND, env=plain_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "oidcbridge" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) != 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.fixture
def _quiet_proxy_variables(environment: pytest.MonkeyPatch) -> None:
    """The command sets them for its own process, which is ours here."""
    for name in ("no_proxy", "NO_PROXY"):
        environment.setenv(name, "127.0.0.1")


def _run_steps(environment: pytest.MonkeyPatch, *steps: Step, arguments: tuple[str, ...] = ()) -> Result:
    environment.setattr(show, "run_demo", partial(show.run_demo, steps=steps))
    return CliRunner().invoke(app, ["demo", *arguments])


FAST_STEPS = (*steps_access.STEPS, steps_forged.STEP, steps_websocket.STEP)


@pytest.mark.usefixtures("_quiet_proxy_variables")
def test_the_real_agent_passes_where_a_broken_one_fails(environment: pytest.MonkeyPatch) -> None:
    result = _run_steps(environment, *FAST_STEPS)
    assert result.exit_code == 0, result.output
    assert f"all {len(FAST_STEPS)} steps answered as they should" in result.output


def _lets_everybody_in(issuer_url: str, *, fetch: FetchOptions) -> FastAPI:
    service = protect(FastAPI(), issuer_url=issuer_url, audience="agent-api", middleware=False)

    @service.post("/agents/{agent_id}/runs")
    async def run() -> dict[str, str]:  # asks for nobody
        return {"user_id": "ada"}

    return service


def _serves_the_anonymous(issuer_url: str, *, fetch: FetchOptions) -> FastAPI:
    service = FastAPI()
    service.include_router(agent.routes)
    return protect(service, issuer_url=issuer_url, audience="agent-api", require_authentication=False)


def _trusts_another_issuer(issuer_url: str, *, fetch: FetchOptions) -> FastAPI:
    return agent.build_agent_service(issuer_url + "/elsewhere", fetch=fetch)


@pytest.mark.usefixtures("_quiet_proxy_variables")
@pytest.mark.parametrize(
    ("broken", "failing"),
    [
        (_lets_everybody_in, {"No token", "Mapped fields", "Missing scope", "Forged tokens", "WebSocket"}),
        (_serves_the_anonymous, {"Mapped fields"}),
        (_trusts_another_issuer, {step.name for step in FAST_STEPS} - {"No token"}),
    ],
)
def test_an_agent_that_answers_wrongly_is_found_out_and_the_end_is_1(
    environment: pytest.MonkeyPatch, broken: object, failing: set[str]
) -> None:
    environment.setattr(stage, "build_agent_service", broken)
    result = _run_steps(environment, *FAST_STEPS)
    assert result.exit_code == 1, result.output
    marked = {name for name in STEP_NAMES if re.search(rf"\d {name} .* FAILED +\d", result.output)}
    assert marked == failing
    assert all(f"FAILED {name}: " in result.output for name in failing)
    assert "answered as they should" not in result.output


@pytest.mark.usefixtures("_quiet_proxy_variables")
def test_a_step_whose_server_is_gone_fails_and_the_next_goes_on(environment: pytest.MonkeyPatch) -> None:
    def ask_nobody(scene: Scene) -> None:
        scene.stage.provider_server.stop()
        scene.ask_provider({"grant_type": "password"})

    gone = Step("Nobody there", "an answer", "Nobody answers.", ask_nobody)
    result = _run_steps(environment, gone, steps_access.STEPS[0])
    assert result.exit_code == 1
    assert "FAILED Nobody there: a server answers; seen: ConnectionRefusedError" in result.output
    assert re.search(r"2 No token .* ok", result.output)


@pytest.mark.usefixtures("_quiet_proxy_variables")
def test_a_step_that_expects_nothing_fails(environment: pytest.MonkeyPatch) -> None:
    result = _run_steps(environment, Step("Idle", "nothing", "It does nothing.", lambda scene: None))
    assert result.exit_code == 1
    assert "FAILED Idle: the step expects something" in result.output


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("_quiet_proxy_variables")
@pytest.mark.parametrize("option", ["--port", "--idp-port"])
def test_a_port_that_is_taken_is_one_clear_line_and_2(
    environment: pytest.MonkeyPatch, taken_port: int, option: str
) -> None:
    result = _run_steps(environment, *FAST_STEPS[:1], arguments=(option, str(taken_port)))
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{taken_port}" in result.output
    assert f"give another {option}" in result.output


@pytest.mark.usefixtures("_quiet_proxy_variables")
def test_the_ports_asked_for_are_used(environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    arguments = ("--port", str(ports[0]), "--idp-port", str(ports[1]))
    result = _run_steps(environment, *FAST_STEPS[:1], arguments=arguments)
    assert result.exit_code == 0
    assert re.search(rf"agent service +http://127.0.0.1:{ports[0]} ", result.output)
    assert re.search(rf"identity provider +http://127.0.0.1:{ports[1]} ", result.output)


@pytest.mark.usefixtures("_quiet_proxy_variables")
def test_the_loggers_are_as_before_after_the_demo(environment: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("oidcbridge")
    before = (logger.level, logger.propagate, list(logger.handlers))
    assert _run_steps(environment, *FAST_STEPS[:1]).exit_code == 0
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


@pytest.mark.parametrize("alg", ["RS256", "ES256", "HS256"])
def test_a_token_is_cut_wherever_it_stands_and_other_text_is_left(alg: str) -> None:
    token = FakeIssuer().mint(key=FakeKey.generate(alg))
    unsigned = token.rpartition(".")[0] + "."
    for whole in (token, unsigned):
        cut = without_tokens(f'Bearer {whole}, "{whole}" at http://127.0.0.1:80/a.b.c')
        assert cut == f'Bearer {whole[:10]}..., "{whole[:10]}..." at http://127.0.0.1:80/a.b.c'
