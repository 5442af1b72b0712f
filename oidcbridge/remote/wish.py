"""Wish: why keys are to be brought, and which."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Wish(NamedTuple):
    """It decides what in a store is good enough, and which budget pays for a fetch."""

    why: Literal["renew", "forced", "unknown_kid", "bad_signature"]
    kid: str | None = None
    alg: str = ""

    @property
    def is_a_strangers(self) -> bool:
        """Whether a token that is nobody's could have caused it."""
        return self.why in ("unknown_kid", "bad_signature")


RENEW, FORCED = Wish("renew"), Wish("forced")


class SuppressedError(Exception):
    """The workers that share a store have spent the budget for strangers: nothing was fetched, and nothing failed."""
