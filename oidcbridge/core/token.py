"""``str -> UnverifiedToken``: split, cap and decode one compact JWS. Trusts nothing.

The one shape accepted is ``BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)`` (RFC 7515 section 7.1),
canonical base64url without padding (RFC 4648 section 3.5), at most 16 KiB, both JSON parts objects. What a header
may not say here::

    crit            nothing is understood, so everything critical is refused   RFC 7515 section 4.1.11
    b64             must not be used in a JWT                                   RFC 7797 section 7
    zip, enc, epk   belong to encrypted tokens                                  RFC 7516 section 4.1

Every other member is ignored (RFC 7515 section 4): ``jwk``, ``jku``, ``x5u`` and ``x5c`` never select a key (RFC 8725
section 3.10), and ``kid`` is a short string to look up in memory, nothing else. Five parts are a JWE, which is refused
(RFC 8725 section 3.3).
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from oidcbridge.core.strict_json import StrictJSONError, parse_json
from oidcbridge.errors import MalformedTokenError

MAX_TOKEN_BYTES = 16 * 1024
MAX_KID_BYTES = 256
_KEPT_HEADERS, _KEPT_HEADER_BYTES = 256, 1024
_FORBIDDEN_MEMBERS = ("crit", "b64", "zip", "enc", "epk")
_DOTS = 2
# By how many characters stand behind the last full four. One alone carries no byte; of two and of three, the last has
# zero bits where no byte is left to carry them.
_PADDING = ("", "", "==", "=")
_CANONICAL_ENDINGS = ("", "", "AQgw", "AEIMQUYcgkosw048")


class JoseHeader(NamedTuple):
    """The header members that decide something; ``typ`` is lower case, without ``application/``."""

    alg: str
    kid: str | None
    typ: str | None
    has_nonce: bool = False
    """What Microsoft's own APIs are told by: the signature is over something else then."""


class UnverifiedToken(NamedTuple):
    """A well-formed token that nobody has vouched for yet."""

    header: JoseHeader
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"UnverifiedToken(header={self.header!r})"


#: By their segment: an issuer signs everything with a handful of them.
_headers: dict[str, JoseHeader] = {}
# A named tuple's own constructor is a Python function around this.
_unverified: Callable[[tuple[JoseHeader, Mapping[str, Any], bytes, bytes]], UnverifiedToken] = partial(
    tuple.__new__, UnverifiedToken
)


def parse_unverified(token: str) -> UnverifiedToken:
    """Parse one compact JWS.

    Raises `MalformedTokenError` for anything else; the message never quotes the token.
    """
    if not isinstance(token, str):
        raise MalformedTokenError("the token is not a str")
    if len(token) > MAX_TOKEN_BYTES:
        raise MalformedTokenError(f"the token is longer than {MAX_TOKEN_BYTES} bytes")
    parts = token.split(".", _DOTS + 1)
    if len(parts) != _DOTS + 1:
        raise MalformedTokenError(_why_not_three_parts(token.count(".")))
    if not token.isascii() or "+" in token or "/" in token or "=" in token:
        raise MalformedTokenError("the token holds characters that no compact JWS has: it is base64url, unpadded")
    header, payload, signature = parts
    jose_header = _headers.get(header) or _parse_header(header)
    try:
        claims = parse_json(_decode(payload, "payload"))
    except StrictJSONError as error:
        raise MalformedTokenError(f"the payload is refused: {error}") from None
    return _unverified((jose_header, claims, f"{header}.{payload}".encode("ascii"), _decode(signature, "signature")))


def _why_not_three_parts(dots: int) -> str:
    if dots == 4:
        return (
            "the token is encrypted (a JWE of five parts); ask the provider for signed access tokens"
            " (Auth0: request an audience; turn token encryption off for this API)"
        )
    return "the token has not the three parts of a compact JWS; is it an opaque access token?"


def _parse_header(segment: str) -> JoseHeader:
    try:
        header = parse_json(_decode(segment, "header"))
    except StrictJSONError as error:
        raise MalformedTokenError(f"the header is refused: {error}") from None
    for name in _FORBIDDEN_MEMBERS:
        if name in header:
            raise MalformedTokenError(f"the header member {name!r} is not accepted")
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str):
        raise MalformedTokenError("the header has no 'alg' string")
    if "kid" in header and not (isinstance(kid, str) and len(kid.encode("utf-8")) <= MAX_KID_BYTES):
        raise MalformedTokenError(f"the header's 'kid' is not a string of at most {MAX_KID_BYTES} bytes")
    if "typ" in header and not isinstance(typ, str):
        raise MalformedTokenError("the header's 'typ' is not a string")
    media_type = typ.lower().removeprefix("application/") if typ is not None else None
    parsed = JoseHeader(alg, kid, media_type, "nonce" in header)
    if len(segment) <= _KEPT_HEADER_BYTES:
        if len(_headers) >= _KEPT_HEADERS:  # a stranger's inventions: ours is read anew, once
            _headers.clear()
        _headers[segment] = parsed
    return parsed


def _decode(segment: str, name: str) -> bytes:
    tail = len(segment) % 4
    if tail and segment[-1] not in _CANONICAL_ENDINGS[tail]:
        raise MalformedTokenError(f"the {name} is not {'canonical ' if tail > 1 else ''}base64url")
    try:
        return a2b_base64(segment.replace("-", "+").replace("_", "/") + _PADDING[tail], strict_mode=True)
    except Base64Error:
        raise MalformedTokenError(f"the {name} is not base64url") from None
