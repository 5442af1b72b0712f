"""Times are numbers of seconds in range (RFC 7519 sections 2, 4.1.4 to 4.1.6), and limits are met to the second."""

from __future__ import annotations

from collections.abc import Iterator

from oidcbridge.testing import OMIT
from tests.attacks.forge import LEEWAY, Attack, Twin, World, as_json

NO_TIMES = {
    "null": "null", "true": "true", "false": "false", "an empty string": '""', "a word": '"never"',
    "an ISO date": '"2099-01-01T00:00:00Z"',
    "NaN": "NaN", "Infinity": "Infinity", "minus Infinity": "-Infinity", "1e400": "1e400", "1e300": "1e300",
    "1e18": "1e18", "20 digits": "9" * 20,
    "21 digits": "9" * 21, "5,000 digits": "9" * 5000, "minus one": "-1", "minus a half": "-0.5",
    "minus 1e300": "-1e300", "the year 10000": "253402300801",
    "an empty list": "[]", "an empty object": "{}", "a leading zero": "01900000000", "hexadecimal": "0xffffffff",
    "2^63": str(2**63), "2^64": str(2**64),
    "a NaN as text": '"NaN"', "infinity as text": '"Infinity"',
}  # fmt: skip


def attacks(world: World) -> Iterator[Attack]:
    now = world.now
    dressed = {
        "as a string": f'"{now + 300}"',
        "in a list": f"[{now + 300}]",
        "in an object": f'{{"value":{now + 300}}}',
        "in milliseconds": f"{now * 1000}",
    }
    for claim in ("exp", "nbf", "iat"):
        for name, text in {**NO_TIMES, **dressed}.items():
            yield Attack(
                f"{claim}: {name}", _with(world, claim, text), "a NumericDate is a JSON number in range (RFC 7519 2)"
            )
    ended = {"at the limit": now - LEEWAY, "a second past": now - LEEWAY - 1, "a fraction": now - LEEWAY - 0.001,
    "zero": 0, "one": 1, "a day ago": now - 86400,
             "in years of a calendar": 2099, "minus zero": -0.0, "a tiny number": 1e-300}  # fmt: skip
    for name, moment in ended.items():
        yield Attack(f"exp {name}", world.main.sign({"exp": moment}), "it has expired (RFC 7519 4.1.4)")
    yield Attack("no exp", world.main.sign({"exp": OMIT}), "it would never end (RFC 9068 2.2)")
    yield Attack(
        "Exp for exp", world.main.sign({"exp": OMIT, "Exp": now + 300, "expires": now + 300}), "names have a case"
    )
    for claim in ("nbf", "iat"):
        ahead = {
            "a second ahead": now + LEEWAY + 1,
            "a moment ahead": now + LEEWAY + 0.001,
            "a day ahead": now + 86400,
            "the year 9999": 253402300799,
        }
        for name, moment in ahead.items():
            yield Attack(f"{claim} {name}", world.main.sign({claim: moment}), "its time has not come (RFC 7519 4.1.5)")
    yield Attack("strict: no iat", world.sites["strict"].sign({"iat": OMIT}), "RFC 9068 2.2 requires it", "strict")
    for value in (now - LEEWAY, str(now + 9), OMIT):
        token = world.sites["secret"].sign({"exp": value})
        yield Attack(f"secret: exp {value!r:.6}", token, "a shared secret changes nothing", "secret")


def _with(world: World, claim: str, text: str) -> str:
    """A good token whose ``claim`` is this JSON text."""
    header, claims = world.main.header(), world.main.claims()
    claims[claim] = "HERE"
    return world.main.raw(as_json(header), as_json(claims).replace(b'"HERE"', text.encode()))


def twins(world: World) -> Iterator[Twin]:
    now = world.now
    good: dict[str, dict[str, object]] = {
        "exp a second before the limit": {"exp": now - LEEWAY + 1},
        "exp a fraction of one": {"exp": now - LEEWAY + 0.001},
        "exp with a fraction": {"exp": now + 0.5},
        "exp at the end of the calendar": {"exp": 253402300799},
        "nbf and iat at the limit": {"nbf": now + LEEWAY, "iat": now + LEEWAY},
        "nbf and iat in the beginning": {"nbf": 0, "iat": 0.0},
        "no iat": {"iat": OMIT},
    }
    for name, claims in good.items():
        yield Twin(name, world.main.sign(claims))
    yield Twin("exp with an exponent", _with(world, "exp", f"{(now + 300) / 1e9:.9f}e9"))
