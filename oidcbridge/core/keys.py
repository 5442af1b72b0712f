"""KeySet: parse a JWKS key by key, pick the key or keys for a header.

One strange key never takes the others down (RFC 7517 section 5): each entry is imported alone, and what is unusable
is skipped with a reason. A public set holds public keys: an entry with private members is skipped and reported,
since the provider has just published a signing key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from oidcbridge.core.signatures import signature_check
from oidcbridge.core.strict_json import StrictJSONError, parse_json_object, thaw
from oidcbridge.errors import KeysUnavailableError

MAX_KEY_SET_BYTES = 256 * 1024
MAX_KEYS = 100
MAX_CANDIDATES = 4
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192

AsymmetricKey = RSAKey | ECKey | OKPKey


class Algorithm(NamedTuple):
    """One row of `ALGORITHMS`: the key an ``alg`` needs."""

    kty: str
    crv: str | None = None
    secret_bytes: int = 0


#: Every signature algorithm understood here (RFC 7518 section 3.1, RFC 8037, RFC 9864); ``none`` is not among them, and
#: an algorithm is used with its own kind of key alone (RFC 8725 sections 3.1 and 3.2).
ALGORITHMS: Mapping[str, Algorithm] = {
    "RS256": Algorithm("RSA"),
    "RS384": Algorithm("RSA"),
    "RS512": Algorithm("RSA"),
    "PS256": Algorithm("RSA"),
    "PS384": Algorithm("RSA"),
    "PS512": Algorithm("RSA"),
    "ES256": Algorithm("EC", "P-256"),
    "ES384": Algorithm("EC", "P-384"),
    "ES512": Algorithm("EC", "P-521"),
    "EdDSA": Algorithm("OKP", "Ed25519"),
    "Ed25519": Algorithm("OKP", "Ed25519"),
    "HS256": Algorithm("oct", secret_bytes=32),  # HMAC: static secrets only, never from a key set
    "HS384": Algorithm("oct", secret_bytes=48),
    "HS512": Algorithm("oct", secret_bytes=64),
}
HMAC_ALGORITHMS = frozenset(name for name, row in ALGORITHMS.items() if row.kty == "oct")
ASYMMETRIC_ALGORITHMS = frozenset(ALGORITHMS) - HMAC_ALGORITHMS


class Key:
    """One usable key. ``algorithms`` are those it may verify; ``fingerprint`` says which, down to its name.

    ``issuer``: whose tokens it signs, where its entry says that (Entra). ``checks``: what verifies a signature over a
    message, by ``alg``.
    """

    __slots__ = ("algorithms", "checks", "fingerprint", "issuer", "kid", "thumbprint")

    def __init__(
        self,
        material: AsymmetricKey | OctKey,
        *,
        kid: str | None,
        algorithms: frozenset[str],
        use: str,
        issuer: str | None = None,
    ) -> None:
        native = material.get_op_key("verify")
        self.checks: Mapping[str, Callable[[bytes, bytes], bool]] = {
            alg: signature_check(alg, native).verifies for alg in algorithms
        }
        self.kid = kid
        self.algorithms = algorithms
        self.issuer = issuer
        self.thumbprint = material.thumbprint()
        self.fingerprint = f"{self.thumbprint}:{','.join(sorted(algorithms))}:{use}:{issuer or ''}:{kid}"

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, algorithms={sorted(self.algorithms)})"


class SkippedKey(NamedTuple):
    """An entry of a JWKS that is not used, and why; ``private`` marks a published private key."""

    kid: str | None
    reason: str
    private: bool = False


class DeniedKeys(NamedTuple):
    """Keys that are used no more: by name, and by material, since a lost key may be published under another name."""

    kids: frozenset[str] = frozenset()
    thumbprints: frozenset[str] = frozenset()

    def and_kid(self, kid: str) -> DeniedKeys:
        """These, and the key of that name."""
        return self._replace(kids=self.kids | {kid})

    def as_seen_in(self, key_set: KeySet) -> DeniedKeys:
        """These, with the material that the denied names have in ``key_set``."""
        material = {key.thumbprint for key in key_set.keys if key.kid in self.kids}
        return self._replace(thumbprints=self.thumbprints | material) if material else self


class KeySet:
    """An immutable set of keys; replaced whole, never changed.

    ``any_kid``: the keys have no names of their own (an operator's PEM text), so a token's ``kid`` rules none out.
    """

    __slots__ = ("_fitting", "any_kid", "fingerprints", "keys", "skipped")

    def __init__(self, keys: Iterable[Key], skipped: Iterable[SkippedKey] = (), *, any_kid: bool = False) -> None:
        self.any_kid = any_kid
        self.keys = tuple(keys)
        self.skipped = tuple(skipped)
        self.fingerprints = frozenset(key.fingerprint for key in self.keys)
        fitting: dict[tuple[str | None, str], tuple[Key, ...]] = {}
        for key in self.keys:
            for kid, alg in product({key.kid, None}, key.algorithms):
                fitting[kid, alg] = (*fitting.get((kid, alg), ()), key)[:MAX_CANDIDATES]
        self._fitting = fitting

    def __repr__(self) -> str:
        return f"KeySet({list(self.keys)!r})"

    def without(self, denied: DeniedKeys) -> KeySet:
        """The same set less the denied keys; itself where that changes nothing."""
        kept = [key for key in self.keys if key.kid not in denied.kids and key.thumbprint not in denied.thumbprints]
        return self if len(kept) == len(self.keys) else KeySet(kept, self.skipped, any_kid=self.any_kid)

    def candidates(self, kid: str | None, alg: str) -> tuple[Key, ...]:
        """The keys that may have signed: at most four. A ``kid`` never falls back to a key of another name."""
        return self._fitting.get((None if self.any_kid else kid, alg), ())


def parse_key_set(data: bytes) -> KeySet:
    """Parse a JWK Set document (RFC 7517 section 5) of at most 256 KiB and 100 keys.

    Raises `KeysUnavailableError` where the document as a whole is no key set, or holds no usable key.
    """
    if len(data) > MAX_KEY_SET_BYTES:
        raise KeysUnavailableError(f"the key set is larger than {MAX_KEY_SET_BYTES} bytes")
    try:
        entries = parse_json_object(data).get("keys")
    except StrictJSONError as error:
        raise KeysUnavailableError(f"the key set is refused: {error}") from None
    if not isinstance(entries, tuple) or len(entries) > MAX_KEYS:
        raise KeysUnavailableError(f"the key set has no 'keys' list of at most {MAX_KEYS} entries")
    parsed = [_parse_key(entry) for entry in entries]
    keys = [key for key in parsed if isinstance(key, Key)]
    skipped = [key for key in parsed if isinstance(key, SkippedKey)]
    if not keys:
        reasons = "; ".join(sorted({entry.reason for entry in skipped})) or "it is empty"
        raise KeysUnavailableError(f"the key set has no usable signing key: {reasons}")
    return KeySet(keys, skipped)


def _parse_key(entry: object) -> Key | SkippedKey:
    if not isinstance(entry, Mapping):
        return SkippedKey(None, "not a JSON object")
    kid = entry.get("kid") if isinstance(entry.get("kid"), str) else None
    private = not _PRIVATE_MEMBERS.isdisjoint(entry)
    reason = "symmetric or private key in a public set" if private else _why_unusable(entry)
    if reason is not None:
        return SkippedKey(kid, reason, private)
    try:
        members = {name: thaw(entry[name]) for name in entry if name in _MATERIAL_MEMBERS}
        material = _KEY_TYPES[entry["kty"]].import_key(members)
        algorithms = algorithms_of(material, entry.get("alg"))
    except (JoseError, ValueError, TypeError) as error:
        return SkippedKey(kid, f"broken key material ({type(error).__name__})")
    if isinstance(material, OKPKey) and anybody_signs_for(material):
        return SkippedKey(kid, "an Ed25519 key of small order, for which anybody can sign")
    if not algorithms:
        return SkippedKey(kid, _MISFIT)
    issuer = entry.get("issuer")
    return Key(material, kid=kid, algorithms=algorithms, use="sig", issuer=issuer if isinstance(issuer, str) else None)


_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_MATERIAL_MEMBERS = frozenset({"kty", "n", "e", "crv", "x", "y"})
_KEY_TYPES: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
# Characters of a coordinate in base64url: always the full size of the curve (RFC 7518 section 6.2.1.2, RFC 8037).
_COORDINATE_CHARS = {("EC", "P-256"): 43, ("EC", "P-384"): 64, ("EC", "P-521"): 88, ("OKP", "Ed25519"): 43}
_MISFIT = "'alg' does not fit the key's type or curve"


def _why_unusable(entry: Mapping[str, Any]) -> str | None:
    """RFC 7517 sections 4.1 to 4.4: type, use, operations and algorithm must allow verifying; then strength."""
    kty, alg, kid = entry.get("kty"), entry.get("alg"), entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        return "'kid' is not a string"
    if not (isinstance(kty, str) and kty in _KEY_TYPES):
        return "unknown 'kty'"
    if entry.get("use", "sig") != "sig":
        return "'use' is not 'sig'"
    operations = entry.get("key_ops", ("verify",))
    if not isinstance(operations, tuple) or "verify" not in operations:
        return "'key_ops' without 'verify'"
    if alg is not None and not (isinstance(alg, str) and alg in ASYMMETRIC_ALGORITHMS):
        return "'alg' is no signature algorithm understood here"
    return _why_weak_rsa(entry) if kty == "RSA" else _why_odd_curve(entry)


def _why_weak_rsa(entry: Mapping[str, Any]) -> str | None:
    # Before the import, which warns on stderr about each short key.
    try:
        return why_weak(base64_to_int(entry["n"]), base64_to_int(entry["e"]))
    except (KeyError, ValueError, TypeError) as error:
        return f"broken key material ({type(error).__name__})"


def _why_odd_curve(entry: Mapping[str, Any]) -> str | None:
    kty, crv = entry["kty"], entry.get("crv")
    if not (isinstance(crv, str) and (kty, crv) in _COORDINATE_CHARS):
        return "'crv' is no curve that a signature algorithm here uses"
    for name in ("x", "y") if kty == "EC" else ("x",):
        coordinate = entry.get(name)
        if not (isinstance(coordinate, str) and len(coordinate) == _COORDINATE_CHARS[kty, crv]):
            return f"{name!r} is missing or has not the full length"
    return None


def why_weak(n: int, e: int) -> str | None:
    """Why an RSA key of this modulus and exponent must not be used; None for a sound one (RFC 7518 section 3.3)."""
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        return f"an RSA key outside {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
    if not (n % 2 and e % 2 and 3 <= e < 2**33):
        return "an RSA key with an unsafe modulus or exponent"
    if all(n % prime in powers for prime, powers in _ROCA):
        return "an RSA key of a broken generator, whose private key can be computed (CVE-2017-15361)"
    return None


# That generator's moduli are powers of 65537 to every small prime: an honest one is so once in 2^28.
_ROCA = tuple(
    (prime, frozenset(pow(65537, power, prime) for power in range(prime)))
    for prime in range(3, 168)
    if all(prime % divisor for divisor in range(2, prime))
)


def anybody_signs_for(material: OKPKey) -> bool:
    """Whether an Ed25519 key is one of the few points that verify made-up signatures (RFC 8725 section 3.4).

    Also where it is not canonical (RFC 8032 section 5.1.3), since those points have such spellings too.
    """
    public = material.get_op_key("verify")
    y = int.from_bytes(public.public_bytes_raw(), "little") % 2**255
    return y >= _ED25519_PRIME or y in _SMALL_ORDER


_ED25519_PRIME = 2**255 - 19
_OF_ORDER_8 = int.from_bytes(
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
)
# The y coordinates of all points whose order divides 8.
_SMALL_ORDER = frozenset({0, 1, _ED25519_PRIME - 1, _OF_ORDER_8, _ED25519_PRIME - _OF_ORDER_8})


def algorithms_of(material: AsymmetricKey, alg: str | None) -> frozenset[str]:
    """Those `ALGORITHMS` that this key may verify, by its type, its curve and its own ``alg``; may be empty."""
    crv = None if isinstance(material, RSAKey) else material.curve_name
    fitting = frozenset(name for name, row in ALGORITHMS.items() if row.kty == material.key_type and row.crv == crv)
    if alg is None:
        return fitting
    # EdDSA and Ed25519 are two names of one algorithm on this curve (RFC 9864 section 2.2).
    return fitting if alg in {"EdDSA", "Ed25519"} and crv == "Ed25519" else fitting & {alg}
