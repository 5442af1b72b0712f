"""How the story is shown: colours and a spinner at a terminal, plain ASCII lines in a pipe or a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oidcbridge.cli.demo.exchange import Answer, without_tokens

if TYPE_CHECKING:
    from oidcbridge.cli.demo.story import Outcome


class _Marks(NamedTuple):
    sent: str
    answered: str
    passed: str
    failed: str
    ellipsis: str


_PLAIN = _Marks(">", "<", "ok", "FAILED", "...")
_PRETTY = _Marks("→", "←", "✓", "✗", "…")

# Of the answer's headers, those that the story is about.
_TOLD_HEADERS = {"www-authenticate": "WWW-Authenticate", "retry-after": "Retry-After"}
_highlight_json = JSONHighlighter()
_STATUS_STYLES = {1: "green", 2: "green", 4: "yellow", 5: "magenta"}


class Teller:
    """Writes to one console. No line ever holds a whole token."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._pretty = console.is_terminal
        self._marks = _PRETTY if self._pretty and console.encoding.startswith("utf") else _PLAIN

    def open(self, title: str, lines: Iterable[tuple[str, str]]) -> None:
        """Say what this is, and what runs where."""
        self._write("", Text(title, "bold"), indent=0)
        self.console.print()
        for name, text in lines:
            self._write("", Text.assemble((f"{name:19}", "bold"), text))

    def begin(self, number: int, total: int, name: str, about: str) -> None:
        """Head a step."""
        self.console.print()
        self._write(f"{number}/{total}", Text(name, "bold cyan"), indent=0, mark_style="cyan")
        self._write("", Text(about, "dim"))

    def say(self, text: str) -> None:
        """Tell what happens."""
        self._write("", Text(text))

    def say_apart(self, text: str) -> None:
        """Begin a part of a step."""
        self.console.print()
        self._write("", Text(text, "bold"))

    def note(self, text: str) -> None:
        """Add something in small print."""
        self._write(" ", Text(text, "dim"))

    def logged(self, line: str) -> None:
        """Show a line of oidcbridge's log."""
        self._write("log", Text(line, "dim italic"), mark_style="dim")

    def sent(self, line: str) -> None:
        """Show what was sent."""
        self._write(self._marks.sent, Text(line), mark_style="blue")

    def answered(self, answer: Answer, *, body: bool = True) -> None:
        """Show what came back."""
        style = _STATUS_STYLES.get(answer.status // 100, "red")
        self._write(self._marks.answered, Text(f"{answer.status} {answer.reason}", style), mark_style=style)
        for name, spelled in _TOLD_HEADERS.items():
            if name in answer.headers:
                self._write(" ", Text.assemble((f"{spelled}: ", "bold"), answer.headers[name]))
        if body and answer.body:
            self.received(answer.text, mark=" ")

    def received(self, text: str, *, mark: str | None = None) -> None:
        """Show what came back; JSON with blanks, where a line may be broken."""
        with suppress(ValueError):
            text = json.dumps(json.loads(text))
        coloured = _highlight_json(Text(without_tokens(text, self._marks.ellipsis)))
        self._write(self._marks.answered if mark is None else mark, coloured, mark_style="green")

    def judged(self, text: str, *, passed: bool) -> None:
        """Show whether an expectation was met."""
        mark, style = (self._marks.passed, "green") if passed else (self._marks.failed, "bold red")
        self._write(mark, Text(text, style), mark_style=style)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Turn a spinner meanwhile, where there is a terminal to turn it on."""
        moving = self._pretty and not self.console.is_dumb_terminal
        return self.console.status(Text(text, "dim")) if moving else nullcontext()

    def summarize(self, outcomes: Iterable[Outcome]) -> None:
        """Show all steps at one glance."""
        table = Table(box=box.ROUNDED if self._pretty else None, pad_edge=self._pretty, title_justify="left")
        table.add_column("step", no_wrap=not self._pretty)
        table.add_column("expected", no_wrap=not self._pretty)
        table.add_column("answered", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        for number, outcome in enumerate(outcomes, 1):
            mark = self._marks.passed if outcome.passed else self._marks.failed
            verdict = Text(mark, "green" if outcome.passed else "bold red")
            table.add_row(f"{number:2} {outcome.step.name}", outcome.step.expected, verdict, f"{outcome.seconds:.1f} s")
        self.console.print()
        self.console.print(table, soft_wrap=not self._pretty)
        self.console.print()

    def copyable(self, lines: Iterable[str]) -> None:
        """Show lines that a mouse takes whole: never wrapped, never indented."""
        self.console.print()
        for line in lines:
            self.console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _write(self, mark: str, text: Text, *, indent: int = 4, mark_style: str = "") -> None:
        """One line; at a terminal, what does not fit goes on beneath the text and not beneath the mark."""
        text = _cut_tokens(text, self._marks.ellipsis)
        if not self._pretty:
            self.console.print(" " * indent + (f"{mark} " if mark else "") + text.plain, soft_wrap=True, markup=False)
            return
        text.overflow = "fold"
        grid = Table.grid(padding=(0, 1, 0, 0))
        if mark:
            grid.add_row(Text(mark, mark_style), text)
        else:
            grid.add_row(text)
        self.console.print(Padding(grid, (0, 0, 0, indent)))


def _cut_tokens(text: Text, ellipsis: str) -> Text:
    plain = without_tokens(text.plain, ellipsis)
    return text if plain == text.plain else Text(plain, text.style)
