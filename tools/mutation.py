"""Mutation testing of `oidcbridge.core`: do its tests notice each small mistake (`tools/mutants.py`) in it?

``make mutation`` takes all modules, ``make mutation ARGS="token verify"`` some. Each mutant runs in a process of its
own, in memory: no file is changed. A module is judged by those of tests/core that import it, until the first failure,
hypothesis with the same examples each time. Prints every survivor, then the table; fails below 95 % killed.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import io
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import hypothesis
import pytest
from joserfc.jwk import RSAKey
from mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "oidcbridge" / "core"
TESTS = ROOT / "tests" / "core"
BAR = 95.0  # percent
#: A module that others stand in front of is tried by their tests as well.
BEHIND = {"signatures": "keys"}
MEMORY = 4 * 2**30  # bytes: a mutant that never stops growing is stopped
SECONDS = 60  # of processor time, not the wall's: a machine that is busy, or pauses us, finds no mistakes
FORK = multiprocessing.get_context("fork")


class Result(NamedTuple):
    """What became of one module's mutants."""

    module: str
    killed: int
    timed_out: int
    """Of those killed: they ran on and on."""
    survivors: Sequence[Mutant]

    @property
    def mutants(self) -> int:
        """How many there were."""
        return self.killed + len(self.survivors)

    @property
    def percent(self) -> float:
        """How many of them were found."""
        return 100.0 * self.killed / self.mutants if self.mutants else 100.0

    def __str__(self) -> str:
        counts = f"{self.mutants:>8}{self.killed:>8}{self.timed_out:>10}{len(self.survivors):>10}"
        return f"{self.module:<16}{counts}{self.percent:>9.1f} %"


class MutantFinder(MetaPathFinder, InspectLoader):
    """Gives one module a source that stands in no file."""

    def __init__(self, module: str, source: str) -> None:
        self._module = f"oidcbridge.core.{module}"
        self._path = CORE / f"{module}.py"
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, if it is the one."""
        return spec_from_file_location(fullname, self._path, loader=self) if fullname == self._module else None

    def get_source(self, fullname: str) -> str:
        """The mutant."""
        return self._source


def tests_of(module: str) -> list[str]:
    """The test modules that import ``oidcbridge.core.<module>``: its own first, those that try at random last."""
    wanted = {f"oidcbridge.core.{name}" for name in (module, BEHIND.get(module)) if name}
    found = []
    for path in sorted(TESTS.glob("test_*.py")):
        text = path.read_text("utf-8")
        if wanted & imported_by(text):
            found.append(("from hypothesis" in text, path.stem != f"test_{module}", len(text), str(path)))
    return [path for *_, path in sorted(found)]


def imported_by(text: str) -> set[str]:
    """The modules that a source imports from."""
    return {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}


class FirstFailure:
    """A pytest plugin: ends this process with the first failure, which is all there is to know."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or what it needs, has failed."""
        if report.failed:
            os._exit(1)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module cannot be imported."""
        if report.failed:
            os._exit(1)


def run_tests(*arguments: str) -> int:
    """pytest in this process, with nothing on the screen, and without the watches that cost more than most tests."""
    lean = ["--assert=plain", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-o", "faulthandler_timeout=0"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-q", "--tb=no", *lean, *arguments], plugins=[FirstFailure()]))


def in_child(module: str, source: str, tests: Sequence[str]) -> None:
    """End this process with 0 where ``tests`` find nothing wrong with ``source``."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    sys.meta_path.insert(0, MutantFinder(module, source))
    os._exit(any(run_tests(path) for path in tests))  # one by one: most mistakes show in the first, the others wait


def exit_code_of(module: str, source: str, tests: Sequence[str]) -> int | None:
    """How a process ends in which ``source`` stands for the module: 0 where it passes ``tests``."""
    child = FORK.Process(target=in_child, args=(module, source, tests))
    child.start()
    child.join()
    return child.exitcode


def judge(module: str) -> Result:
    """Have a module's mutants tested. Raises SystemExit where its tests fail without a mistake in it."""
    source, tests = (CORE / f"{module}.py").read_text("utf-8"), tests_of(module)
    if not tests or exit_code_of(module, source, tests) != 0:
        raise SystemExit(f"{module}: the tests {tests} have to pass before they can find mistakes")
    mutants, timed_out, survivors = list(mutants_of(source)), 0, list[Mutant]()
    for number, mutant in enumerate(mutants, start=1):
        progress(f"{module} {number}/{len(mutants)}, {len(survivors)} survived")
        code = exit_code_of(module, mutant.source, tests)
        timed_out += code == -signal.SIGXCPU
        if code == 0:
            survivors.append(mutant)
            progress("")
            print(f"{module}.py:{mutant}", flush=True)
    progress("")
    return Result(module, len(mutants) - len(survivors), timed_out, survivors)


def progress(text: str) -> None:
    """Show where the run is, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def make_keys_beforehand(number: int = 32) -> None:
    """Have RSA keys ready: each child would spend more time on them than on all else it does."""
    make, ready = RSAKey.generate_key, [RSAKey.generate_key(2048) for _ in range(number)]

    def generate_key(key_size: int | None = 2048, *arguments: Any, **options: Any) -> RSAKey:
        if key_size == 2048 and not arguments and not options and ready:
            return ready.pop()
        return make(key_size, *arguments, **options)

    RSAKey.generate_key = generate_key  # type: ignore[method-assign]


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Calm surroundings, and whatever the tests import besides the project already in memory."""
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = scratch
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # a failure is enough, it need not be small
        hypothesis.settings.register_profile(
            "mutation",
            derandomize=True,
            database=None,
            phases=phases,
            deadline=None,  # a machine that is busy, or pauses us, finds no mistakes
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.settings.load_profile("mutation")
        run_tests("--collect-only", str(TESTS))
        make_keys_beforehand()
        for name in [name for name in sys.modules if name.partition(".")[0] in ("oidcbridge", "tests", "conftest")]:
            del sys.modules[name]
        gc.freeze()  # or each child would collect its parent's garbage
        yield


def main(modules: Sequence[str]) -> int:
    """Judge ``modules``, or all that have anything to mutate."""
    known = [path.stem for path in sorted(CORE.glob("*.py")) if path.stem not in ("__init__", "key_store")]
    if strangers := set(modules) - set(known):
        raise SystemExit(f"no module of core: {', '.join(sorted(strangers))}; there are {', '.join(known)}")
    with prepared():
        results = [judge(module) for module in modules or known]
    print(f"\n{'module':<16}{'mutants':>8}{'killed':>8}{'by time':>10}{'survived':>10}")
    total = Result(
        "all",
        sum(one.killed for one in results),
        sum(one.timed_out for one in results),
        [mutant for one in results for mutant in one.survivors],
    )
    print(*results, total, sep="\n")
    return 0 if total.percent >= BAR else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
