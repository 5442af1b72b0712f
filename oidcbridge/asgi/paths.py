"""Which paths are public: decided on the path that the router will see, never on ``request.url``.

``scope["path"]`` below ``root_path`` by whole segments, case-sensitively, exactly or by shell pattern (``*`` crosses
``/``, a trailing slash counts). A path that two readers could read in two ways matches nothing: control characters,
empty or dot segments, a backslash, an encoded separator (also dots and separators that were encoded twice or more).
``Host`` and ``X-Forwarded-*`` move nothing (OWASP ASVS 4.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

from oidcbridge.errors import ConfigurationError

_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.{1,2}(?:/|\Z)|%(?:2e|2f|5c|25)", re.IGNORECASE)
_ENCODED_SEPARATOR = re.compile(rb"%(?:2f|5c)", re.IGNORECASE)


def compile_exclusions(patterns: Sequence[str]) -> re.Pattern[str] | None:
    """One expression for all ``excluded_route_paths``. Raises `ConfigurationError`."""
    if isinstance(patterns, str):
        raise ConfigurationError(f'excluded_route_paths is a list: excluded_route_paths=["{patterns}"]')
    for pattern in patterns:
        if not (isinstance(pattern, str) and pattern.startswith(("/", "*"))):
            raise ConfigurationError(f"excluded_route_paths names {pattern!r}; a path begins with '/'")
    return re.compile("|".join(map(translate, patterns))) if patterns else None


def route_path(scope: Mapping[str, Any]) -> str:
    """The path below ``root_path``, as Starlette's router takes it: the prefix counts only up to a whole segment."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


def is_excluded(scope: Mapping[str, Any], excluded: re.Pattern[str] | None, docs: frozenset[str]) -> bool:
    """Whether the request goes to a public path, or reads one of the app's own ``docs`` pages.

    An app may have routes of its own at those addresses, for other methods or as WebSockets: those are not public.
    """
    path = route_path(scope)
    is_docs = path in docs and scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    if not is_docs and (excluded is None or not excluded.match(path)):
        return False
    return not _AMBIGUOUS.search(path) and not _ENCODED_SEPARATOR.search(scope.get("raw_path") or b"")
