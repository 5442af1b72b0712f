"""Where the servers' programs live: installed beside this file at first use, and not asked of a registry again.

What is installed is pinned to the version: package-lock.json for Node, requirements.txt for Python. A changed pin
installs anew. Nothing goes into the project's own environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
OLDEST_NODE = 20
_INSTALLED_WITHIN = 600.0  # seconds; 15 to 40 are usual


class ServerUnavailableError(Exception):
    """A server does not run here; the text says why, and what to install where that would help."""


def node() -> str:
    """The Node that can run the servers, with their packages installed. Raises ServerUnavailableError."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise ServerUnavailableError(f"there is no Node with npm here: install Node {OLDEST_NODE} or newer")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    found = re.match(r"v(\d+)\.", said)
    if found is None or int(found[1]) < OLDEST_NODE:
        raise ServerUnavailableError(f"Node {said.strip() or '?'} is too old: install Node {OLDEST_NODE} or newer")
    stamp = HERE / "node_modules" / ".installed-from"
    with _made_once(stamp, "package.json", "package-lock.json") as is_due:
        if is_due:
            _run([npm, "ci", "--no-progress"], "npm could not install the servers")
    return program


def moto_python() -> str:
    """The Python of an environment of its own that has moto. Raises ServerUnavailableError."""
    home = HERE / ".venv"
    python = home / "bin" / "python"
    with _made_once(home / ".installed-from", "requirements.txt") as is_due:
        if is_due:
            venv.create(home, clear=True, with_pip=False)  # Debian ships ensurepip apart; our own pip can fill it
            pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
            _run([*pip, "--requirement", "requirements.txt"], "pip could not install moto")
    return str(python)


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
