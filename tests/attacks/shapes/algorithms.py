"""``alg`` is an attacker's: no spelling of none, no other name, no other type, no public key as a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from oidcbridge.testing import OMIT, FakeKey
from tests.attacks.forge import Attack, Twin, World, decode, encode

NONES = (
    "none", "None", "NONE", "nOnE", "nonE", " none", "none ", "none\n", "none\0", "no\u200bne", "\uff4eone",
    "n\u043ene", "", "null", "undefined", "nil", "unsecured", "alg", "*", "NONE\u0000ES256",
)  # fmt: skip
MISSPELT = (
    "es256", "Es256", "eS256", "ES256 ", " ES256", "ES256\0", "ES256\n", "\tES256", "ES-256", "ES256K", "ES 256",
    "ECDSA", "SHA256withECDSA", "ES256,none", "none,ES256", "ES256;RS256", "\uff25S256", "E\u0405256",
    "ES2\u0665\u0666",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "ES256" * 1000, "secp256r1", "-7",
)  # fmt: skip
NO_STRINGS: tuple[object, ...] = (
    OMIT, None, True, False, 0, 1, 256, -7, 1.5, [], ["ES256"], ["ES256", "none"], {}, {"alg": "ES256"},
    {"ES256": True},
)  # fmt: skip
OF_ANOTHER_KEY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "ES512", "EdDSA", "Ed25519")
SAME_TYPE = {"RS256": ("PS256", "RS384", "RS512"), "PS256": ("RS256", "PS384", "PS512"), "ES512": ("ES256", "ES384")}


def attacks(world: World) -> Iterator[Attack]:
    site = world.main
    for name in NONES:
        signed = site.sign(header={"alg": name})
        yield Attack(f"{name!r}, no signature", signed.rpartition(".")[0] + ".", "an unsigned token (RFC 8725 2.1)")
        yield Attack(f"{name!r}, a good signature", signed, "a name that no allow-list holds (RFC 8725 3.1)")
    for name in MISSPELT:
        token = site.sign(header={"alg": name})
        yield Attack(f"misspelt {name[:40]!r}", token, "alg is compared as it stands (RFC 7515 4.1.1)")
    for value in NO_STRINGS:
        yield Attack(f"alg {value!r}", site.sign(header={"alg": value}), "alg is a string (RFC 7515 4.1.1)")
    for name in (*OF_ANOTHER_KEY, "HS256", "HS384", "HS512"):
        yield Attack(
            f"{name} by an ES256 key", site.sign(header={"alg": name}), "one key, one algorithm (RFC 8725 3.1)"
        )
    yield from _of_the_same_type(world)
    yield from _confusions(world)
    yield from _against_a_secret(world)


def _of_the_same_type(world: World) -> Iterator[Attack]:
    """Signed as the header says, by a key whose published ``alg`` is another of its family."""
    for own, others in SAME_TYPE.items():
        key = world.main.key(own)
        for alg in others:
            said = {"alg": alg, "kid": key.kid}
            lie = world.main.sign(header=said, key=key)
            yield Attack(f"{alg} said of an {own} signature", lie, "the routine is the key's (RFC 8725 3.1)")
            if own != "ES512":
                real = world.main.sign(header=said, key=FakeKey(key.kid, alg, key.private_key))
                why = "a key is for the algorithm it was published for (RFC 7517 4.4)"
                yield Attack(f"{alg} made with an {own} key", real, why, by_key_set=True)


def spellings(key: FakeKey) -> Iterator[tuple[str, bytes]]:
    """The texts and bytes by which a public key is known, each of which a verifier may take for a secret."""
    pem, jwk = key.public_pem(), key.public_jwk()
    native = load_pem_public_key(pem.encode())
    der = native.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "PEM", pem.encode()
    yield "PEM, stripped", pem.strip().encode()
    yield "PEM, CRLF", pem.replace("\n", "\r\n").encode()
    yield "PEM, one line", pem.replace("\n", "").encode()
    yield "PEM after a blank line", b"\n" + pem.encode()
    yield "PEM body, which is DER in base64", "".join(pem.splitlines()[1:-1]).encode()
    yield "DER", der
    yield "DER in base64url", encode(der).encode()
    yield "SSH", native.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    yield "JWK", json.dumps(jwk, separators=(",", ":")).encode()
    yield "JWK, spaced", json.dumps(jwk).encode()
    yield "JWK, sorted", json.dumps(jwk, sort_keys=True).encode()
    for member in ("n", "x", "y"):
        if member in jwk:
            yield f"{member} as text", str(jwk[member]).encode()
            yield f"{member} as bytes", decode(str(jwk[member]))
    yield "thumbprint", key.private_key.thumbprint().encode()
    yield "kid", key.kid.encode()
    if key.alg == "RS256":
        yield "PKCS #1", native.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        yield "PKCS #1 DER", native.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    else:
        yield "point", native.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _confusions(world: World) -> Iterator[Attack]:
    # RFC 2104 pads a key with zeros: one NUL makes the same HMAC as an empty secret.
    guesses = [("nothing", b"\0"), ("null", b"null"), ("secret", b"secret"), ("None", b"None")]
    for alg in ("RS256", "ES256"):
        key = world.main.key(alg)
        for name, secret in [*spellings(key), *guesses]:
            for hmac in ("HS256", "HS512"):
                forged = FakeKey.from_secret(secret, hmac)
                token = world.main.sign(header={"alg": hmac, "kid": key.kid}, key=forged)
                yield Attack(f"{hmac} with {alg} {name}", token, "a public key is no secret (RFC 8725 2.1, 3.1)")
            token = world.main.sign(header={"alg": alg, "kid": key.kid}, key=FakeKey.from_secret(secret))
            yield Attack(f"HMAC with {name} said to be {alg}", token, "the key's type decides (RFC 8725 3.1)")


def _against_a_secret(world: World) -> Iterator[Attack]:
    """The other way round: a verifier with a shared secret, and tokens that avoid it."""
    site = world.sites["secret"]
    assert site.secret is not None
    good = site.sign()
    for alg in ("none", "HS384", "HS512", "hs256", "RS256", "ES256", "EdDSA"):
        token = site.sign(header={"alg": alg})
        yield Attack(f"secret: {alg}", token, "not the one that is allowed", "secret")
    for alg in ("HS384", "HS512"):
        longer = FakeKey(site.secret.kid, alg, site.secret.private_key)
        yield Attack(
            f"secret: made as {alg}", site.sign(alg=alg, key=longer, header={"alg": alg}), "not allowed", "secret"
        )
    body, _, signature = good.rpartition(".")
    raw = decode(signature)
    cuts = {"none": b"", "a byte": raw[:1], "half": raw[:16], "all but one": raw[:-1], "one more": raw + b"\0"}
    for name, cut in cuts.items():
        yield Attack(f"secret: {name} of the signature", f"{body}.{encode(cut)}", "a MAC is compared whole", "secret")
    for name, secret in {"nothing": b"\0", "its kid": site.secret.kid.encode(), "secret": b"secret" * 6}.items():
        forged = FakeKey.from_secret(secret)
        yield Attack(f"secret: by {name}", site.sign(key=forged), "another secret", "secret")
    yield Attack("secret: by a public key", site.sign(key=world.forger, header={"alg": "ES256"}), "no key", "secret")


def twins(world: World) -> Iterator[Twin]:
    for alg in ("ES256", "RS256", "PS256", "Ed25519", "ES512"):
        yield Twin(alg, world.main.sign(alg=alg))
    yield Twin("EdDSA, the older name of Ed25519", world.main.sign(alg="Ed25519", header={"alg": "EdDSA"}))
    yield Twin("HS256 by the shared secret", world.sites["secret"].sign(), "secret")
