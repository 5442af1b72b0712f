"""Where a request's token is read: header, cookie or both (rules in `oidcbridge.core.bearer`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oidcbridge.arguments import HttpArguments
from oidcbridge.asgi.cross_site import without_default_port
from oidcbridge.asgi.paths import compile_exclusions
from oidcbridge.core.bearer import (
    Credential,
    TokenSource,
    parse_cookie_credential,
    parse_header_credential,
)
from oidcbridge.errors import ConfigurationError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2: header and cookie names
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


@dataclass(frozen=True)
class HttpSettings:
    """The HTTP side's arguments, checked."""

    token_source: TokenSource = TokenSource.HEADER
    header: bytes = b"authorization"
    cookie_name: str = "access_token"
    excluded: Any = None
    """The compiled exclusions, or None where there are none."""
    docs: frozenset[str] = frozenset()
    """The app's own documentation pages, public to read."""
    allowed_origins: frozenset[str] = frozenset()
    require_authentication: bool = True
    validate: bool = True
    vary: bytes = b"Authorization"
    """The request headers that the answer depends on (RFC 9110 section 12.5.5)."""


def resolve_http(arguments: HttpArguments, docs: Sequence[str] = ()) -> HttpSettings:
    """Check the HTTP side's arguments. ``docs``: pages anybody may read. Raises `ConfigurationError`."""
    source = arguments.get("token_source", TokenSource.HEADER)
    if not isinstance(source, TokenSource):
        raise ConfigurationError("token_source is TokenSource.HEADER, TokenSource.COOKIE or TokenSource.BOTH")
    header, cookie = arguments.get("token_header_key", "Authorization"), arguments.get("cookie_name", "access_token")
    for name, value in (("token_header_key", header), ("cookie_name", cookie)):
        if not (isinstance(value, str) and _TOKEN.fullmatch(value)):
            raise ConfigurationError(f"{name} is a name of letters, digits and hyphens")
    for flag in ("validate", "require_authentication"):
        # What a variable or a file left out comes as None, and must not switch a check off.
        if not isinstance(arguments.get(flag, True), bool):
            raise ConfigurationError(f"{flag} is True or False, nothing else")
    names = {TokenSource.HEADER: [header], TokenSource.COOKIE: ["Cookie"], TokenSource.BOTH: [header, "Cookie"]}[source]
    return HttpSettings(
        token_source=source,
        header=header.lower().encode("ascii"),
        cookie_name=cookie,
        excluded=compile_exclusions(arguments.get("excluded_route_paths", ())),
        docs=frozenset(docs),
        allowed_origins=_origins(arguments.get("allowed_origins", ())),
        require_authentication=arguments.get("require_authentication", True),
        validate=arguments.get("validate", True),
        vary=", ".join(names).encode("ascii"),
    )


def _origins(origins: Sequence[str]) -> frozenset[str]:
    if isinstance(origins, str):
        raise ConfigurationError(f'allowed_origins is a list: allowed_origins=["{origins}"]')
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(
                f"allowed_origins names {origin!r}; an origin is scheme, host and port without a path, such as"
                ' "https://ui.example.com" (RFC 6454 section 6.1), and there is no wildcard'
            )
    return frozenset(without_default_port(origin.lower()) for origin in origins)


def read_credential(scope: Mapping[str, Any], settings: HttpSettings) -> Credential | None:
    """The credential of a request, or None. Raises `MalformedRequestError`. The query string is never read."""
    source = settings.token_source
    if source is not TokenSource.COOKIE:
        values = [value for name, value in scope["headers"] if name == settings.header]
        if values or source is TokenSource.HEADER:
            return parse_header_credential(values, bare_token=settings.header != b"authorization")
    return parse_cookie_credential(
        (value for name, value in scope["headers"] if name == b"cookie"), settings.cookie_name
    )
