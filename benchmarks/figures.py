"""What a measurement says: a figure with its bar, if it has one, and what stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Effort(NamedTuple):
    """How much is done for a figure."""

    rounds: int
    calls: int
    http_rounds: int
    http_requests: int
    token_counts: tuple[int, ...]
    """How many different tokens are seen, in ascending order."""


FULL = Effort(rounds=40, calls=250, http_rounds=24, http_requests=3_000, token_counts=(10, 1_000, 100_000, 1_000_000))
QUICK = Effort(rounds=10, calls=150, http_rounds=6, http_requests=1_000, token_counts=(10, 1_000, 30_000))


class Bar(NamedTuple):
    """What a figure may be at most, or has to be at least."""

    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether ``value`` is on the right side."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


class Figure(NamedTuple):
    """One line of the table."""

    key: str
    title: str
    value: float
    bar: Bar | None = None
    unit: str = ""
    """Nothing for a ratio."""
    detail: str = ""

    @property
    def verdict(self) -> str:
        """``ok``, ``missed``, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        return "ok" if self.bar.holds(self.value) else "missed"

    @property
    def text(self) -> str:
        """The value to three digits or so, with its unit."""
        digits = 0 if self.value >= 1000 else 1 if self.value >= 100 else 2 if self.value >= 10 else 3
        return f"{self.value:,.{digits}f}{' ' + self.unit if self.unit else ''}"


def compared(costs: dict[str, float], subject: str, reference: str) -> str:
    """Both sides of a ratio, for a figure's detail."""
    return f"{costs[subject]:.1f} µs against {costs[reference]:.1f} µs"


def print_figures(title: str, figures: Sequence[Figure]) -> None:
    """For one part run alone."""
    print(f"\n{title}")
    for figure in figures:
        bar = f"{figure.bar or ''!s:>8} {figure.verdict:<7}"
        print(f"  {figure.title:<76}{figure.text:>10} {bar} {figure.detail}")
