"""What an input means: any bytes are a case, so whatever the fuzzer changes is another case.

::

    byte 0    kind, see `Kind`
    byte 1    site, or for a request the app
    byte 2    key that signs, or for a request the method
    rest      fields, parted by 0xFF, a byte that no text has

Inputs hold what is to be signed and never a signature, since keys are new in every run: a reproducer stays one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

SEPARATOR = b"\xff"
MAX_EDITS = 4
FROM_END = 1 << 15


class Kind(IntEnum):
    """What the fields are."""

    TEXT = 0
    """A token's text as it stands."""
    JSON = 1
    """Header and payload, then edits of the signed token (`edited`)."""
    SEGMENTS = 2
    """Header and payload as they stand in the token, encoded or not, then edits."""
    REQUEST = 3
    """Headers: one byte for the name, then the value, with ``{token}`` for a good token and ``{forged}`` for none."""


class Case(NamedTuple):
    """An input, taken apart."""

    kind: Kind
    place: int
    choice: int
    fields: tuple[bytes, ...]

    def field(self, number: int) -> bytes:
        """A field, empty where there are not so many."""
        return self.fields[number] if number < len(self.fields) else b""


def parse_case(data: bytes) -> Case:
    """Any bytes as a case."""
    kind, place, choice = data[:3].ljust(3, b"\0")
    return Case(Kind(kind % len(Kind)), place, choice, tuple(data[3:].split(SEPARATOR)))


def write_case(kind: Kind, place: int, choice: int, *fields: bytes) -> bytes:
    """The bytes of a case; what would part a field in two is left out."""
    return bytes([kind, place, choice]) + SEPARATOR.join(field.replace(SEPARATOR, b"") for field in fields)


def edited(text: str, edits: tuple[bytes, ...]) -> str:
    """``text`` with pieces cut out and others put in.

    An edit: two bytes where, counted from the end where the highest bit is set; one how much goes; the rest comes.
    """
    for edit in edits[:MAX_EDITS]:
        if len(edit) >= 3:
            where, cut = int.from_bytes(edit[:2]), edit[2]
            at = (len(text) - where + FROM_END if where >= FROM_END else where) % (len(text) + 1)
            text = text[:at] + as_text(edit[3:]) + text[at + cut :]
    return text


def write_edit(at: int, cut: int, piece: bytes = b"") -> bytes:
    """The bytes of an edit; -1 is the last character. No byte of it is `SEPARATOR`."""
    where = (at if at >= 0 else FROM_END - at).to_bytes(2)
    return where.replace(SEPARATOR, b"\xfe") + bytes([min(cut, 254)]) + piece


def as_text(data: bytes) -> str:
    """Any bytes as a str, lone surrogates included."""
    return data.decode("utf-8", "surrogateescape")
