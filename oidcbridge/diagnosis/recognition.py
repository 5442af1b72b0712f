"""Whose token it is, and of what kind: read off its shape, for people. Nothing is decided by it.

A verifier goes by its profile's own rules (`oidcbridge.profiles`); this also knows tokens that it must refuse.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from oidcbridge.core.strict_json import parse_json_object
from oidcbridge.core.token import MAX_TOKEN_BYTES
from oidcbridge.profiles import PROFILES, resembling

Members = Mapping[str, Any]

_GENERIC = PROFILES["generic"]
_KEYCLOAK_KINDS = {
    "Bearer": "access token",
    "DPoP": "access token",
    "ID": "ID token",
    "Refresh": "refresh token",
    "Offline": "refresh token",
    "Logout": "logout token",
}
_COGNITO_KINDS = {"access": "access token", "id": "ID token"}
_HEADER_KINDS = {
    "at+jwt": "access token",
    "okta-internal-at+jwt": "access token",
    "logout+jwt": "logout token",
    "dpop+jwt": "DPoP proof",
}


class Recognition(NamedTuple):
    """What something was taken for, and by which sign."""

    name: str
    why: str


class TokenShape(NamedTuple):
    """What can be read of a token's text without trusting it; header and claims are empty where they are unreadable."""

    parts: int
    header: Members
    claims: Members

    @property
    def issuer(self) -> str:
        """The issuer that it names, in the header where it is encrypted; empty where it names none."""
        said = self.claims.get("iss", self.header.get("iss"))
        return said if isinstance(said, str) else ""


def read_shape(token: str) -> TokenShape:
    """Look at a token's text, however broken. The signature is not looked at."""
    if len(token) > MAX_TOKEN_BYTES:
        return TokenShape(0, {}, {})
    segments = token.split(".")
    header = _read_segment(segments[0]) if len(segments) in (3, 5) else {}
    return TokenShape(len(segments), header, _read_segment(segments[1]) if len(segments) == 3 else {})


def _read_segment(segment: str) -> Members:
    try:
        return parse_json_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:  # what is no base64, no JSON or no object has no members
        return {}


def recognise_provider(issuer: object, claims: Members) -> Recognition:
    """The provider that an issuer URL, misspelt or not, or else the claims look like; ``generic`` where none does."""
    row = resembling(issuer) if isinstance(issuer, str) else _GENERIC
    if row is not _GENERIC:
        return Recognition(row.name, "by its issuer URL")
    for name, sign, looks_so in _CLAIM_SIGNS:
        if looks_so(claims):
            return Recognition(name, f"by its claims ({sign})")
    return Recognition("generic", "neither its issuer URL nor its claims tell")


def kind_of_token(shape: TokenShape) -> Recognition:
    """What kind of token it looks like: by the header's ``typ``, its provider's own mark, or the claims it has."""
    if shape.parts == 5:
        return Recognition("encrypted token", "it has five parts (JWE): only its addressee can read it")
    if shape.parts != 3 or not (shape.header or shape.claims):
        return Recognition("opaque token", "it is no JWT: only its provider can say what it means")
    marks = (
        ("header typ", _media_type(shape.header.get("typ")), _HEADER_KINDS),
        ("typ", shape.claims.get("typ"), _KEYCLOAK_KINDS),
        ("token_use", shape.claims.get("token_use"), _COGNITO_KINDS),
    )
    for name, mark, kinds in marks:
        if isinstance(mark, str) and mark in kinds:
            return Recognition(kinds[mark], f"its {name} says {mark}")
    for kind, names in _TELLING_CLAIMS:
        found = next((name for name in names if name in shape.claims), None)
        if found:
            return Recognition(kind, f"it has the claim {found}")
    return Recognition("token of unknown kind", "nothing in it says what it is for")


_TELLING_CLAIMS = (
    ("logout token", ("events",)),
    ("ID token", ("nonce", "at_hash", "c_hash")),
    ("access token", ("scope", "scp", "client_id", "cid", "permissions")),
)


def _media_type(typ: object) -> str | None:
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def _is_keycloak(claims: Members) -> bool:
    return claims.get("typ") in tuple(_KEYCLOAK_KINDS) and "azp" in claims


def _is_auth0(claims: Members) -> bool:
    sub = claims.get("sub")
    return isinstance(sub, str) and (sub.endswith("@clients") or sub.startswith(("auth0|", "google-oauth2|")))


_CLAIM_SIGNS: tuple[tuple[str, str, Callable[[Members], bool]], ...] = (
    ("keycloak", "typ and azp", _is_keycloak),
    ("cognito", "token_use", lambda claims: "token_use" in claims),
    ("entra", "tid and oid", lambda claims: "tid" in claims and "oid" in claims),
    ("okta", "cid", lambda claims: "cid" in claims),
    ("zitadel", "urn:zitadel:iam", lambda claims: any(name.startswith("urn:zitadel:iam:") for name in claims)),
    ("auth0", "sub", _is_auth0),
)
