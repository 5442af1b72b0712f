"""Wish: why keys are to be brought, and which."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Wish(NamedTuple):
    """It decides what in a store is good enough, and which budget pays for a fetch."""

    why: Literal["renew", "forced", "unknown_kid", "bad_signature", "look"]
    """``look``: into the store alone, where the provider has to be left in peace."""
    kid: str | None = None
    alg: str = ""
    """Empty where no key in particular is wished for: any that are new will do."""

    @property
    def is_a_strangers(self) -> bool:
        """Whether a token that is nobody's could have caused it."""
        return self.why in ("unknown_kid", "bad_signature")


RENEW, FORCED, LOOK, TRAILING = Wish("renew"), Wish("forced"), Wish("look"), Wish("unknown_kid")


class SuppressedError(Exception):
    """The workers that share a store have spent the budget for strangers: nothing was fetched, and nothing failed."""


class NothingNewError(Exception):
    """The store holds nothing newer, and the provider was not asked."""
