"""One HTTP exchange with a server on loopback, and how tokens are written where people read."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT = 10.0
"""Seconds without a byte from a server on this machine."""

# Every JWT begins so: it is the base64url form of '{"'.
_TOKEN = re.compile(r"\b(eyJ[\w-]{7})[\w-]*\.[\w-]*\.[\w-]*")


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)  # a token endpoint's holds a token

    @property
    def challenge(self) -> str | None:
        """``WWW-Authenticate``."""
        return self.headers.get("www-authenticate")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """The body's JSON object; empty where it holds none, so that a check can say what was seen."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.status), self.reason, self.challenge, self.text)))


def send(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
) -> Answer:
    """Send one request on a connection of its own. Raises ``OSError`` where nobody answers."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=TIMEOUT)
    try:
        return send_on(connection, method, parts.path, headers=headers, form=form)
    finally:
        connection.close()


def send_on(
    connection: HTTPConnection,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """The same on a connection that stays open."""
    body = urlencode(form) if form is not None else None
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    connection.request(method, path, body, {**kind, **(headers or {})})
    response = connection.getresponse()
    answered = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, response.reason, answered, response.read())


def without_tokens(text: str, ellipsis: str = "...") -> str:
    """``text`` with every token cut to its first ten characters, which are the same for most tokens."""
    return _TOKEN.sub(lambda match: match[1] + ellipsis, text)


def header_of(token: str) -> dict[str, Any]:
    """A token's header, for showing it: nothing is verified."""
    return _decode(token.partition(".")[0])


def claims_of(token: str) -> dict[str, Any]:
    """A token's claims, for showing them: nothing is verified."""
    return _decode(token.split(".")[1])


def describe(token: str) -> str:
    """One line on a token: how it is signed, who it is about and what for."""
    header, claims = header_of(token), claims_of(token)
    said = {name: header.get(name) for name in ("alg", "kid")}
    said |= {name: claims.get(name) for name in ("sub", "aud", "scope")}
    return ", ".join(f"{name} {value}" for name, value in said.items() if value)


def _decode(segment: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return content
