"""Where the fuzzer starts: every attack and good twin of tests/attacks as an input, and requests of several shapes."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from oidcbridge.testing import FakeKey
from tests.attacks.families import make_families
from tests.attacks.forge import Attack, Twin, as_json, decode, encode
from tests.fuzz.arena import Arena, Place
from tests.fuzz.cases import Kind, parse_case, write_case, write_edit
from tests.fuzz.odd_requests import METHODS
from tests.fuzz.target import build_token

MAX_SEED = 4096  # bytes; what is about size alone is tried in tests/attacks
#: Claims of which a place's mapping makes something, beside those of tests/attacks.
RICH: Mapping[str, object] = {
    "email": "ada@acme.example", "email_verified": True, "sid": "s1", "scope": "openid agents:run", "scp": ["a"],
    "roles": ["admin"], "groups": {"g": {}, "h": True}, "permissions": ["p"], "a": {"b": {"c": 1}, "b.c": [2]},
    "a.b": {"c": 3}, "realm_access": {"roles": ["r"]}, "resource_access": {"agent-api": {"roles": ["x"]}, "o": {}},
    "organization": {"acme": {"id": "1"}}, "org": "acme", "o": {"id": ["acme"]}, "org_id": "o1", "azp": "agent-ui",
    "client_id": "agent-ui", "https://acme.example/roles": "one two", "_claim_names": {"groups": "src1"},
    "hasgroups": True, "session_state": "s2", "preferred_username": "service-account-agent-ui",
}  # fmt: skip
REQUESTS = (
    (b"\0Bearer {token}",), (b"\0bearer  {token}",), (b"\0Bearer {forged}",), (b"\0Basic {token}",), (b"\0{token}",),
    (b"\0Bearer {token}", b"\0Bearer {token}"), (b"\0Bearer {token},",), (b"\1access_token={token}",),
    (b"\1a=b; access_token={token}; c=d",), (b'\1access_token="{token}"',), (b"\1access_token={token}", b"\1a=b"),
    (b"\1access_token={token}; access_token={forged}",), (b"\1access_token=", b"\1access_token={token}"),
    (b"\1access_token={token}", b"\3https://ui.example.com"), (b"\1access_token={token}", b"\3null", b"\5x"),
    (b"\1access_token={token}", b"\3http://testserver", b"\6testserver"), (b"\1access_token={token}", b"\4same-origin"),
    (b"\1access_token={token}", b"\4cross-site", b"\5x"), (b"\2{token}",), (b"\2Bearer {token}",), (b"\2a b",), (b"",),
)  # fmt: skip


def seeds(arena: Arena) -> Iterator[bytes]:
    """All seeds, each once."""
    seen: set[bytes] = set()
    for data in (*attack_seeds(arena), *token_seeds(arena), *request_seeds(arena)):
        if data not in seen and len(data) <= MAX_SEED:
            seen.add(data)
            yield data


def attack_seeds(arena: Arena) -> Iterator[bytes]:
    """What tests/attacks makes."""
    numbers = {place.name: number for number, place in enumerate(arena.places)}
    for family in make_families(arena.world).values():
        tokens: list[Attack | Twin] = [*family.attacks, *family.twins]
        for one in tokens:
            yield _as_case(arena, numbers[one.site], one)


def _as_case(arena: Arena, number: int, one: Attack | Twin) -> bytes:
    """What would be signed, where the site's key has signed this token; else its text, which is good for this run."""
    place, parts = arena.places[number], one.token.split(".")
    if len(parts) == 3 and one.token.isascii():
        for choice, key in enumerate((*place.keys, arena.world.forger)):
            for data in _spellings(parts, number, choice) if len(parts[2]) == _signature_length(key) else ():
                if _stands_for(arena, place, data, one.token):
                    return data
    return write_case(Kind.TEXT, number, 0, one.token.encode("utf-8", "surrogatepass"))


@cache
def _signature_length(key: FakeKey) -> int:
    return len(encode(key.sign(b"")))


def _spellings(parts: list[str], number: int, choice: int) -> Iterator[bytes]:
    with suppress(binascii.Error):
        yield write_case(Kind.JSON, number, choice, decode(parts[0]), decode(parts[1]))
    yield write_case(Kind.SEGMENTS, number, choice, parts[0].encode(), parts[1].encode())


def _stands_for(arena: Arena, place: Place, data: bytes, token: str) -> bool:
    return build_token(parse_case(data), place, arena)[0] == token


def token_seeds(arena: Arena) -> Iterator[bytes]:
    """Tokens of people and of machines with all that any mapping reads; one is cut after it was signed."""
    for number, place in enumerate(arena.places):
        header, good = as_json(place.site.header()), place.site.claims()
        person = {**RICH, **good}
        named = ("preferred_username", "username", "email")
        machine = {name: value for name, value in person.items() if name not in named}
        for claims in (good, person, {**machine, "sub": "agent-ui"}, {**machine, "jti": "trrtcc:x"}):
            yield write_case(Kind.JSON, number, 0, header, as_json(claims))
        yield write_case(Kind.JSON, number, 0, header, as_json(good), write_edit(5, 1, b"A"), write_edit(-1, 1, b"="))


def request_seeds(arena: Arena) -> Iterator[bytes]:
    """`REQUESTS` to every app by every method."""
    for number in range(len(arena.apps)):
        for choice in range(len(METHODS)):
            for fields in REQUESTS:
                yield write_case(Kind.REQUEST, number, choice, *fields)


def write_seeds(arena: Arena, folder: Path) -> None:
    """All seeds as files, for libFuzzer."""
    for number, data in enumerate(seeds(arena)):
        (folder / f"{number:05d}").write_bytes(data)
