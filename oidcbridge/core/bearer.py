"""RFC 6750: the credential a request carries, and the challenge it is answered with.

How a credential is read (design: several credentials)::

    source    what decides
    HEADER    the header alone; cookies are not looked at
    COOKIE    the cookie alone; the header is not looked at
    BOTH      a header, whatever its scheme, decides alone; the cookie only where there is no header

    header repeated, or cookie repeated (when read)    400 invalid_request
    ``Bearer`` not followed by 1*SP token68            400 invalid_request
    another scheme                                     as if there were no credential: 401, bare challenge
    a custom header                                    ``Bearer x`` or the bare token
    the query string                                   never read (OAuth 2.1 section 5)
    a header longer than any token                     401 without reading it to its end, if it begins as a credential
    more than 64 KiB of cookies (when read)            400 invalid_request
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Literal, NamedTuple

from oidcbridge.core.token import MAX_TOKEN_BYTES
from oidcbridge.errors import MalformedRequestError, MalformedTokenError

MAX_HEADER_BYTES = MAX_TOKEN_BYTES + 256  # the scheme, and spaces
MAX_COOKIE_BYTES = 64 * 1024

# token68 of RFC 9110 section 11.2; the scheme is case-insensitive (RFC 9110 section 11.1).
# The flag is for those six letters alone: over a whole token it costs more than all the rest of a request. Possessive
# (``++``), so that hostile text is not gone through twice.
_BEARER = re.compile(rb"(?i:bearer) ++([A-Za-z0-9._~+/-]++=*+)")
_TOKEN68 = re.compile(rb"[A-Za-z0-9._~+/-]++=*+")
_SCHEME_BEARER = re.compile(rb"bearer(?![!#$%&'*+.^_`|~0-9A-Za-z-])", re.IGNORECASE)
_NOT_QUOTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_NOT_SCOPE = re.compile(r"[^\x21\x23-\x5b\x5d-\x7e]")


class TokenSource(Enum):
    """Where a request's token is read."""

    HEADER = "header"
    COOKIE = "cookie"
    BOTH = "both"


class Credential(NamedTuple):
    """The token of a request, and whether a browser would have sent it by itself (a cookie)."""

    token: str
    source: Literal["header", "cookie"]

    def __repr__(self) -> str:
        return f"Credential(source={self.source!r})"


def read_usual_token(headers: Iterable[tuple[bytes, bytes]], wanted: bytes | None) -> str | None:
    """What stands behind ``Bearer`` and one space in the header ``wanted``, where it stands once; None for all else.

    Nearly every client writes it so, and it is read to be looked up or parsed. Whether it could be a credential has not
    been asked: `parse_header_credential` does.
    """
    found = None
    for name, value in headers:
        if name == wanted:
            if found is not None:
                return None
            found = value
    if found is None or len(found) > MAX_HEADER_BYTES or found[:7] != b"Bearer ":
        return None
    return found[7:].decode("latin-1")


def parse_header_credential(values: Sequence[bytes], *, bare_token: bool = False) -> Credential | None:
    """The credential in the values of the token header (every occurrence); None where there is none of ours.

    ``bare_token``: the header is a custom one, whose value may be the token itself.
    Raises `MalformedRequestError` (RFC 6750 section 3.1); `MalformedTokenError` where the value begins as a credential
    does and is longer than any may be: what comes after `MAX_HEADER_BYTES` is not even looked at.
    """
    if not values:
        return None
    if len(values) > 1:
        raise MalformedRequestError("the token header stands more than once")
    credential = _parse_header(values[0][:MAX_HEADER_BYTES], bare_token=bare_token)
    if credential is not None and len(values[0]) > MAX_HEADER_BYTES:
        raise MalformedTokenError(f"the token header is longer than {MAX_HEADER_BYTES} bytes")
    return credential


def _parse_header(value: bytes, *, bare_token: bool) -> Credential | None:
    match = _BEARER.fullmatch(value)
    if match:
        return Credential(match[1].decode("ascii"), "header")
    if _SCHEME_BEARER.match(value):
        raise MalformedRequestError("the header is not 'Bearer', a space and a token")
    if bare_token:
        if not _TOKEN68.fullmatch(value):
            raise MalformedRequestError("the token header holds something that is no token")
        return Credential(value.decode("ascii"), "header")
    return None


def parse_cookie_credential(headers: Iterable[bytes], name: str) -> Credential | None:
    """The credential in the cookie ``name`` among all ``Cookie`` headers; None where it is absent or empty.

    Raises `MalformedRequestError` where it stands twice or is no token: browsers send the cookie of a parent path
    or domain beside ours, and which one comes first is an attacker's choice (RFC 6265 section 8.6). Also where there
    are more than `MAX_COOKIE_BYTES` of cookies.
    """
    wanted = name.encode("ascii")
    values, size = [], 0
    for header in headers:
        size += len(header)
        if size > MAX_COOKIE_BYTES:
            raise MalformedRequestError(f"there are more than {MAX_COOKIE_BYTES} bytes of cookies")
        for pair in header.split(b";"):
            cookie, equals, value = pair.strip(b" \t").partition(b"=")
            if equals and cookie.strip(b" \t") == wanted:
                values.append(value.strip(b" \t"))
    if len(values) > 1:
        raise MalformedRequestError(f"the cookie {name!r} stands more than once")
    value = values[0] if values else b""
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':  # RFC 6265 section 4.1.1; a server clears it to ""
        value = value[1:-1]
    if not value:
        return None
    if not _TOKEN68.fullmatch(value):
        raise MalformedRequestError(f"the cookie {name!r} holds something that is no token")
    return Credential(value.decode("ascii"), "cookie")


def challenge(error: str | None = None, *, description: str | None = None, scopes: Iterable[str] = ()) -> str:
    """The value of ``WWW-Authenticate`` (RFC 6750 section 3): bare where ``error`` is None.

    What the charset of section 3 does not allow is left out, so no text can break out of its quotes.
    """
    attributes = []
    if error is not None:
        attributes.append(f'error="{_NOT_QUOTABLE.sub("", error)}"')
    if description is not None:
        attributes.append(f'error_description="{_NOT_QUOTABLE.sub("", description)}"')
    needed = " ".join(filter(None, (_NOT_SCOPE.sub("", scope) for scope in scopes)))
    if needed:
        attributes.append(f'scope="{needed}"')
    return f"Bearer {', '.join(attributes)}" if attributes else "Bearer"
