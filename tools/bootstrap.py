"""Find a Python that oidcbridge runs on, and let it make .venv (environment.py beside this file).

Run by whatever ``python3`` a machine has, if only to say what to install: keep to Python 3.6's syntax and library.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
OTHERS = ["python3.14", "python3.13", "python3.12", "python3.11"]
HOW = (
    "install one (from your package manager, python.org or `uv python install 3.13`) and run make again, "
    "or name yours: make PYTHON=/path/to/python3.13"
)
ENVIRONMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "environment.py")
TELL_VERSION = "import sys; print('%d %d' % sys.version_info[:2])"


def version_of(python: str) -> "tuple[int, ...]":
    """Tell an interpreter's (major, minor), or () if it is missing or does not run, as an empty pyenv shim."""
    path = shutil.which(python)
    if path is None:
        return ()
    try:
        answer = subprocess.check_output([path, "-c", TELL_VERSION], stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in answer.split())


def spelled(version: "tuple[int, ...]") -> str:
    """Spell (3, 8) as 3.8."""
    return ".".join(str(part) for part in version)


def choose(wanted: str) -> str:
    """Choose the interpreter for .venv: the wanted one alone, else the running one, else the newest on PATH.

    Raises SystemExit with one line that says what to install.
    """
    if wanted:
        version = version_of(wanted)
        if version >= OLDEST:
            return wanted
        found = "is " + spelled(version) if version else "does not run"
        raise SystemExit("oidcbridge needs Python 3.11 or newer, and PYTHON=" + wanted + " " + found + ": " + HOW)
    if sys.version_info >= OLDEST:
        return sys.executable
    for python in OTHERS:
        if version_of(python) >= OLDEST:
            return python
    here = spelled(sys.version_info[:2])
    raise SystemExit("oidcbridge needs Python 3.11 or newer, and python3 here is " + here + ": " + HOW)


if __name__ == "__main__":
    chosen = choose(os.environ.get("PYTHON", ""))
    sys.exit(subprocess.call([str(shutil.which(chosen)), ENVIRONMENT]))
