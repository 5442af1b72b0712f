"""What recurs in an issuer's tokens, kept once: tokens that come again take about half the memory.

Nearly every claim name, and most values (issuer, audience, client, roles), stand in the token before just the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from oidcbridge.core.strict_json import freeze

_MAX_NAMES = 64
#: A claim's name, its last value as parsed, and the same read-only.
_Seen = tuple[str, Any, Any]


class Alike:
    """The claims of one issuer's last tokens, by name. Thread-safe: a race costs a copy and no more."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def freeze(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """The read-only twin of parsed ``claims``, made of what earlier tokens had in common with it."""
        seen, members = self._seen, {}
        for said, value in claims.items():
            name, before, frozen = seen.get(said) or self._begin(said)
            kind = type(value)
            if kind is str:
                if before != value:
                    frozen = value
                    seen[name] = (name, value, value)
            elif kind is dict or kind is list:
                if before != value:
                    frozen = self._renew(name, value)
            else:
                frozen = value
            members[name] = frozen
        return MappingProxyType(members)

    def _begin(self, name: str) -> _Seen:
        if len(self._seen) >= _MAX_NAMES:  # an issuer that makes names up has no use of this
            self._seen.clear()
        now = self._seen[name] = (name, None, None)
        return now

    def _renew(self, name: str, value: Any) -> Any:
        frozen = freeze(value)
        if _holds_strings_alone(value):
            self._seen[name] = (name, value, frozen)
        return frozen


def _holds_strings_alone(value: Any) -> bool:
    """Only then is what is equal the same: to Python, 1, 1.0 and True are equal too."""
    if type(value) is dict:
        return all(map(_holds_strings_alone, value.values()))
    if type(value) is list:
        return all(map(_holds_strings_alone, value))
    return type(value) is str
