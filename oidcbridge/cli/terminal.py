"""Talking to the person at the terminal: on stderr, since stdout belongs to what a command is asked for."""

from __future__ import annotations

import getpass
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from oidcbridge.errors import ConfigurationError

LONGEST_FOREIGN_TEXT = 400  # characters; an error_description is a sentence, not a page


def say(text: str = "") -> None:
    """Print one message on stderr."""
    print(text, file=sys.stderr, flush=True)


def printable(text: object) -> str:
    """Text of somebody else's, made safe for a terminal: one line, no control or direction characters, bounded.

    A provider's ``error_description`` could otherwise move the cursor, recolour the screen, set the clipboard
    (ESC sequences, C1 controls) or turn a URL around (bidirectional overrides).
    """
    # Categories C* are controls, formats, surrogates and unassigned; Zl and Zp break lines.
    kept = (
        " " if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in {"Zl", "Zp"} else c for c in str(text)
    )
    line = " ".join("".join(kept).split())
    return line if len(line) <= LONGEST_FOREIGN_TEXT else line[: LONGEST_FOREIGN_TEXT - 1] + "…"


def ask(question: str, *, otherwise: str) -> str:
    """Ask a question on stderr and read the answer from the terminal.

    Raises ``ConfigurationError`` with the text `otherwise`, which says what to give instead, when nobody sits at
    stdin or the answer is empty.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(otherwise)
    # Not input() or typer.prompt(err=True): both write to stdout when it is a pipe, where only the token may go.
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    return _given(sys.stdin.readline().rstrip("\r\n"), otherwise)


def ask_secret(question: str, *, otherwise: str) -> str:
    """Like `ask`, without showing what is typed."""
    if not sys.stdin.isatty():
        raise ConfigurationError(otherwise)
    return _given(getpass.getpass(f"{question}: ", stream=sys.stderr), otherwise)


def _given(answer: str, otherwise: str) -> str:
    if not answer:
        raise ConfigurationError(otherwise)
    return answer


@contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Let programs started meanwhile inherit stderr as their stdout.

    Browsers write there ("Opening in existing browser session."), and one that stays open would keep the pipe of
    ``$(oidcbridge token …)`` open with it.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
