"""Keys that a provider should never publish: who may sign for one must not be everybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oidcbridge import Verifier
from oidcbridge.errors import ConfigurationError, KeyNotFoundError
from oidcbridge.testing import FakeIssuer
from tests.attacks.forge import as_json, encode

PRIME = 2**255 - 19
OF_ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
SIGN = 1 << 255
POINTS = {
    "order 1": 1,
    "order 2": PRIME - 1,
    "order 4": 0,
    "order 4, the other": SIGN,
    "order 8": int.from_bytes(OF_ORDER_8, "little"),
    "order 8, the second": int.from_bytes(OF_ORDER_8, "little") ^ SIGN,
    "order 8, the third": PRIME - int.from_bytes(OF_ORDER_8, "little") % SIGN,
    "order 8, the fourth": PRIME - int.from_bytes(OF_ORDER_8, "little") % SIGN + SIGN,
    "order 1, spelt otherwise": PRIME + 1,
    "order 1, with a sign": 1 + SIGN,
    "order 2, with a sign": PRIME - 1 + SIGN,
    "order 4, spelt otherwise": PRIME,
}


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("https://weak.idp.test", algorithms=("Ed25519",)).impersonate() as issuer:
        yield issuer


@pytest.mark.parametrize("point", POINTS.values(), ids=list(POINTS))
def test_an_ed25519_key_of_small_order_opens_nothing_and_leaves_the_others_in_use(
    issuer: FakeIssuer, point: int
) -> None:
    data = point.to_bytes(32, "little")
    issuer.publish({"kty": "OKP", "crv": "Ed25519", "x": encode(data), "kid": "weak"})
    token = forged(issuer, data)
    with issuer.verifier() as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(token)


def forged(issuer: FakeIssuer, key: bytes) -> str:
    """A token that verifies with ``key`` and that nobody signed; any token, where the library underneath refuses it."""
    payload = issuer.mint("root", header={"kid": "weak"}).split(".")[1]
    token = ""
    for attempt in range(64):
        message = f"{encode(as_json({'alg': 'EdDSA', 'kid': 'weak', 'n': attempt}))}.{payload}"
        for point in POINTS.values():
            signature = point.to_bytes(32, "little") + bytes(32)
            token = f"{message}.{encode(signature)}"
            if verifies(key, signature, message.encode()):
                return token
    return token


def verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_the_forgery_is_a_real_one(issuer: FakeIssuer) -> None:
    """Without the rule these keys would verify: the bare primitive does."""
    identity = (1).to_bytes(32, "little")
    message, _, signature = forged(issuer, identity).rpartition(".")
    assert encode(identity + bytes(32)) == signature
    assert verifies(identity, identity + bytes(32), message.encode())


@pytest.mark.parametrize("point", POINTS.values(), ids=list(POINTS))
def test_nor_is_such_a_key_taken_from_the_code(issuer: FakeIssuer, point: int) -> None:
    with pytest.raises(ConfigurationError, match=r"anybody can sign|cannot be read"):
        Verifier(verification_keys=[pem(point.to_bytes(32, "little"))])
    honest = pem(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    assert Verifier(verification_keys=[honest]).health()[0].usable


def pem(key: bytes) -> str:
    public = Ed25519PublicKey.from_public_bytes(key)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
