"""Keeping: how a verified token is remembered until it comes again.

Many tokens never do. So what is kept of one is who it speaks for and its payload, as the bytes that were signed: less
memory than what they say, one object for the garbage collector instead of dozens, and nothing to build beside the first
answer. They are read once, when the token comes again, and what recurs in them is shared (`Alike`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oidcbridge.core.alike import Alike
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import parse_json


class Keeping:
    """Keeps the verified tokens of one issuer. Thread-safe: a race costs a second reading and no more."""

    def __init__(self, mapping: ClaimMapping) -> None:
        self._mapping = mapping
        self._alike = Alike()
        self._known = tuple((name, self if name == "_reader" else value) for name, value in mapping.known)

    def keep(self, principal: Principal, payload: bytes) -> Principal:
        """The twin of ``principal`` to be kept; ``payload`` is the verified token's, decoded."""
        return Principal.read_by(self._known, payload, principal.user_id, principal.session_id, principal.expires_at)

    def read_field(self, name: str, unread: Mapping[str, Any] | bytes, principal: Principal) -> object:
        """A field of a kept principal: the token has come again."""
        claims = self._alike.freeze(parse_json(unread)) if isinstance(unread, bytes) else unread
        principal.read_on(self._mapping, claims)
        return self._mapping.read_field(name, claims, principal)
