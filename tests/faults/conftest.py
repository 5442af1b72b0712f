"""Every scenario's test fills in its row, and the run ends with the table of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from oidcbridge import Verifier
from tests.faults.table import Row, drawn
from tests.faults.watching import Watcher
from tests.remote.asking import settle
from tests.remote.conftest import clock, issuer, real_time_issuer
from tests.remote.hostile import HeldIssuer

__all__ = ["clock", "issuer", "real_time_issuer", "row", "verifier", "watcher"]

_ROWS = pytest.StashKey[list[Row]]()
_MIN_WIDTH = 120  # columns, where the terminal has fewer or there is none


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row of this test's scenario, to be filled in by ``row.saw(outcome, fetches)``."""
    marker = request.node.get_closest_marker("scenario")
    if marker is None:
        pytest.fail('a test with a row is marked @scenario("…")')
    row = Row(*marker.args)
    request.config.stash.setdefault(_ROWS, []).append(row)
    return row


@pytest.fixture
def watcher() -> Watcher:
    """Hears what the verifier of this test tells; for one that a test makes itself, ``observer=watcher``."""
    return Watcher()


@pytest.fixture
def verifier(issuer: HeldIssuer, watcher: Watcher) -> Iterator[Verifier]:
    """A verifier that has the issuer's keys, fetched a moment ago."""
    with issuer.verifier(observer=watcher) as verifier:
        settle(verifier)
        yield verifier


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fails a scenario's test that passed and yet told nothing."""
    yield
    if item.get_closest_marker("scenario") is not None:
        row = getattr(item, "funcargs", {}).get("row")
        if row is None or row.outcome is None:
            pytest.fail("the test of a scenario ends with row.saw(outcome, fetches)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("scenarios")
        terminalreporter.write(drawn(rows, max(terminalreporter._tw.fullwidth, _MIN_WIDTH)))
