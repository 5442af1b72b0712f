"""What the fuzzer looks for."""

from __future__ import annotations


class WrongError(AssertionError):
    """Something that must hold does not."""


def must(holds: object, what: str) -> None:
    """Raise `WrongError` unless ``holds``."""
    if not holds:
        raise WrongError(what)
