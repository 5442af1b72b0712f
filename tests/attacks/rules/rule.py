"""A rule that a resource server holds to, with the tests of its refusal and of the good twin beside it."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """What the rule says, and where it is shown to hold.

    A test is named by its place below ``tests``. ``family: name`` stands for the attacks of that family whose names
    begin so, or among the twins for its good tokens.
    """

    says: str
    refused: tuple[str, ...]
    twins: tuple[str, ...]
