"""Words for people: advice, and what somebody else has written, made harmless. Little, since the log needs it too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from oidcbridge.core.strict_json import thaw

_MAX_SHOWN_CHARS = 200
_MAX_LISTED_CHARS = 400


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change. ``name`` is a stable snake_case word; ``text`` names the setting or the console step."""

    name: str
    text: str


def shown(value: object) -> str:
    """Somebody else's value for a log line or a terminal: ASCII, on one line, at most 200 characters."""
    text = value if isinstance(value, str) else repr(thaw(value))
    return ascii(text)[1:-1][:_MAX_SHOWN_CHARS]


def listed(names: Collection[str]) -> str:
    """Names of somebody else's, divided by commas; cut at 400 characters."""
    text = ", ".join(map(shown, names))
    return text if len(text) <= _MAX_LISTED_CHARS else f"{text[:_MAX_LISTED_CHARS]}... ({len(names)} in all)"
