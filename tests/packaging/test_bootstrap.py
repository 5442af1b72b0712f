"""`make` on machines that differ: nothing is downloaded, the packages are tiny wheels in a folder."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Machine

ROOT = Path(__file__).parents[2]
EVERYTHING = {"tiny": "1", "typist": "1", "probe": "1", "linter": "1"}
READY = ".venv/.ready"


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed make says, beside make's own closing line."""
    assert done.returncode != 0
    assert done.stdout == ""
    *lines, closing = done.stderr.splitlines()
    assert closing.startswith("make: ***"), done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_make_installs_the_project_its_extra_and_its_groups_once_and_as_constrained(machine: Machine) -> None:
    machine.has_python()
    first = machine.make(READY)
    assert first.returncode == 0, first.stderr
    assert first.stdout == "", "progress belongs on stderr, so that `make demo | less` shows the demo alone"
    assert machine.installed() == EVERYTHING

    again = machine.make(READY)
    assert (again.returncode, again.stderr) == (0, "")


def test_changed_constraints_bring_the_same_venv_up_to_date(machine: Machine) -> None:
    machine.has_python()
    machine.has_only_uv()
    assert machine.make(READY).returncode == 0
    keepsake = machine.project / ".venv" / "keepsake"
    keepsake.touch()

    (machine.project / "constraints.txt").write_text("probe==2\n")
    os.utime(machine.project / READY, (0, 0))
    assert machine.make(READY).returncode == 0
    assert machine.installed() == {**EVERYTHING, "probe": "2"}
    assert keepsake.exists()


def test_a_python_without_ensurepip_is_served_by_the_systems_pip(machine: Machine) -> None:
    machine.has_python()
    machine.lacks_ensurepip()
    done = machine.make(READY)
    assert done.returncode == 0, done.stderr
    assert machine.installed() == EVERYTHING
    assert not list((machine.project / ".venv").glob("lib/python*/site-packages/pip")), (
        "the branch under test has no pip"
    )
    assert machine.installer() == "pip"


def test_a_python_without_ensurepip_and_pip_is_served_by_a_pip_command(machine: Machine) -> None:
    machine.has_python()
    machine.lacks_ensurepip()
    machine.lacks("pip")
    machine.has("pip3", f'unset PYTHONPATH; exec {shlex.quote(sys.executable)} -m pip "$@"')
    done = machine.make(READY)
    assert done.returncode == 0, done.stderr
    assert machine.installed() == EVERYTHING
    assert machine.installer() == "pip"


@pytest.mark.parametrize("lacking", ["ensurepip", "venv"])
def test_a_python_without_ensurepip_or_venv_is_served_by_uv_where_pip_is_too_old(
    machine: Machine, lacking: str
) -> None:
    machine.has_python()
    machine.has_only_uv()
    if lacking == "venv":
        machine.lacks("venv")
    machine.has("pip", "echo 'no such option: --python' >&2; exit 2")
    done = machine.make(READY)
    assert done.returncode == 0, done.stderr
    assert machine.installed() == EVERYTHING
    assert machine.installer() == "uv"


def test_a_python_with_nothing_to_install_by_gets_one_line_and_its_cure_works(machine: Machine) -> None:
    machine.has_python()
    machine.lacks_ensurepip()
    machine.lacks("pip")
    line = complaint(machine.make("test"))
    assert "ensurepip" in line
    assert "apt install python3-venv" in line

    machine.has_only_uv()
    assert machine.make(READY).returncode == 0
    assert machine.installed() == EVERYTHING


def test_packages_that_cannot_be_installed_leave_no_stamp_and_the_installers_own_error(machine: Machine) -> None:
    machine.has_python()
    machine.has_only_uv()
    (machine.project / "constraints.txt").write_text("probe==3\n")
    done = machine.make("test")
    assert done.returncode != 0
    assert "probe" in done.stderr
    assert "run make again" in done.stderr
    assert not (machine.project / READY).exists()


def test_a_venv_that_cannot_be_created_is_named_with_the_reason(machine: Machine) -> None:
    machine.has_python()
    (machine.project / ".venv").touch()
    line = complaint(machine.make("demo"))
    assert str(machine.project / ".venv") in line


def test_a_venv_whose_interpreter_is_gone_is_made_again(machine: Machine) -> None:
    machine.has_python()
    machine.has_only_uv()
    gone = machine.project / ".venv/bin/python"
    gone.parent.mkdir(parents=True)
    gone.symlink_to("/nonexistent/python3")
    assert machine.make(READY).returncode == 0
    assert machine.installed() == EVERYTHING


@pytest.mark.parametrize("version", [(3, 6), (3, 8), (3, 10)])
def test_an_older_python_gets_one_line_that_says_what_to_install(machine: Machine, version: tuple[int, int]) -> None:
    machine.has_old_python(version)
    machine.has("python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    line = complaint(machine.make("test"))
    assert "needs Python 3.11 or newer" in line
    assert "python3 here is {}.{}".format(*version) in line
    assert not (machine.project / ".venv").exists()


def test_an_older_python3_hands_over_to_a_newer_python_on_the_path(machine: Machine) -> None:
    machine.has_old_python((3, 8))
    machine.has_python("python3.12")
    machine.has_only_uv()
    assert machine.make(READY).returncode == 0
    assert machine.installed() == EVERYTHING


def test_a_machine_without_python3_gets_one_line(machine: Machine) -> None:
    assert "there is no python3 here" in complaint(machine.make("demo"))


def test_the_python_that_is_asked_for_is_taken_or_refused_but_never_replaced(machine: Machine) -> None:
    machine.has_python()
    machine.has("python2.7", "echo '2 7'")
    machine.has_python("mine")
    machine.has_only_uv()
    assert "PYTHON=python2.7 is 2.7" in complaint(machine.make("test", "PYTHON=python2.7"))
    assert "PYTHON=nonesuch does not run" in complaint(machine.make("test", "PYTHON=nonesuch"))
    assert machine.make(READY, "PYTHON=mine").returncode == 0


def test_bootstrap_reads_as_python_3_6_so_that_an_older_python_can_say_what_is_missing() -> None:
    ast.parse((ROOT / "tools" / "bootstrap.py").read_text("utf-8"), feature_version=(3, 6))


def test_make_alone_lists_every_target_with_what_it_does(machine: Machine) -> None:
    listed = machine.make()
    assert listed.returncode == 0
    told = {line.split()[1] for line in listed.stdout.splitlines()}
    assert {"demo", "test", "e2e", "lint", "types", "bench", "clean", "keycloak", "keycloak-reset"} <= told


def test_make_test_collects_no_suite_that_needs_a_server_of_others(machine: Machine) -> None:
    recipe = machine.make("--dry-run", "test").stdout
    for suite in ("e2e", "faults", "providers/live", "agentos"):
        assert f"--ignore=tests/{suite}" in recipe
    needed = machine.project / "tests/agentos/requirements.txt"  # the examples that e2e runs are AgentOS's too
    needed.parent.mkdir(parents=True)
    needed.touch()
    assert "pytest tests/e2e" in machine.make("--dry-run", "e2e").stdout
