"""The table's two pictures as one SVG, in the colours of light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from benchmarks.compare import Row

WIDTH, LEFT, RIGHT = 760, 210, 56
BAR, GAP, ROW = 10, 2, 34
STYLE = """\
  .page { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-size: 14px; font-weight: 600 } .quiet { fill: #59636e } .one { stroke: #59636e; stroke-dasharray: 3 3 }
  .first { fill: #8c959f } .second { fill: #c8ced5 } .ours .first { fill: #0969da } .ours .second { fill: #80b8f5 }
  .ours text { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 } .one { stroke: #9198a1 }
    .first { fill: #848d97 } .second { fill: #4a525b } .ours .first { fill: #4493f8 } .ours .second { fill: #1f5aa8 }
  }"""


class Panel(NamedTuple):
    """One picture: bars of two columns for each row that has them."""

    title: str
    note: str
    columns: tuple[str, str]
    legend: tuple[str, str]


PANELS = (
    Panel(
        "What protection adds to a FastAPI GET",
        "1 = what an ASGI wrapper adds that does the bare RS256 work and nothing else",
        ("new", "seen"),
        ("token never seen before", "token seen before"),
    ),
    Panel(
        "From a token never seen before to its claims",
        "1 = the bare work: split, parse, signature, issuer, audience, expiry",
        ("RS256", "ES256"),
        ("RS256", "ES256"),
    ),
)


def draw(rows: Sequence[Row]) -> str:
    """An SVG of both panels, the cheapest row first."""
    parts, y = [], 0
    for panel in PANELS:
        shown = sorted((row for row in rows if panel.columns[0] in row.figures), key=lambda row: _first(panel, row))
        parts.append(_panel(panel, shown, y))
        y += 92 + ROW * len(shown)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img"'
        f' aria-label="What oidcbridge and its peers cost, by the bare work">\n<style>\n{STYLE}\n</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{y}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _first(panel: Panel, row: Row) -> float:
    return row.figures[panel.columns[0]]


def _panel(panel: Panel, rows: Sequence[Row], top: int) -> str:
    longest = max((row.figures.get(column, 0) for row in rows for column in panel.columns), default=1)
    scale = (WIDTH - LEFT - RIGHT) / max(longest, 1)
    one, begin = LEFT + scale, top + 74
    lines = [
        f'<text class="title" x="20" y="{top + 30}">{escape(panel.title)}</text>',
        f'<text class="quiet" x="20" y="{top + 48}">{escape(panel.note)}</text>',
        *_legend(panel, top + 30),
        f'<line class="one" x1="{one:.1f}" x2="{one:.1f}" y1="{begin - 8}" y2="{begin + ROW * len(rows) - 6}"/>',
    ]
    for number, row in enumerate(rows):
        lines.append(_row(panel, row, begin + ROW * number, scale))
    return "\n".join(lines)


def _legend(panel: Panel, y: int) -> list[str]:
    lines = []
    for kind, text, x in zip(("first", "second"), panel.legend, (WIDTH - 350, WIDTH - 165), strict=True):
        lines.append(f'<rect class="{kind}" x="{x}" y="{y - 9}" width="{BAR}" height="{BAR}"/>')
        lines.append(f'<text class="quiet" x="{x + 16}" y="{y}">{escape(text)}</text>')
    return lines


def _row(panel: Panel, row: Row, y: int, scale: float) -> str:
    lines = [f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(row.name)}</text>']
    for number, (column, kind) in enumerate(zip(panel.columns, ("first", "second"), strict=True)):
        value = row.figures.get(column)
        if value is None:
            continue
        bar, length = y + number * (BAR + GAP), max(value * scale, 1)
        lines.append(f'<rect class="{kind}" x="{LEFT}" y="{bar}" width="{length:.1f}" height="{BAR}" rx="1"/>')
        lines.append(f'<text x="{LEFT + length + 6:.1f}" y="{bar + 9}">{value:.2f}</text>')
    group = ' class="ours"' if row.name == "oidcbridge" else ""
    return f"<g{group}>{''.join(lines)}</g>"
