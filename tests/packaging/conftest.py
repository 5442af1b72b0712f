"""A machine as make finds it: a small project with our Makefile and tools, and what PATH and PYTHONPATH show."""

import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("awk", "env", "find", "make", "rm", "sh", "touch")
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
optional-dependencies = { cli = ["typist"] }

[dependency-groups]
tools = ["probe"]
test = [{ include-group = "tools" }]
lint = ["linter"]
"""
BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        extra = "Provides-Extra: cli\\nRequires-Dist: typist; extra == 'cli'\\n"
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n" + extra)
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return "tiny-1-py3-none-any.whl"
"""
SHADOW = """
import runpy, sys
if not ({unless} or sys.executable.startswith({project!r})):
    sys.exit("Error: {name} is not installed here")
sys.path.remove({folder!r})
runpy.run_module("{name}", run_name="__main__", alter_sys=True)
"""


class Machine:
    """A project folder, and the PATH and environment that commands in it see."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.project, self.modules = folder / "bin", folder / "a project", folder / "modules"
        for made in (self.bin, self.project / "tools", self.modules):
            made.mkdir(parents=True)
        for tool in TOOLS:
            self.has(tool, f'exec {shutil.which(tool)} "$@"')
        for name in ("Makefile", "tools/bootstrap.py", "tools/environment.py"):
            shutil.copy(ROOT / name, self.project / name)
        (self.project / "pyproject.toml").write_text(PYPROJECT)
        (self.project / "backend.py").write_text(BACKEND)
        (self.project / "constraints.txt").write_text("probe==1\n")
        wheels = folder / "wheels"
        wheels.mkdir()
        for name, version in (("probe", "1"), ("probe", "2"), ("linter", "1"), ("typist", "1")):
            write_wheel(wheels, name, version)
        self.environ = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "PYTHONPATH": str(self.modules),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(wheels),
            "UV_CACHE_DIR": str(folder / "cache"),
        }

    def has(self, name: str, script: str) -> None:
        """Put a command on the PATH."""
        command = self.bin / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    def has_python(self, name: str = "python3") -> None:
        self.has(name, f'exec {shlex.quote(sys.executable)} "$@"')

    def has_old_python(self, version: tuple[int, int]) -> None:
        """A python3 that says it is older; what it runs is our code all the same."""
        pretend = (
            f"import runpy, sys; sys.version_info = (*{version}, 0, 'final', 0); sys.argv = sys.argv[1:]; "
            "runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        self.has("python3", f'exec {shlex.quote(sys.executable)} -c {shlex.quote(pretend)} "$@"')

    def has_only_uv(self) -> None:
        """Neither ensurepip nor pip, but uv: the quickest way, for tests of something else."""
        self.lacks_ensurepip()
        self.lacks("pip")
        self.has("uv", f'exec {shlex.quote(str(Path(sys.executable).with_name("uv")))} "$@"')

    def lacks_ensurepip(self) -> None:
        """As Debian without python3-venv: only `python -m venv --without-pip` works."""
        self.lacks("venv", unless="'--without-pip' in sys.argv")

    def lacks(self, module: str, unless: str = "False") -> None:
        """Make `python -m module` fail, unless an expression holds, in every Python but the project's own."""
        folder, project = str(self.modules), str(self.project)
        shadow = SHADOW.format(unless=unless, name=module, folder=folder, project=project)
        (self.modules / f"{module}.py").write_text(shadow)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / "make"), "--silent", *arguments]
        return subprocess.run(
            command, cwd=self.project, env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )

    def installed(self) -> dict[str, str]:
        """Names and versions in the project's .venv, beside the installer's own."""
        site = next((self.project / ".venv").glob("lib/python*/site-packages"))
        pairs = (info.stem.split("-") for info in site.glob("*.dist-info"))
        return {name: version for name, version in pairs if name not in {"pip", "setuptools"}}

    def installer(self) -> str:
        """Who filled the project's .venv, in its own word."""
        (record,) = (self.project / ".venv").glob("lib/python*/site-packages/probe-*/INSTALLER")
        return record.read_text().strip()


def write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
