"""A run's result as text, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.compare import COLUMNS, Row
from benchmarks.figures import Figure
from benchmarks.plot import draw

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- make bench writes what follows -->", "<!-- to here -->"
OURS = {
    "RS256": "cold_await_verify_rs256",
    "ES256": "cold_await_verify_es256",
    "new": "added_new",
    "seen": "added_seen",
    "expired": "refused_expired",
    "stream": "stream",
}
"""Column -> our figure."""
METHOD = """\
Payload about 900 bytes, RS256-2048 and ES256. All ratios are of one run on one machine, slices of a few calls
interleaved in random order, the lowest decile. In process it is CPU time; over HTTP, requests a second with server and
client pinned to a core each. "New" tokens are different ones, and the cache is full, so that each is verified,
remembered, and pushes another one out. The bare work is what nobody can leave out: split, two `json.loads`, the
signature, issuer, audience and expiry; the bare wrapper is an ASGI middleware that does only that. "The least that can
be" for a token seen before is a wrapper of twenty lines that hashes the token, looks it up, fills the state, adds two
headers, and checks nothing. Each peer is set up as its documentation says, keys at hand, its terminal logging off; none
of them remembers tokens, and what they check differs: several check less."""


class Result(NamedTuple):
    """All that a run found."""

    machine: dict[str, str]
    mode: str
    figures: Sequence[Figure]
    peers: Sequence[Row]

    @property
    def rows(self) -> list[Row]:
        """We ourselves before the peers, by the same columns."""
        values = {figure.key: figure.value for figure in self.figures}
        ours = {column: values[key] for column, key in OURS.items()}
        return [Row("oidcbridge", self.machine["oidcbridge"], ours), *self.peers]

    @property
    def missed(self) -> list[Figure]:
        """The figures on the wrong side of their bar."""
        return [figure for figure in self.figures if figure.verdict == "missed"]


def as_json(result: Result) -> str:
    """Everything, to the last digit."""
    measures = [
        {
            "key": figure.key,
            "title": figure.title,
            "value": figure.value,
            "unit": figure.unit or "ratio",
            "bar": figure.bar.limit if figure.bar else None,
            "at_least": figure.bar.at_least if figure.bar else None,
            "ok": figure.bar.holds(figure.value) if figure.bar else None,
            "detail": figure.detail,
        }
        for figure in result.figures
    ]
    peers = [
        {"name": row.name, "version": row.version, "figures": dict(row.figures), "reason": row.reason or None}
        for row in result.rows
    ]
    whole = {"machine": result.machine, "mode": result.mode, "measures": measures, "peers": peers}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def peers_as_text(result: Result) -> str:
    """The peers' table for a terminal."""
    widths = [30, 13, *(10 for _ in COLUMNS)]
    lines = [_line(["", "", *COLUMNS], widths)]
    lines += [_line(cells, widths) for cells in _cells(result.rows)]
    return "\n".join([*lines, *(f"  {column}: {meaning}" for column, meaning in COLUMNS.items())])


def as_markdown(result: Result) -> str:
    """The page that is kept beside the plot."""
    machine = ", ".join(f"{name} {text}" if name in _VERSIONS else text for name, text in result.machine.items())
    return "\n".join(
        [
            "# Speed",
            "",
            f"Measured by `make bench` ({result.mode}): {machine}.",
            "",
            "![What protection costs, and what the others' costs](speed.svg)",
            "",
            *_measures_table(result.figures, with_details=True),
            "",
            *_markdown_table(["", "", *COLUMNS.values()], _cells(result.rows)),
            "",
            METHOD,
            "",
        ]
    )


_VERSIONS = ("oidcbridge", "cryptography", "fastapi", "starlette", "uvicorn")


def write(result: Result, folder: Path) -> None:
    """Write speed.md, speed.json and speed.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(as_markdown(result), encoding="utf-8")
    (folder / "speed.json").write_text(as_json(result) + "\n", encoding="utf-8")
    (folder / "speed.svg").write_text(draw(result.rows), encoding="utf-8")


def write_readme(result: Result, readme: Path = README) -> None:
    """Put the figures that have a bar where the README shows them. Raises `ValueError` where the place is missing."""
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme.name} lacks {BEGIN!r} or {END!r}")
    table = "\n".join(_measures_table([figure for figure in result.figures if figure.bar], with_details=False))
    readme.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def _measures_table(figures: Iterable[Figure], *, with_details: bool) -> list[str]:
    cells = [
        [figure.title, str(figure.bar or ""), figure.text, figure.verdict, *([figure.detail] if with_details else [])]
        for figure in figures
    ]
    return _markdown_table(["measure", "bar", "here", "", *([""] if with_details else [])], cells)


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    cells = []
    for row in rows:
        values = [f"{row.figures[column]:.2f}" if column in row.figures else "" for column in COLUMNS]
        cells.append([row.name, row.version, *([row.reason] if row.reason else values)])
    return cells


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  " + "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *(list(row) + [""] * (len(head) - len(row)) for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]
