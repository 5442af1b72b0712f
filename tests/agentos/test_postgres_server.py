"""The PostgreSQL that tests start: private, gone when they end, and missed loudly in CI alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.agentos import postgres_server
from tests.agentos.postgres_server import Postgres, running_postgres


def is_alive(process: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return state.stdout.strip() != "" and not state.stdout.startswith("Z")


@pytest.fixture
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without PostgreSQL."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_server, "PACKAGED", tmp_path)


@pytest.mark.usefixtures("_nowhere")
def test_where_none_is_installed_tests_are_skipped_and_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install postgresql"), running_postgres():
        pass


@pytest.mark.usefixtures("_nowhere")
def test_with_ci_set_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install postgresql"), running_postgres():
        pass


def test_the_newest_of_debians_is_found_off_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9.6", "15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(postgres_server, "PACKAGED", tmp_path)
    assert postgres_server.programs() == tmp_path / "17" / "bin"


def test_it_listens_on_no_port_and_nobody_else_may_enter_its_folder(postgres: Postgres) -> None:
    assert postgres.folder.stat().st_mode & 0o077 == 0
    assert postgres.ask(postgres.create(), "SHOW listen_addresses") == ""


def test_a_start_that_fails_quotes_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "_PORT", "65536")
    wrong = '65536 is outside the valid range for parameter "port"'
    with pytest.raises(RuntimeError, match=wrong), running_postgres():
        pass


def test_it_is_reached_whatever_the_shell_says_and_ends_with_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGOPTIONS", "--no-such-option")
    with running_postgres() as server:
        process = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        assert is_alive(process)
        assert server.ask(server.create(), "SELECT 1") == "1"
    assert not is_alive(process)
    assert not server.folder.exists()
