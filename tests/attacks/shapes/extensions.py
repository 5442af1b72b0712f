"""Header members that change what a token means: crit, b64, zip, and those of encryption."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from tests.attacks.forge import Attack, Twin, World, as_json, encode

CRITS: tuple[object, ...] = (
    [], None, True, False, 0, "", "exp", "b64", {}, {"exp": 1}, ["exp"], ["b64"], ["alg"], ["crit"], ["kid"], ["x"],
    ["X"],
    ["exp", "exp"], ["exp", "x"], [""], [None], [1], [True], [[]], [["exp"]], [{}], ["http://example.com/UNDEFINED"],
)  # fmt: skip
B64S: tuple[object, ...] = (False, True, None, "false", "true", 0, 1, [], {})
ZIPS: tuple[object, ...] = ("DEF", "GZIP", "", None, True, 0, [], ["DEF"], {})
ENCRYPTED: dict[str, Any] = {
    "enc": ("A256GCM", "A128CBC-HS256", "", None, False, []),
    "epk": ({"kty": "EC"}, None, "", {}, []),
}


def attacks(world: World) -> Iterator[Attack]:
    site = world.main
    for crit in CRITS:
        token = site.sign(header={"crit": crit, "exp": 1, "x": 1, "X": 1})
        yield Attack(f"crit {crit!r}", token, "nothing critical is understood (RFC 7515 4.1.11)")
    for b64 in B64S:
        yield Attack(f"b64 {b64!r}", site.sign(header={"b64": b64}), "b64 has no place in a JWT (RFC 7797 7)")
        token = site.sign(header={"b64": b64, "crit": ["b64"]})
        yield Attack(f"b64 {b64!r}, critical", token, "b64 has no place in a JWT (RFC 7797 7)")
    for zipped in ZIPS:
        yield Attack(f"zip {zipped!r}", site.sign(header={"zip": zipped}), "zip is of JWE (RFC 7516 4.1.3)")
    for member, values in ENCRYPTED.items():
        for value in values:
            token = site.sign(header={member: value})
            yield Attack(f"{member} {value!r}", token, "a member of encrypted tokens (RFC 7516 4.1)")
    yield from _other_payloads(world)


def _other_payloads(world: World) -> Iterator[Attack]:
    """Payloads as those members announce them, and without the announcement."""
    site, payload = world.main, as_json(world.main.claims())
    plain = payload.decode("ascii")
    for name, header in {"announced": {"b64": False, "crit": ["b64"]}, "not announced": {}}.items():
        said = encode(as_json({**site.header(), **header}))
        yield Attack(f"payload in the clear, {name}", site.text(said, plain), "a payload is base64url (RFC 7797 7)")
        safe = site.text(said, plain.replace(".", "\\u002e"))
        yield Attack(f"payload in the clear without dots, {name}", safe, "a payload is base64url (RFC 7797 7)")
        head, body, signature = site.text(said, encode(payload)).split(".")
        yield Attack(f"payload detached, {name}", f"{head}..{signature}", "a payload is there (RFC 7515 appendix F)")
        yield Attack(f"payload behind, {name}", f"{head}..{signature}.{body}", "three parts (RFC 7515 7.1)")
    deflate = zlib.compressobj(wbits=-15)
    shrunk = deflate.compress(payload) + deflate.flush()
    bomb = zlib.compress(b"[" * 5_000_000, 9)
    for name, data in {"deflated": shrunk, "zlib": zlib.compress(payload), "a bomb": bomb}.items():
        for extra in ({"zip": "DEF"}, {}):
            token = site.raw(as_json({**site.header(), **extra}), data)
            yield Attack(f"payload {name}, {'said so' if extra else 'unsaid'}", token, "zip is of JWE (RFC 7516 4.1.3)")


def twins(world: World) -> Iterator[Twin]:
    yield Twin("the same names among the claims", world.main.sign({"crit": ["exp"], "b64": False, "zip": "DEF"}))
    yield Twin("names like them in the header", world.main.sign(header={"Crit": ["exp"], "b_64": False, "exp": 1}))
