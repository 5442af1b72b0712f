"""Other envelopes: encrypted tokens, tokens within tokens, JSON serializations, and any number of parts but three."""

from __future__ import annotations

import json
from collections.abc import Iterator

from joserfc import jwe
from joserfc.jwk import OctKey

from tests.attacks.forge import Attack, Twin, World, as_json, encode

JWE_HEADERS: tuple[dict[str, object], ...] = (
    {"alg": "RSA-OAEP", "enc": "A256GCM"},
    {"alg": "RSA-OAEP-256", "enc": "A128CBC-HS256", "cty": "JWT"},
    {"alg": "RSA1_5", "enc": "A128CBC-HS256"},
    {"alg": "dir", "enc": "A256GCM"},
    {"alg": "ECDH-ES", "enc": "A128GCM", "epk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
    {"alg": "A128KW", "enc": "A128GCM", "zip": "DEF"},
    {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "AAAA", "p2c": 2_000_000_000},
    {"alg": "none", "enc": "none"},
)
PARTS = ("", ".", "..", "...", "....", "." * 5, "." * 15_000, "." * 200_000, "a", "a.b", "e30", "e30.", ".e30",
"e30..", "e30.e30",
         "e30.e30.", "e30.e30.e30", "e30.e30.e30.e30", "e30.e30.e30.e30.e30", "null.null.null", "undefined",
         "opaque-token")  # fmt: skip


def attacks(world: World) -> Iterator[Attack]:
    good = world.main.sign()
    head, body, signature = good.split(".")
    for header in JWE_HEADERS:
        token = ".".join([encode(as_json({**header, "kid": world.main.key().kid})), "AA", "AA", encode("x" * 64), "AA"])
        yield Attack(f"JWE {header['alg']}, p2c {'p2c' in header}", token, "no encrypted tokens (RFC 8725 3.3)")
        dressed = world.main.sign(header=header)
        yield Attack(f"JWS with the header of a JWE {header['alg']}", dressed, "no JWS algorithm (RFC 7515 4.1.1)")
    yield from _really_encrypted(world, good)
    for parts in PARTS:
        yield Attack(f"{len(parts)} characters {parts[:24]!r}", parts, "three parts (RFC 7515 7.1)")
    more = {
        "a part before": f"e30.{good}", "a part behind": f"{good}.e30", "a dot before": f".{good}",
        "a dot behind": f"{good}.",
        "twice": f"{good}.{good}", "signature twice": f"{good}.{signature}", "no header": f".{body}.{signature}",
        "two parts": f"{head}.{body}",
        "five parts": f"{good}.AA.AA", "backwards": f"{signature}.{body}.{head}",
        "payload first": f"{body}.{head}.{signature}",
        "SD-JWT with a disclosure": f"{good}~WyJhIiwiYiIsImMiXQ~", "two with a comma": f"{good},{good}",
    }  # fmt: skip
    for name, token in more.items():
        yield Attack(name, token, "three parts, each in its place (RFC 7515 7.1)")
    yield from _nested(world, good)
    yield from _as_json_serialization(good)


def _really_encrypted(world: World, good: str) -> Iterator[Attack]:
    """Encrypted to the issuer's public key, which anybody can: where a library takes both, that is a forgery."""
    public = world.main.key("RS256").private_key
    for name, payload in {"claims": as_json(world.main.claims()), "a good token": good.encode()}.items():
        for extra in ({}, {"zip": "DEF"}):
            header = {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": world.main.key("RS256").kid, **extra}
            token = jwe.encrypt_compact(header, payload, public)
            yield Attack(f"{name} encrypted to our public key {extra}", token, "a JWE proves nobody (RFC 8725 2.13)")
    secret = OctKey.import_key(b"k" * 16)
    direct = jwe.encrypt_compact({"alg": "dir", "enc": "A128GCM"}, as_json(world.main.claims()), secret)
    yield Attack("claims encrypted with a secret of the forger's", direct, "no encrypted tokens (RFC 8725 3.3)")


def _nested(world: World, good: str) -> Iterator[Attack]:
    site = world.main
    for name, header in {"said so": {"cty": "JWT"}, "unsaid": {}}.items():
        said = as_json({**site.header(), **header})
        inner = {"a token": good.encode(), "a token as JSON": as_json(good), "a token in a list": as_json([good])}
        for what, payload in inner.items():
            yield Attack(f"{what} within, {name}", site.raw(said, payload), "the payload is an object (RFC 7519 7.2)")
            forged = site.raw(said, payload, key=world.forger)
            yield Attack(f"{what} within a forgery, {name}", forged, "what is within vouches for nothing outside")
    wrapped = site.raw(as_json(site.header()), as_json({"jwt": good}))
    yield Attack("a token as a member", wrapped, "its own claims count, and there are none")


def _as_json_serialization(good: str) -> Iterator[Attack]:
    head, body, signature = good.split(".")
    flat = {"payload": body, "protected": head, "signature": signature}
    general = {"payload": body, "signatures": [{"protected": head, "signature": signature}]}
    shapes: dict[str, object] = {
        "flattened": flat,
        "flattened, with an unprotected header": {**flat, "header": {"kid": "x"}},
        "flattened, unprotected only": {"payload": body, "header": {"alg": "none"}, "signature": ""},
        "general": general,
        "general, a second signature": {"payload": body, "signatures": [*general["signatures"], {"signature": ""}]},
        "general, no signature": {"payload": body, "signatures": []},
        "general and flattened": {**flat, **general},
        "in a list": [good],
        "as a member": {"access_token": good},
    }
    for name, value in shapes.items():
        yield Attack(f"JSON {name}", json.dumps(value), "compact serialization alone (RFC 7519 7.2)")
        yield Attack(f"JSON {name}, in base64url", encode(as_json(value)), "compact serialization alone (RFC 7519 7.2)")
    polyglot = '{"a":"%s","payload":"%s","signature":""}'
    yield Attack("polyglot", polyglot % (good, body), "both JSON and compact is neither (RFC 8725 2.13)")
    yield Attack("polyglot, dots in names", '{"' + good + '":"' + flat["payload"] + '"}', "neither (RFC 8725 2.13)")


def twins(world: World) -> Iterator[Twin]:
    yield Twin("three parts", world.main.sign())
    yield Twin("a token among the claims", world.main.sign({"wrapped": world.main.sign(), "act": {"sub": "x"}}))
