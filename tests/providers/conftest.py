"""Tests prove the rows of the providers' table, and the run ends with it."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from tests.providers.rows import ROWS
from tests.providers.table import README, Proof, as_markdown, drawn, written_into

_PROOFS = pytest.StashKey[list[Proof]]()
_MIN_WIDTH = 190  # columns, where the terminal has fewer or there is none

Prove = Callable[[str], Proof]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", action="store_true", help="write the table of this run into README.md")


@pytest.fixture(scope="session")
def proofs(request: pytest.FixtureRequest) -> list[Proof]:
    """What has been seen of the table so far."""
    return request.config.stash.setdefault(_PROOFS, [])


@pytest.fixture
def prove(proofs: list[Proof]) -> Prove:
    """Begins the proof of a row, by its name; the test that does has to end it too."""

    def begin(name: str) -> Proof:
        proof = Proof(ROWS[name])
        proofs.append(proof)
        return proof

    return begin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fails a test that passed and has left a row incomplete."""
    proofs = item.config.stash.get(_PROOFS, [])
    before = len(proofs)
    yield
    for proof in proofs[before:]:
        if proof.missing:
            pytest.fail(f"the row {proof.row.name} does not count without: {', '.join(proof.missing)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    proofs = config.stash.get(_PROOFS, [])
    if not proofs:
        return
    terminalreporter.section("providers")
    terminalreporter.write(drawn(proofs, max(terminalreporter._tw.fullwidth, _MIN_WIDTH)))
    lacking = [name for name in ROWS if name not in {proof.row.name for proof in proofs if not proof.missing}]
    if lacking:
        terminalreporter.write_line(f"Not proven in this run: {', '.join(lacking)}")
    else:
        terminalreporter.write_line("Every row was proven in this run.")
    if config.getoption("--write-table", default=False):
        if lacking:
            terminalreporter.write_line("README.md was left as it is: it shows whole tables alone.")
        else:
            README.write_text(written_into(README.read_text("utf-8"), as_markdown(proofs)), encoding="utf-8")
            terminalreporter.write_line("The table is in README.md.")
