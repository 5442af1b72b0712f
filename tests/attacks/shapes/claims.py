"""Who issued it, for whom, about whom: compared as they stand, in the one type each has."""

from __future__ import annotations

from collections.abc import Iterator

from oidcbridge.testing import OMIT
from tests.attacks.forge import CLIENT, Attack, Twin, World


def attacks(world: World) -> Iterator[Attack]:
    yield from _issuers(world)
    yield from _audiences(world)
    yield from _subjects(world)
    yield from _clients(world)


def _issuers(world: World) -> Iterator[Attack]:
    iss = world.main.issuer.issuer_url
    values: tuple[object, ...] = (
        OMIT, None, "", True, False, 0, 1.5, [], [iss], [iss, "https://evil.test"], ["https://evil.test", iss], {},
        {"iss": iss}, {iss: True},
        f"{iss}/", f"{iss}//", f" {iss}", f"{iss} ", f"{iss}\n", f"{iss}\0", f"{iss}#", f"{iss}?", f"{iss}?x",
        f"{iss}:443", f"{iss}.", f"{iss}/.", f"{iss}/..",
        f"{iss}.evil.test", f"{iss}@evil.test", f"https://evil.test/{iss}", "https://evil.test#" + iss,
        "https://evil.test", iss.upper(), iss.replace("main", "Main"),
        iss.replace("https", "http"), iss.replace("https", "HTTPS"), iss.removeprefix("https://"),
        iss.removeprefix("https:"), iss[:-1], iss[1:], iss[:12],
        iss.replace("main", "m%61in"), iss.replace("main", "m\u0430in"), iss.replace("main", "\uff4dain"),
        iss.replace("main", "ma\u0131n"), iss.replace("i", "\u0456"),
        iss.replace(".", "\u3002"), iss.replace("/", "\\"), iss.replace("main", "ma\u200bin"),
        iss.replace("main", "ma\u00adin"), f"\ufeff{iss}", f"{iss}\u202e", f"{iss},{iss}",
        f"{iss} https://evil.test", "main", "*", "https://*.idp.test", ".*", "null",
        "https://\u006dain.idp.test\u0301", "https://xn--main.idp.test", "file:///etc/passwd",
    )  # fmt: skip
    for number, value in enumerate(values):
        token = world.main.sign({"iss": value})
        yield Attack(
            f"iss {number} {str(value)[:60]!a}", token, "iss is compared code point by code point (RFC 9068 4)"
        )


def _audiences(world: World) -> Iterator[Attack]:
    aud = world.main.issuer.audience
    values: tuple[object, ...] = (
        OMIT, None, "", True, 0, 1.5, [], {}, {aud: True}, {"aud": aud}, [None], [[aud]], [aud, None], [aud, 1],
        [aud, [aud]], [aud, {}], [{}], [aud, True], "other",
        ["other"], ["other", "more"], aud[:-1], aud[1:], f"{aud}x", f"x{aud}", f"{aud} other", f"other {aud}",
        f"{aud},other", f" {aud}", f"{aud} ", f"{aud}\n", f"{aud}\0",
        aud.upper(), aud.title(), f"{aud}/", f"https://{aud}", "*", ["*"], ".*", "agent", "agent-*", "agent\u2010api",
        "\uff41gent-api", "\u0430gent-api", "agent-ap\u0131",
        f"{aud}\u200b", [f"{aud} "], [aud.upper()], list(aud), "null", CLIENT, world.main.issuer.issuer_url, "account",
    )  # fmt: skip
    for number, value in enumerate(values):
        token = world.main.sign({"aud": value})
        yield Attack(
            f"aud {number} {str(value)[:60]!a}", token, "aud names this API, as it stands (RFC 9068 4, RFC 8725 3.9)"
        )
    for name, value in {"none": OMIT, "empty": [], "other": "other", "odd": [aud, 1]}.items():
        yield Attack(f"strict: aud {name}", world.sites["strict"].sign({"aud": value}), "RFC 9068 2.2", "strict")
        yield Attack(f"secret: aud {name}", world.sites["secret"].sign({"aud": value}), "aud is checked", "secret")


def _subjects(world: World) -> Iterator[Attack]:
    values: tuple[object, ...] = (
        OMIT,
        None,
        "",
        True,
        False,
        0,
        1,
        1.5,
        [],
        ["ada"],
        {},
        {"sub": "ada"},
        f"client:{CLIENT}",
        "client:",
        "client:root",
    )
    for value in values:
        yield Attack(
            f"sub {value!r}", world.main.sign({"sub": value}), "it names nobody who can be told apart (RFC 9068 2.2)"
        )
    for name in ("sub", "client_id", "jti", "iss"):
        for value in (OMIT, None, "", 1, ["x"], {}):
            token = world.sites["strict"].sign({name: value})
            yield Attack(f"strict: {name} {value!r}", token, "RFC 9068 2.2 requires it", "strict")


def _clients(world: World) -> Iterator[Attack]:
    values: tuple[object, ...] = (
        OMIT, None, "", True, 0, [], [CLIENT], {}, {CLIENT: True}, "other", CLIENT.upper(), CLIENT[:-1], f"{CLIENT}2",
        f" {CLIENT}", f"{CLIENT} ",
        f"{CLIENT}\0", f"{CLIENT} other", "*", "agent\u2010ui",
    )  # fmt: skip
    for value in values:
        both = {"client_id": value, "azp": value}
        yield Attack(f"client {value!r}", world.sites["clients"].sign(both), "client_ids is an allow-list", "clients")
        alone = world.sites["cognito"].sign({"client_id": value}, {"typ": OMIT})
        yield Attack(f"cognito: client {value!r}", alone, "the client stands for the audience", "cognito")
    for aud in ("agent-api", ["agent-api"], "other", None, [], 1):
        token = world.sites["cognito"].sign({"aud": aud}, {"typ": OMIT})
        yield Attack(
            f"cognito: aud {aud!r}", token, "an audience that is there binds the token to another (RFC 8707)", "cognito"
        )


def twins(world: World) -> Iterator[Twin]:
    aud = world.main.issuer.audience
    for value in ([aud], ["other", aud], [aud, aud], ["", aud, "\u0430"]):
        yield Twin(f"aud {value!r}", world.main.sign({"aud": value}))
    yield Twin("a client on the list", world.sites["clients"].sign(), "clients")
    yield Twin("cognito", world.sites["cognito"].sign(header={"typ": OMIT}), "cognito")
    odd = {"scope": {"a": 1}, "scp": 7, "roles": "x", "groups": None, "permissions": [1, None], "sid": [], "azp": None}
    yield Twin("odd types where nothing is decided", world.main.sign(odd))
