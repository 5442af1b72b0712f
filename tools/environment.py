"""Make .venv, or bring it up to date: oidcbridge editable with its command line, and what tests and checks it.

Python 3.11's standard library only. Whichever of these the machine has does the work: the interpreter's own venv with
ensurepip; venv alone, filled by the system's pip (Debian ships ensurepip apart, as python3-venv); uv.
Versions come from constraints.txt, for the packages and for the build backend alike.

`python tools/environment.py e2e` (or `fuzz`) adds that dependency group to a .venv that is ready; `… bench` makes
.venv-bench, an environment of its own; `… agentos` and `… agentos-oldest` likewise.
"""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

OLDEST = (3, 11)
GROUPS = ("test", "lint")
#: Environments of their own, and what goes into each.
APART = {
    "bench": ("--requirement", "benchmarks/requirements.txt"),
    "agentos": ("--requirement", "tests/agentos/requirements.txt", "agno[os]==3.1.10"),
    "agentos-oldest": ("--requirement", "tests/agentos/requirements.txt", "agno[os]==3.1.0"),
}
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
READY = VENV / ".ready"  # the Makefile's stamp
CONSTRAINTS = "constraints.txt"  # relative: pip splits these variables at blanks, and ROOT's path may have some
WITHOUT_ATHERIS = (
    ". atheris, which make fuzz needs, comes ready-made for CPython 3.11 to 3.14 on Linux (x86-64, glibc) alone, and is"
    " not built here; to take another interpreter: make clean, then make fuzz PYTHON=python3.12"
)
ENVIRON = {
    **os.environ,
    "PIP_CONSTRAINT": CONSTRAINTS,
    "PIP_BUILD_CONSTRAINT": CONSTRAINTS,
    "UV_CONSTRAINT": CONSTRAINTS,
    "UV_BUILD_CONSTRAINT": CONSTRAINTS,
    "UV_VENV_CLEAR": "1",  # what --clear says; uv before 0.8 always clears, and knows neither
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
Command = list[str]


def say(text: str) -> None:
    """Report progress on stderr: what `make demo` prints stays the demo's own."""
    print(text, file=sys.stderr, flush=True)


def attempt(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's root and keep what it prints."""
    return subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, check=False)


def python_of(venv: Path) -> Path:
    """Name the interpreter of a virtual environment."""
    return venv / "bin" / "python"


def is_usable(venv: Path) -> bool:
    """Tell whether the environment that is there runs, on the Python that PYTHON= asks for or on one new enough."""
    if not python_of(venv).exists():
        return False
    answer = attempt(str(python_of(venv)), "-c", "import sys; print(*sys.version_info[:2])")
    version = tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else ()
    return version == sys.version_info[:2] if os.environ.get("PYTHON") else version >= OLDEST


def create(venv: Path) -> None:
    """Create the environment in the first way that works here. Raises SystemExit with one line when none does."""
    make = [sys.executable, "-m", "venv", "--clear"]
    ways: list[Command] = [[*make, str(venv)], [*make, "--without-pip", str(venv)]]
    if uv := shutil.which("uv"):
        ways.append([uv, "venv", "--quiet", "--python", sys.executable, str(venv)])
    said = ""
    for way in ways:
        done = attempt(*way)
        if done.returncode == 0:
            return
        said = (done.stderr or done.stdout).strip().rpartition("\n")[2] or said
    raise SystemExit(f"oidcbridge: {sys.executable} could not create {venv}: {said}")


def find_installer(venv: Path) -> Command | None:
    """Find a command that installs into it: its own pip, one of the system's (22.3 or newer, for --python), uv."""
    python = str(python_of(venv))
    pips = [[sys.executable, "-m", "pip"], ["pip3"], ["pip"]]
    for pip in [[python, "-m", "pip"], *([*pip, "--python", python] for pip in pips)]:
        if shutil.which(pip[0]) and attempt(*pip, "--version").returncode == 0:
            return [*pip, "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", python]
    return None


def requirements(groups: dict[str, list[str | dict[str, str]]], name: str) -> Iterator[str]:
    """List a dependency group's requirements (PEP 735), since pip reads groups itself only from 25.1 on."""
    for entry in groups[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from requirements(groups, entry["include-group"])


def wanted_of(names: Sequence[str]) -> list[str]:
    """List what these groups need, or an environment of its own, as an installer's arguments."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    return [wanted for name in names for wanted in APART.get(name) or requirements(groups, name)]


def install(installer: Command, wanted: Sequence[str]) -> None:
    """Install the project and what is wanted; the installer's own errors stay on the screen. Raises SystemExit."""
    command = [*installer, "--quiet", "--only-binary", "atheris", "--editable", ".[cli]", *wanted]
    if subprocess.run(command, cwd=ROOT, env=ENVIRON, check=False).returncode:
        hint = WITHOUT_ATHERIS if any(one.startswith("atheris") for one in wanted) else ""
        raise SystemExit(f"oidcbridge: installing failed for the reason above; run make again to retry{hint}")


def main() -> None:
    """Make .venv ready, or add the groups named; leave the stamp that lets the next make skip all this."""
    started, added = time.monotonic(), sys.argv[1:]
    venv = ROOT / f".venv-{added[0]}" if added and added[0] in APART else VENV
    installer = find_installer(venv) if is_usable(venv) else None
    if installer is None:
        create(venv)
        installer = find_installer(venv)
    if installer is None:
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        raise SystemExit(
            f"oidcbridge: {python} here has no ensurepip, and neither pip (22.3 or newer) nor uv is there instead: "
            "install one of them (Debian, Ubuntu: apt install python3-venv) and run make again"
        )
    what = f"what {', '.join(added)} needs" if added else "oidcbridge and its development tools"
    say(f"Filling {venv.name} with {what}: a minute or so the first time")
    install(installer, wanted_of(added or GROUPS))
    for stamp in [venv / f".ready-{name}" for name in added] or [READY]:
        stamp.touch()
    say(f"Ready after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
