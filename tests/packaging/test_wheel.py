"""The wheel that users install: built from this tree, and tried in an environment with what it declares and no more."""

import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NEEDS_EXTRA = "oidcbridge's command line needs the 'cli' extra: pip install \"oidcbridge[cli]\"\n"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    # Only what is in the environment counts: no PYTHONPATH of ours, and a PATH for the script's interpreter line
    environ = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, env=environ
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def required(requirements: list[str], extras: set[str]) -> Iterator[Distribution]:
    """Walk the installed distributions that these requirements ask for, and theirs."""
    todo = [(requirement, frozenset(extras)) for requirement in requirements]
    seen = set()
    while todo:
        requirement, extras_here = todo.pop()
        wanted = Requirement(requirement)
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras_here or {""}):
            continue
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        found = distribution(wanted.name)
        todo += [(further, frozenset(wanted.extras)) for further in found.requires or []]
        yield found


def expose(distributions: Iterator[Distribution], folder: Path) -> None:
    """Link distributions of the environment that runs the tests into a folder, so that nothing is downloaded."""
    folder.mkdir()
    for found in distributions:
        tops = {PurePosixPath(file).parts[0] for file in found.files or []} - {"..", "__pycache__"}
        for top in tops:
            link = folder / top
            if not link.is_symlink():
                link.symlink_to(Path(str(found.locate_file(top))))


@pytest.fixture(scope="module")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Install the wheel and what it requires into a new, otherwise empty environment; its bin folder is returned."""

    def new_environment(*extras: str) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=False, symlinks=True)
        python = folder / "bin" / "python"
        expose(required(metadata(wheel).get_all("Requires-Dist", []), set(extras)), folder / "dependencies")
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text(f"{folder / 'dependencies'}\n")
        pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
        installed = run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel)
        assert installed.returncode == 0, installed.stderr
        checked = run(*pip, "check")
        assert checked.returncode == 0, checked.stdout
        return folder / "bin"

    return new_environment


@pytest.fixture(scope="module")
def plain(install: Callable[..., Path]) -> Path:
    return install()


def test_the_wheel_holds_the_typed_package_its_licence_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "oidcbridge/py.typed" in names
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert {top.partition("-")[0] for top in tops} == {"oidcbridge"}, "no tests, no docker, no tools"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "oidcbridge").rglob("*.py")}
    assert modules <= set(names), "a module of the package is missing from the wheel"


def test_the_wheel_asks_for_python_3_11_and_caps_nothing(wheel: Path) -> None:
    told = metadata(wheel)
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "Apache-2.0"
    requirements = [Requirement(text) for text in told.get_all("Requires-Dist", [])]
    assert requirements
    capped = [str(wanted) for wanted in requirements if re.search(r"[<~!]|==", str(wanted.specifier))]
    assert capped == []


def test_every_public_name_is_importable_with_the_declared_dependencies_alone(plain: Path) -> None:
    told = run(plain / "python", "-I", "-c", "import oidcbridge; from oidcbridge import *; print(oidcbridge.__file__)")
    assert told.returncode == 0, told.stderr
    assert Path(told.stdout.strip()).is_relative_to(plain.parent), "the wheel was tried, and not this source tree"


def test_the_console_script_without_its_extra_says_how_to_get_it(plain: Path) -> None:
    told = run(plain / "oidcbridge", "--version")
    assert (told.returncode, told.stdout, told.stderr) == (2, "", NEEDS_EXTRA)


def test_the_console_script_with_its_extra_runs(install: Callable[..., Path], wheel: Path) -> None:
    told = run(install("cli") / "oidcbridge", "--version")
    assert told.returncode == 0, told.stderr
    assert metadata(wheel)["Version"] in told.stdout
