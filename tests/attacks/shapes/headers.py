"""A header selects nothing but one of the issuer's own keys, by a name that is opaque text."""

from __future__ import annotations

from collections.abc import Iterator

from oidcbridge.testing import OMIT, FakeKey
from tests.attacks.forge import Attack, Twin, World

KIDS: tuple[object, ...] = (
    "", " ", "../../../../dev/null", "/dev/null", "/etc/passwd", "file:///etc/passwd", "C:\\windows\\win.ini",
    "' OR '1'='1", "' UNION SELECT 'secret' --", "x'; DROP TABLE keys; --", "*)(uid=*))(|(uid=*", "$(id)", "`id`",
    "| id",
    "http://127.0.0.1:1/key", "https://evil.test/jwks.json", "//evil.test/jwks", "data:,secret", "a\0b", "\0",
    "a\r\nX: y",
    "\x1b[2J", "\u202e\u2066", "\U0001f511", "k" * 256, "k" * 257, "\U0001f511" * 65, "k" * 8000, "{{7*7}}",
    "${jndi:ldap://x}",
    "__proto__", "constructor", "None", "null", "0", "undefined", "*", "%00", "\ufeff", "forger",
)  # fmt: skip
ODD_KIDS: tuple[object, ...] = (
    None,
    0,
    1,
    -1,
    1.5,
    True,
    False,
    [],
    {},
    [None],
    {"kid": "x"},
    {"$ne": ""},
    {"$gt": ""},
    10**20,
)
TYPES: tuple[object, ...] = (
    "", " ", "JOSE", "JOSE+JSON", "JWE", "JWS", "id+jwt", "it+jwt", "refresh+jwt", "rt+jwt", "logout+jwt", "dpop+jwt",
    "secevent+jwt",
    "token-introspection+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "vc+jwt", "vc+sd-jwt", "kb+jwt",
    "jwk-set+jwt",
    "application/logout+jwt", "application/", "application/application/at+jwt", "text/at+jwt", "at+jwt ", " at+jwt",
    "at+jwt;v=1", "at+jwt\n", "at+jwt\0", "at jwt", "at-jwt", "\uff21\uff34+jwt", "none", "Bearer", "access_token",
)  # fmt: skip
ODD_TYPES: tuple[object, ...] = (None, True, 0, 1.5, [], ["at+jwt"], {}, {"typ": "at+jwt"})


def attacks(world: World) -> Iterator[Attack]:
    yield from _brought_keys(world)
    yield from _names(world)
    for value in (*TYPES, *ODD_TYPES):
        token = world.main.sign(header={"typ": value})
        yield Attack(f"typ {value!r}", token, "an explicit type that is no access token's (RFC 8725 3.11)")
    for value in (OMIT, "JWT", "jwt", "application/jwt", "at+jwt+jwt", "id+jwt"):
        token = world.sites["strict"].sign(header={"typ": value})
        yield Attack(f"strict: typ {value!r}", token, "RFC 9068 section 4 wants at+jwt", "strict")


def _brought_keys(world: World) -> Iterator[Attack]:
    forger, good = world.forger, world.main.key()
    private = {**forger.public_jwk(), "d": forger.private_key.as_dict(private=True)["d"]}
    secret = FakeKey.from_secret(b"s" * 32)
    brought: dict[str, object] = {
        "jwk": forger.public_jwk(),
        "jwk named as ours": {**forger.public_jwk(), "kid": good.kid},
        "jwk with its private half": private,
        "jwk as text": str(forger.public_jwk()),
        "jwk in a list": [forger.public_jwk()],
        "jku": "https://evil.test/jwks.json",
        "jku below our host": f"{world.main.issuer.issuer_url}/../evil/jwks",
        "jku of our host by userinfo": "https://main.idp.test@evil.test/jwks",
        "jku of loopback": "http://127.0.0.1:1/jwks",
        "jku of metadata": "http://169.254.169.254/latest/meta-data",
        "jku file": "file:///etc/passwd",
        "x5u": "https://evil.test/chain.pem",
        "x5u file": "file:///dev/stdin",
        "x5c": ["".join(forger.public_pem().splitlines()[1:-1])],
        "x5c empty": [],
        "x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "x5t#S256": forger.private_key.thumbprint(),
        "kid_url": "https://evil.test/key",
    }
    for name, value in brought.items():
        member = name.split()[0]
        for kid in (good.kid, OMIT):
            token = world.main.sign(header={member: value, "kid": kid}, key=forger)
            said = "ours" if kid is good.kid else "none"
            yield Attack(f"{name}, kid {said}", token, "keys come from the issuer alone (RFC 8725 3.10)")
    oct_jwk = {"kty": "oct", "k": "cyc" * 10 + "cyc"}
    symmetric = world.main.sign(header={"alg": "HS256", "jwk": oct_jwk, "kid": "k"}, key=secret)
    yield Attack("jwk symmetric", symmetric, "HMAC never goes with an issuer")
    rsa = world.main.sign(
        header={"alg": "RS256", "jwk": world.rsa_forger.public_jwk(), "kid": OMIT}, key=world.rsa_forger
    )
    yield Attack("jwk RSA, no kid", rsa, "keys come from the issuer alone (RFC 8725 3.10)")


def _names(world: World) -> Iterator[Attack]:
    why = "a kid is opaque text, and never falls back to another key (RFC 7515 4.1.4)"
    good = world.main.key()
    twisted = (
        good.kid.upper(),
        f"{good.kid} ",
        f" {good.kid}",
        f"{good.kid}\0",
        good.kid[:-1],
        f"./{good.kid}",
        [good.kid],
    )
    for number, kid in enumerate((*KIDS, *twisted[:-1])):
        long = isinstance(kid, str) and len(kid.encode()) > 256
        name = f"kid {number} {str(kid)[:40]!a}" if kid not in twisted else f"kid twisted {number}"
        yield Attack(name, world.main.sign(header={"kid": kid}), why, by_key_set=not long)
    for kid in (*ODD_KIDS, twisted[-1]):
        name = f"odd kid {kid!r}" if kid != [good.kid] else "odd kid in a list"
        yield Attack(name, world.main.sign(header={"kid": kid}), "a kid is a string (RFC 7515 4.1.4)")
    for alg in ("RS256", "Ed25519", "ES512"):
        token = world.main.sign(header={"kid": world.main.key(alg).kid})
        yield Attack(f"kid of the {alg} key", token, "the named key is of another algorithm", by_key_set=True)
    yield Attack(
        "kid of another site", world.main.sign(header={"kid": world.sites["strict"].key().kid}), why, by_key_set=True
    )


def twins(world: World) -> Iterator[Twin]:
    yield Twin("no kid", world.main.sign(header={"kid": OMIT}))
    for typ in (OMIT, "JWT", "jwt", "AT+JWT", "application/at+jwt"):
        yield Twin(f"typ {typ!r}", world.main.sign(header={"typ": typ}))
    yield Twin("strict: typ at+jwt", world.sites["strict"].sign(), "strict")
    ignored = {"jku": "https://evil.test/jwks", "x5u": "https://evil.test/x", "jwk": world.forger.public_jwk(), "x": 1}
    yield Twin("unknown members beneath a good signature (RFC 7515 4)", world.main.sign(header=ignored))
