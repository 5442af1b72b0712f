"""Static verification keys: PEM text or shared secrets, given by the operator instead of a JWKS.

HMAC secrets are as long as the hash at least (RFC 7518 section 3.2) and never the text of a PEM or a JWK: a public
key that is taken for a secret lets everybody who has it sign (CVE-2015-9235 and its many grandchildren).
"""

from __future__ import annotations

from collections.abc import Iterable

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from oidcbridge.core.keys import ALGORITHMS, HMAC_ALGORITHMS, AsymmetricKey, Key, KeySet, algorithms_of
from oidcbridge.errors import ConfigurationError

_NEVER_A_SECRET = (b"-----BEGIN", b'"kty"', b"ssh-rsa", b"ssh-ed25519", b"ecdsa-sha2-")


def parse_verification_keys(values: Iterable[str | bytes], algorithms: frozenset[str]) -> KeySet:
    """The key set of ``values``, each usable with those of ``algorithms`` that fit it.

    Raises `ConfigurationError`, which names the position of a value and never quotes it.
    """
    wanted_hmac = algorithms & HMAC_ALGORITHMS
    if wanted_hmac and algorithms - HMAC_ALGORITHMS:
        raise ConfigurationError(
            "algorithms mixes shared-secret (HS…) and public-key algorithms; choose one kind, since a public key that"
            " passes for a secret lets anybody sign"
        )
    parse = _secret if wanted_hmac else _pem
    keys = [parse(_bytes(value), position, algorithms) for position, value in enumerate(values, start=1)]
    if not keys:
        raise ConfigurationError("verification_keys is empty; give at least one PEM public key or shared secret")
    return KeySet(keys)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _secret(value: bytes, position: int, algorithms: frozenset[str]) -> Key:
    if any(mark in value for mark in _NEVER_A_SECRET):
        raise ConfigurationError(
            f"verification_keys[{position}] is the text of a key, and algorithms asks for a shared secret; for a public"
            ' key write algorithm="RS256" (or "ES256")'
        )
    usable = frozenset(alg for alg in algorithms if len(value) >= ALGORITHMS[alg].secret_bytes)
    if not usable:
        shortest = min(ALGORITHMS[alg].secret_bytes for alg in algorithms)
        raise ConfigurationError(
            f"verification_keys[{position}] is a shared secret of {len(value)} bytes; {min(algorithms)} needs at least"
            f" {shortest} (RFC 7518 section 3.2)"
        )
    return Key(OctKey.import_key(value), kid=None, algorithms=usable, use="sig")


def _pem(value: bytes, position: int, algorithms: frozenset[str]) -> Key:
    material = _import_pem(value.strip(), position)
    usable = algorithms_of(material, None) & algorithms
    if not usable:
        raise ConfigurationError(
            f"verification_keys[{position}] is a key of type {material.key_type} that none of"
            f" {sorted(algorithms)} can use; check algorithm=, the curve, and that an RSA key has 2048 bits or more"
        )
    return Key(material, kid=None, algorithms=usable, use="sig")


def _import_pem(value: bytes, position: int) -> AsymmetricKey:
    if not value.startswith(b"-----BEGIN"):
        raise ConfigurationError(
            f'verification_keys[{position}] is no PEM text; for a shared secret write algorithm="HS256"'
        )
    if b"PRIVATE KEY" in value:
        raise ConfigurationError(
            f"verification_keys[{position}] is a private key; verifying needs the public one"
            " (openssl pkey -in key.pem -pubout)"
        )
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            material: AsymmetricKey = kind.import_key(value)
        except (JoseError, ValueError, TypeError):
            continue  # not of this kind; the last word is below
        return material
    raise ConfigurationError(f"verification_keys[{position}] cannot be read as a PEM public key or certificate")
