"""Changes that bytes alone would hardly come upon: of JSON as JSON, of tokens as tokens.

Everything chosen comes from the seed that libFuzzer gives, so that a run can be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.cases import MAX_EDITS, Kind, parse_case, write_case, write_edit

Json = dict[str, Any]

NAMES = (
    "iss", "aud", "sub", "exp", "nbf", "iat", "jti", "azp", "client_id", "cid", "appid", "typ", "token_use", "cnf",
    "nonce", "at_hash", "c_hash", "events", "scope", "scp", "roles", "groups", "permissions", "email",
    "email_verified", "sid", "session_state", "realm_access", "resource_access", "organization", "org", "o", "o.id",
    "org_id", "tid", "tenant", "a", "a.b", "a.b.c", "cognito:groups", "username", "preferred_username",
    "https://acme.example/roles", "_claim_names", "hasgroups", "origin_jti", "id", "roles.x", "", "alg", "kid", "crit",
    "b64", "zip", "enc", "epk", "jwk", "jku", "x5c", "x5u", "cty", "\u00e9",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, -0.0, 1_900_000_000, 1_900_000_300, 1_899_999_940, 1_899_999_939.5, 1_900_000_060,
    253402300800, 253402300801, 1e308, 10**19, 10**20, -(10**20), "", " ", "a b", "acme", "ada", "agent-api",
    "agent-ui", "client:agent-ui", "client:", "acme:ada", "admin", "Bearer", "DPoP", "access", "id", "at+jwt", "JWT",
    "application/at+jwt", "none", "ES256", "RS256", "PS256", "EdDSA", "HS256", "service-account-agent-ui",
    "trrtcc:x", "x@clients", "\0", "\u2028", "\ud800", "\U0001f511", "\u0130", "x" * 300, [], {}, [""],
    ["a", None], ["agent-api"], ["acme"], ["acme", "x"], {"acme": {}}, {"acme": True}, {"roles": ["r"]},
    {"b": {"c": 1}}, {"agent-api": {"roles": ["x"]}}, {"id": ["acme"]}, {"jkt": "x"}, [[[]]], {"a": {"a": {}}},
    "https://main.fuzz.test", "https://kc.fuzz.test/realms/acme", "https://evil.test",
)  # fmt: skip
EDITS = (
    b".", b"..", b"=", b"-", b"_", b"+", b"/", b"A", b"Q", b"w", b" ", b"\n", b"\0", b"\xc3\xa9", b"\xed\xa0\x80",
)  # fmt: skip
HEADER_PIECES = (
    b"{token}", b"{forged}", b"Bearer ", b"access_token=", b"; ", b",", b'"', b" ", b"\t", b"=", b"\0", b"\xe9",
)  # fmt: skip
ODD_JSON = (b'"a":1,', b'"a":1,"a":2', b"\\ud800", b"\\u0000", b"NaN", b"1e999", b"\xef\xbb\xbf", b"[[[[")


class Mutator:
    """Makes inputs of inputs. ``good``: header and claims for each site; ``mutate``: libFuzzer's own way with bytes."""

    def __init__(self, good: Sequence[tuple[Json, Json]], mutate: Callable[[bytes, int], bytes]) -> None:
        self._good = good
        self._mutate = mutate

    def mutated(self, data: bytes, max_size: int, seed: int) -> bytes:
        """Another input of at most ``max_size`` bytes, made of ``data``."""
        random, case = Random(seed), parse_case(data)
        if len(data) < 3 or random.random() < 0.1:
            return self._mutate(data, max_size)
        place = random.randrange(256) if random.random() < 0.05 else case.place
        choice = random.randrange(256) if random.random() < 0.05 else case.choice
        room = max(1, max_size - len(data))
        if case.kind is Kind.JSON:
            fields = self._of_token(random, place, [case.field(0), case.field(1), *case.fields[2:]], room)
        else:
            pieces = HEADER_PIECES if case.kind is Kind.REQUEST else EDITS
            fields = self._of_text(random, [*case.fields], pieces, room)
        return write_case(case.kind, place, choice, *fields)[:max_size]

    def _of_text(self, random: Random, fields: list[bytes], pieces: Sequence[bytes], room: int) -> list[bytes]:
        number, what = random.randrange(len(fields)), random.random()
        if what < 0.2:
            return [*fields[:number], bytes([random.randrange(8)]) + random.choice(pieces), *fields[number:]]
        if what < 0.6:
            at, cut = random.randrange(len(fields[number]) + 1), random.choice((0, 0, 1, 2))
            fields[number] = fields[number][:at] + random.choice(pieces) + fields[number][at + cut :]
        else:
            fields[number] = self._mutate(fields[number], room)
        return fields

    def _of_token(self, random: Random, place: int, fields: list[bytes], room: int) -> list[bytes]:
        """Header, payload (three times as often) or an edit behind them."""
        what = random.choice((0, 1, 1, 1, 2))
        if what == 2:
            return [*fields[: 1 + MAX_EDITS], _edit(random, len(fields[0]))]
        members = _members(fields[what])
        if members is None or random.random() < 0.15:
            fields[what] = self._mutate(fields[what], room)
            return fields
        if random.random() < 0.4:  # else most would end at the first rule that they break
            header, claims = self._good[place % len(self._good)]
            fields = [_written(random, header), fields[1]]
            members = {**(members if what else {}), **deepcopy(claims)}
            what = 1
        for _ in range(random.choice((1, 1, 2, 3))):
            _change(random, members)
        fields[what] = _written(random, members)
        return fields


def _edit(random: Random, header: int) -> bytes:
    """An edit of a token, more often than not where its parts begin and end; ``header`` is how long the first is."""
    ends = (0, -1, -1, -2, -86, -87, -88, (header * 4 + 2) // 3 + random.choice((-1, 0, 1)))  # of an ES256 signature
    at = random.choice((random.randrange(2**15), *ends))
    return write_edit(at, random.choice((0, 1, 1, 2, 43, 86, 254)), random.choice((b"", *EDITS)))


def _members(text: bytes) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _written(random: Random, members: Json) -> bytes:
    """As JSON; with lone surrogates and NaN where there are some, since refusing these is not our task here."""
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=random.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _change(random: Random, members: Json) -> None:
    """One member comes, goes, changes, gets another's value, or has this done within it."""
    names = [*members] or ["sub"]
    name, what = random.choice(names), random.randrange(6)
    if what == 0:
        members.pop(name, None)
    elif what == 1:
        members[name] = deepcopy(random.choice(VALUES))
    elif what == 2:
        members[random.choice(NAMES)] = deepcopy(members.get(random.choice(names)))
    elif what == 3:
        members[name] = random.choice(([members.get(name)], {random.choice(NAMES): members.get(name)}))
    elif what == 4 and isinstance(members.get(name), dict):
        _change(random, members[name])
    else:
        members[random.choice(NAMES)] = deepcopy(random.choice(VALUES))


def dictionary() -> str:
    """The same words for libFuzzer's own changes, in the format of its ``-dict``."""
    words = {json.dumps(name).encode() for name in NAMES} | {json.dumps(value).encode() for value in VALUES}
    words |= {*EDITS, *HEADER_PIECES, *ODD_JSON}
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in sorted(words) if len(word) <= 64)
    return "".join(f'"{word}"\n' for word in escaped)
