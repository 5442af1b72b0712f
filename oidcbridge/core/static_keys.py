"""Static verification keys: PEM text or shared secrets, given by the operator instead of a JWKS.

HMAC secrets are as long as the hash at least (RFC 7518 section 3.2) and never the text of a PEM or a JWK: a public
key that is taken for a secret lets everybody who has it sign (CVE-2015-9235 and its many grandchildren).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from oidcbridge.core.keys import (
    ALGORITHMS,
    HMAC_ALGORITHMS,
    MAX_CANDIDATES,
    AsymmetricKey,
    Key,
    KeySet,
    algorithms_of,
    anybody_signs_for,
    why_weak,
)
from oidcbridge.errors import ConfigurationError

_KEY_TEXT = (b"-----BEGIN", b"---- BEGIN", b'"kty"', b"ssh-rsa", b"ssh-dss", b"ssh-ed25519", b"ecdsa-sha2-")


def parse_verification_keys(values: Iterable[str | bytes], algorithms: frozenset[str]) -> KeySet:
    """The key set of ``values``, each usable with those of ``algorithms`` that fit it; they fit a token of any ``kid``.

    Raises `ConfigurationError`, which names the position of a value and never quotes it.
    """
    wanted_hmac = algorithms & HMAC_ALGORITHMS
    if wanted_hmac and algorithms - HMAC_ALGORITHMS:
        raise ConfigurationError(
            "algorithms mixes shared-secret (HS…) and public-key algorithms; choose one kind, since a public key that"
            " passes for a secret lets anybody sign"
        )
    parse = _secret if wanted_hmac else _pem
    keys = [parse(_bytes(value, position), position, algorithms) for position, value in enumerate(values, start=1)]
    if not keys:
        raise ConfigurationError("verification_keys is empty; give at least one PEM public key or shared secret")
    if any(sum(alg in key.algorithms for key in keys) > MAX_CANDIDATES for alg in algorithms):
        raise ConfigurationError(
            f"verification_keys holds more than {MAX_CANDIDATES} keys for one algorithm, and a token is tried with no"
            " more; put the keys into jwks=, each with its 'kid'"
        )
    return KeySet(keys, any_kid=True)


def _bytes(value: object, position: int) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ConfigurationError(f"verification_keys[{position}] is {type(value).__name__}, neither str nor bytes")
    try:
        return value.encode()
    except UnicodeEncodeError:  # it would carry the secret along
        raise ConfigurationError(f"verification_keys[{position}] holds characters that UTF-8 cannot encode") from None


def _secret(value: bytes, position: int, algorithms: frozenset[str]) -> Key:
    if _is_public_key(value):
        raise ConfigurationError(
            f"verification_keys[{position}] is a public key or the text of one, and algorithms asks for a shared"
            ' secret; for a public key write algorithm="RS256" (or "ES256") and the key as PEM text'
        )
    usable = frozenset(alg for alg in algorithms if len(value) >= ALGORITHMS[alg].secret_bytes)
    if not usable:
        shortest = min(ALGORITHMS[alg].secret_bytes for alg in algorithms)
        raise ConfigurationError(
            f"verification_keys[{position}] is a shared secret of {len(value)} bytes; {min(algorithms)} needs at least"
            f" {shortest} (RFC 7518 section 3.2)"
        )
    return Key(OctKey.import_key(value), kid=None, algorithms=usable, use="sig")


def _is_public_key(value: bytes) -> bool:
    """Whether this is a key: PEM, JWK or SSH text, DER, or one of them in base64 (as Keycloak's console shows keys)."""
    spellings = (value, value.rstrip(b"\r\n"), _from_base64(value))  # a file's last line may have ended it
    if any(mark in spelling for mark in _KEY_TEXT for spelling in spellings):
        return True
    for spelling in spellings:
        for load in (load_der_public_key, load_der_x509_certificate):
            try:
                load(spelling)
            except ValueError:
                continue  # not of this form; the last word is below
            except UnsupportedAlgorithm:
                return True  # a key all the same, of a kind that is not known here
            return True
    return False


def _from_base64(value: bytes) -> bytes:
    """The bytes behind base64 text, with or without padding and line breaks; nothing where it is none."""
    text = b"".join(value.split()).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _pem(value: bytes, position: int, algorithms: frozenset[str]) -> Key:
    material = _import_pem(value, position)
    usable = algorithms_of(material, None) & algorithms
    if not usable:
        raise ConfigurationError(
            f"verification_keys[{position}] is a key of type {material.key_type} that none of {sorted(algorithms)} can"
            " use; check algorithm= and the curve"
        )
    return Key(material, kid=None, algorithms=usable, use="sig")


def _import_pem(value: bytes, position: int) -> AsymmetricKey:
    if b"PRIVATE KEY" in value:
        raise ConfigurationError(
            f"verification_keys[{position}] is a private key; verifying needs the public one"
            " (openssl pkey -in key.pem -pubout)"
        )
    text = value.strip()  # of PEM; the last byte of a DER key may look like a blank
    if not text.startswith(b"-----BEGIN"):
        # Never send the owner of a public key to HS256: whoever has the key could then sign.
        advice = (
            "is a key in another form than PEM: write its base64 between the lines -----BEGIN PUBLIC KEY----- and"
            " -----END PUBLIC KEY-----, nothing before and after; a JWK goes into jwks="
            if _is_public_key(value)
            else 'is no PEM text; for a shared secret write algorithm="HS256"'
        )
        raise ConfigurationError(f"verification_keys[{position}] {advice}")
    try:
        if text.startswith(b"-----BEGIN CERTIFICATE"):
            return _wrap(load_pem_x509_certificate(text).public_key(), position)
        return _wrap(load_pem_public_key(text), position)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"verification_keys[{position}] cannot be read as a PEM public key or certificate"
        ) from None


def _wrap(native: object, position: int) -> AsymmetricKey:
    match native:
        case RSAPublicKey():
            numbers = native.public_numbers()
            weakness = why_weak(numbers.n, numbers.e)
            if weakness is None:
                return RSAKey.import_key(native)
            raise ConfigurationError(f"verification_keys[{position}] is {weakness}")
        case EllipticCurvePublicKey(curve=SECP256R1() | SECP384R1() | SECP521R1()):
            return ECKey.import_key(native)
        case Ed25519PublicKey():
            key = OKPKey.import_key(native)
            if anybody_signs_for(key):
                raise ConfigurationError(f"verification_keys[{position}] is a key for which anybody can sign")
            return key
    raise ConfigurationError(
        f"verification_keys[{position}] is a key of a kind that no algorithm here uses; known are RSA, the curves"
        " P-256, P-384 and P-521, and Ed25519"
    )
