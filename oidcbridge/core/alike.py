"""What recurs in an issuer's tokens, kept once: remembered tokens take about half the memory.

Nearly every claim name, and most values (issuer, audience, client, roles), stand in the token before just the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from oidcbridge.core.strict_json import freeze

_MAX_NAMES = 64


class _Seen(NamedTuple):
    name: str
    value: Any
    frozen: Any


class Alike:
    """The claims of one issuer's last tokens, by name. Thread-safe: a race costs a copy and no more."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def freeze(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """The read-only twin of parsed ``claims``, made of what earlier tokens had in common with it."""
        seen, members = self._seen, {}
        for name, value in claims.items():
            before = seen.get(name)
            if before is None or before.value != value:
                before = self._remember(name if before is None else before.name, value)
            members[before.name] = before.frozen
        return MappingProxyType(members)

    def _remember(self, name: str, value: Any) -> _Seen:
        now = _Seen(name, value, freeze(value))
        if _holds_strings_alone(value) and (name in self._seen or len(self._seen) < _MAX_NAMES):
            self._seen[name] = now
        return now


def _holds_strings_alone(value: Any) -> bool:
    """Only then is what is equal the same: to Python, 1, 1.0 and True are equal too."""
    if type(value) is dict:
        return all(map(_holds_strings_alone, value.values()))
    if type(value) is list:
        return all(map(_holds_strings_alone, value))
    return type(value) is str
