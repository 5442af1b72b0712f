"""Verify one signature: cryptography's own call, with all that does not change from token to token prepared before.

===================  ==========================================  ===============================
alg                  signature                                   section
===================  ==========================================  ===============================
RS256 RS384 RS512    RSASSA-PKCS1-v1_5, as long as the modulus   RFC 7518 section 3.3
PS256 PS384 PS512    RSASSA-PSS, the salt as long as the hash    RFC 7518 section 3.5
ES256 ES384 ES512    r and s, each as long as the curve's order  RFC 7518 section 3.4
EdDSA Ed25519        64 bytes                                    RFC 8037 section 3.1, RFC 9864
HS256 HS384 HS512    the whole code, compared in constant time   RFC 7518 section 3.2
===================  ==========================================  ===============================

A general JOSE engine asks at each call what a key is for, which costs a tenth of an RSA verification; here a key is
asked once, when it becomes a `oidcbridge.core.keys.Key`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

_HASHES: Mapping[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}


class SignatureCheck(Protocol):
    """One key, ready to verify by one algorithm."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` over ``message`` is this key's."""
        ...


def signature_check(alg: str, native: object) -> SignatureCheck:
    """The check for ``alg`` with a public key of cryptography's, or the bytes of a secret, that fits it."""
    family, hashed = alg[:2], _HASHES.get(alg[2:])
    match family, native:
        case "RS", RSAPublicKey() if hashed is not None:
            return _RSA(native, PKCS1v15(), hashed)
        case "PS", RSAPublicKey() if hashed is not None:
            return _RSA(native, PSS(MGF1(hashed), hashed.digest_size), hashed)
        case "ES", EllipticCurvePublicKey() if hashed is not None:
            return _ECDSA(native, ECDSA(hashed), (native.curve.key_size + 7) // 8)
        case "Ed", Ed25519PublicKey():
            return _EdDSA(native)
        case "HS", bytes() if hashed is not None:
            return _HMAC(native, hashed.name)
    raise TypeError(f"{type(native).__name__} cannot verify {alg}")


class _RSA(NamedTuple):
    key: RSAPublicKey
    padding: AsymmetricPadding
    hash: HashAlgorithm

    def verifies(self, message: bytes, signature: bytes) -> bool:
        key, padding, hashed = self
        try:
            key.verify(signature, message, padding, hashed)
        except InvalidSignature:
            return False
        return True


class _ECDSA(NamedTuple):
    key: EllipticCurvePublicKey
    scheme: ECDSA
    width: int

    def verifies(self, message: bytes, signature: bytes) -> bool:
        key, scheme, width = self
        if len(signature) != 2 * width:
            return False
        r, s = int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, scheme)
        except InvalidSignature:  # also where r or s is 0 or beyond the curve's order
            return False
        return True


class _EdDSA(NamedTuple):
    key: Ed25519PublicKey

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class _HMAC(NamedTuple):
    secret: bytes
    hash: str

    def __repr__(self) -> str:
        return f"_HMAC({self.hash})"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(self.secret, message, self.hash), signature)
