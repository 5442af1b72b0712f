"""Which paths are public: decided on the path that the router will see, never on ``request.url``.

``scope["path"]`` below ``root_path`` by whole segments, case-sensitively, exactly or by shell pattern (``*`` crosses
``/``, a trailing slash counts). A path that two readers could read in two ways matches nothing: control characters,
empty or dot segments, a backslash, an encoded separator (also one that was encoded twice).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

from oidcbridge.errors import ConfigurationError

_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.{1,2}(?:/|\Z)|%(?:2f|5c)", re.IGNORECASE)
_ENCODED_SEPARATOR = re.compile(rb"%(?:2f|5c)", re.IGNORECASE)


def compile_exclusions(patterns: Sequence[str], public: Sequence[str] = ()) -> re.Pattern[str] | None:
    """One expression for all ``excluded_route_paths``, and the ``public`` ones beside. Raises `ConfigurationError`."""
    if isinstance(patterns, str):
        raise ConfigurationError(f'excluded_route_paths is a list: excluded_route_paths=["{patterns}"]')
    for pattern in patterns:
        if not (isinstance(pattern, str) and pattern.startswith(("/", "*"))):
            raise ConfigurationError(f"excluded_route_paths names {pattern!r}; a path begins with '/'")
    wanted = [*patterns, *public]
    return re.compile("|".join(map(translate, wanted))) if wanted else None


def route_path(scope: Mapping[str, Any]) -> str:
    """The path below ``root_path``, as Starlette's router takes it: the prefix counts only up to a whole segment."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


def is_excluded(scope: Mapping[str, Any], excluded: re.Pattern[str] | None) -> bool:
    """Whether the request goes to a public path."""
    if excluded is None:
        return False
    path = route_path(scope)
    if not excluded.match(path) or _AMBIGUOUS.search(path):
        return False
    return not _ENCODED_SEPARATOR.search(scope.get("raw_path") or b"")
