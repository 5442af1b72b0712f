"""Entries of a key set that must not be used, each with a key that signs under its name.

Where the entry was made of a real key, that key signs: whoever takes the entry all the same accepts the token. Where it
cannot be (its modulus is a random number), such a reader finds the signature bad instead of the key missing.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey
from joserfc.util import base64_to_int, int_to_base64

from oidcbridge import Verifier
from oidcbridge.errors import KeyNotFoundError
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from oidcbridge.testing.tokens import merge
from tests.faults.turncoat import case
from tests.remote.asking import refuse

LONG_AGO = 1000  # seconds: a key that signed then must be published by now, so nobody is asked for it again
NOT_OBJECTS: tuple[object, ...] = (None, 7, "key", [], [{"kty": "EC"}], True)


class OddKey(NamedTuple):
    """What is published, and what signs under that name."""

    entry: Mapping[str, object]
    signer: FakeKey


def odd(alg: str, /, **changes: object) -> OddKey:
    """A real key whose entry is published with these changes; ``OMIT`` takes a member out."""
    signer = FakeKey.generate(alg)
    return OddKey(merge(signer.public_jwk(), changes), signer)


def refuse_all(verifier: Verifier, issuer: FakeIssuer, odd_keys: Mapping[str, OddKey]) -> None:
    """None of the keys verifies anything, and none of their tokens is worth a fetch."""
    for name, (_, signer) in odd_keys.items():
        with case(name):
            refuse(verifier, issuer.mint("eve", key=signer, issued_ago=LONG_AGO), KeyNotFoundError)


def strange() -> dict[str, OddKey]:
    """What a newer, sloppy or broken provider publishes beside its good keys."""
    ec, rsa_key = FakeKey.generate("ES256"), FakeKey.generate("RS256")
    x, y, n = (str(key.public_jwk()[name]) for key, name in ((ec, "x"), (ec, "y"), (rsa_key, "n")))
    return {
        "AKP, post-quantum": odd("ES256", kty="AKP", alg="ML-DSA-44", pub="AA", crv=OMIT, x=OMIT, y=OMIT),
        "an unknown kty": odd("ES256", kty="XYZ"),
        "no kty": odd("ES256", kty=OMIT),
        "kty in lower case": odd("ES256", kty="ec"),
        "kty is a list": odd("ES256", kty=["EC"]),
        "an unknown alg": odd("ES256", alg="ES256X"),
        "a padded coordinate": OddKey({**ec.public_jwk(), "x": f"{x}="}, ec),
        "a coordinate with a blank": OddKey({**ec.public_jwk(), "x": f" {x}"}, ec),
        "a padded modulus": OddKey({**rsa_key.public_jwk(), "n": f"{n}=="}, rsa_key),
        "a modulus that is no base64": odd("RS256", n="*" * 342),
        "a modulus that is a number": odd("RS256", n=base64_to_int(n) % 10**15),
        "without n": odd("RS256", n=OMIT),
        "without e": odd("RS256", e=OMIT),
        "without x": odd("ES256", x=OMIT),
        "without y": odd("ES256", y=OMIT),
        "without crv": odd("ES256", crv=OMIT),
        "y is null": OddKey({**ec.public_jwk(), "y": None}, ec),
        "x and y in one": OddKey({**ec.public_jwk(), "x": x + y, "y": ""}, ec),
        "for encryption": odd("RS256", use="enc"),
        "operations without verify": odd("RS256", key_ops=["wrapKey"], use=OMIT),
    }


def weak() -> dict[str, OddKey]:
    """Keys that parse and must not be trusted."""
    point = FakeKey.generate("ES256")
    y = str(point.public_jwk()["y"])
    return {
        "RSA, 512 bits": _of_bits(512),
        "RSA, 1024 bits": _short(),
        "RSA, 16384 bits": _of_bits(16384),
        "RSA, an even modulus": odd("RS256", n=int_to_base64(1 << 2047 | secrets.randbits(2047) & ~1)),
        **{f"RSA, e = {e:#x}": odd("RS256", e=int_to_base64(e)) for e in (0, 1, 2, 65536, 2**33 + 1, 2**2047 + 1)},
        "P-521 for ES256": odd("ES512", alg="ES256"),
        "P-384 coordinates as P-256": odd("ES384", crv="P-256", alg="ES256"),
        "P-256 coordinates as P-521": odd("ES256", crv="P-521", alg="ES512"),
        "P-256 as RSA": odd("ES256", kty="RSA", alg="RS256"),
        "a point off the curve": OddKey({**point.public_jwk(), "y": ("B" if y[0] == "A" else "A") + y[1:]}, point),
        "the point at nowhere": odd("ES256", x="A" * 43, y="A" * 43),
        "P-256 without alg, for another curve": odd("ES256", crv="secp256k1", alg=OMIT),
    }


def _short() -> OddKey:
    """A real key of 1024 bits, which signs as well as any other."""
    with warnings.catch_warnings(action="ignore"):  # the warning is right, and this is what it is about
        key = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
    signer = FakeKey("rs256-short", "RS256", key)
    return OddKey(signer.public_jwk(), signer)


def _of_bits(bits: int) -> OddKey:
    modulus = 1 << (bits - 1) | secrets.randbits(bits - 1) | 1
    return odd("RS256", n=int_to_base64(modulus))
