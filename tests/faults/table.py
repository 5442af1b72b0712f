"""The table of scenarios: what became of each, and how often the provider was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from tests.faults.scenarios import SCENARIOS

Fetches = int | str | Mapping[str, int]


def scenario(name: str) -> pytest.MarkDecorator:
    """Marks the one test of a scenario, such as ``A1``. Raises ``ValueError`` for a scenario that there is not."""
    if name not in SCENARIOS:
        raise ValueError(f"there is no scenario {name!r}")
    return pytest.mark.scenario(name)


class Row:
    """One line of the table, which the test of a scenario fills in when it has seen what it expects."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outcome: str | None = None
        self.fetches = ""

    def saw(self, outcome: str, fetches: Fetches) -> None:
        """``outcome``: what was asserted, as a short phrase in the past tense; ``fetches``: what the provider saw."""
        self.outcome = outcome
        self.fetches = _text(fetches)


def _text(fetches: Fetches) -> str:
    if not isinstance(fetches, Mapping):
        return str(fetches)
    return ", ".join(f"{count} {kind}" for kind, count in fetches.items() if count) or "0"


def drawn(rows: Sequence[Row], width: int) -> str:
    """The rows in the order of the scenarios, at most ``width`` columns wide."""
    table = Table("", "Scenario", "Outcome", "Fetches")
    for row in sorted(rows, key=lambda row: list(SCENARIOS).index(row.name)):
        table.add_row(row.name, SCENARIOS[row.name], row.outcome or "FAILED", row.fetches)
    text = StringIO()
    Console(file=text, width=width, markup=False, highlight=False).print(table)
    return text.getvalue()
