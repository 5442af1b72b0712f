"""Issuers by a pattern such as ``https://{tenant}.id.example.com/``: what may stand in one, and whose name it gives.

Decided on the text alone, whole and in linear time. Two issuers never have one name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from oidcbridge.core.urls import check_issuer_urls
from oidcbridge.errors import ConfigurationError

MAX_ISSUER_CHARS = 512

_EXAMPLE = 'allow="https://{tenant}.id.example.com/" or allow="https://id.example.com/realms/{tenant}"'
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: Neither class holds what ends it, so a match never has to try a second way.
_LABEL = r"([a-z0-9-]{1,63})"
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))([A-Za-z0-9._~-]+)"
#: The characters of an issuer that may lead to a request: no query, no escapes that two parsers read in two ways.
_ISSUER = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*")
_DOT_SEGMENT = re.compile(r"/\.{1,2}(?:/|\Z)")


@dataclass(frozen=True, slots=True)
class IssuerPattern:
    """A pattern that has been checked: `parse_issuer_pattern`."""

    text: str
    example: str
    """An issuer that matches."""
    regex: re.Pattern[str]

    def name_of(self, issuer: str) -> str | None:
        """What the placeholders stand for, by ``/`` where there are several; None for an issuer that does not match."""
        match = self.regex.fullmatch(issuer)
        return "/".join(match.groups()) if match else None


def parse_issuer_pattern(pattern: str, *, allow_http: bool) -> IssuerPattern:
    """Read a pattern. Raises `ConfigurationError` for one that could match what its writer does not own."""
    example = _PLACEHOLDER.sub("tenant", pattern)
    if example == pattern:
        raise ConfigurationError(
            f"DynamicIssuers(allow={pattern!r}) has no placeholder; write {_EXAMPLE}, or one Issuer(issuer_url=…)"
        )
    if "{" in example or "}" in example or not is_issuer_text(example):
        raise ConfigurationError(f"DynamicIssuers(allow={pattern!r}) is no pattern of issuers; write {_EXAMPLE}")
    check_issuer_urls(example, discovery_url=None, jwks_uri=None, browser_url=None, allow_http=allow_http)
    names = _PLACEHOLDER.findall(pattern)
    if len(set(names)) < len(names):
        raise ConfigurationError(f"DynamicIssuers(allow={pattern!r}) names a placeholder twice; each has its own name")
    scheme, _, rest = pattern.partition("://")
    host, slash, path = rest.partition("/")
    labels, segments = host.split("."), path.split("/")
    if not _are_whole(labels) or not _are_whole(segments):
        raise ConfigurationError(
            f"DynamicIssuers(allow={pattern!r}): a placeholder stands for a whole label of the host or a whole segment"
            f" of the path; write {_EXAMPLE}"
        )
    is_open = len(labels) < 3 or any(map(_PLACEHOLDER.search, labels[-2:])) or labels[-1].partition(":")[0].isdigit()
    if any(map(_PLACEHOLDER.fullmatch, labels)) and is_open:
        raise ConfigurationError(
            f"DynamicIssuers(allow={pattern!r}) would allow domains of anybody; at least the last two labels of the"
            f" host are written out: {_EXAMPLE}"
        )
    host_regex = r"\.".join(_regex_of(label, _LABEL) for label in labels)
    path_regex = "/".join(_regex_of(segment, _SEGMENT) for segment in segments)
    return IssuerPattern(pattern, example, re.compile(f"{scheme}://{host_regex}{slash}{path_regex}"))


def _are_whole(parts: list[str]) -> bool:
    return all(_PLACEHOLDER.fullmatch(part) or not _PLACEHOLDER.search(part) for part in parts)


def _regex_of(part: str, placeholder: str) -> str:
    return placeholder if _PLACEHOLDER.fullmatch(part) else re.escape(part)


def is_issuer_text(text: str) -> bool:
    """Whether ``text`` could be an issuer at all: short, an absolute URL, no query, user, escape or dot segment."""
    if len(text) > MAX_ISSUER_CHARS or not _ISSUER.fullmatch(text) or _DOT_SEGMENT.search(text):
        return False
    try:
        parts = urlsplit(text)
        return _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    """An address in brackets, or labels of 1 to 63 characters (RFC 1035 section 2.3.4); none may be empty."""
    return ":" in host or all(1 <= len(label) <= 63 for label in host.split("."))


def name_from(issuer: str) -> str:
    """A name made of the issuer itself: percent-encoded (RFC 3986 section 2.1), so no colon is left.

    Without ``https://``; another scheme is kept, so that no two issuers have one name.
    """
    return quote(issuer.removeprefix("https://"), safe="")
