"""Keys an operator writes into the code: PEM text or shared secrets, and never one taken for the other."""

from __future__ import annotations

import base64
import datetime
import itertools
import json
import re
import warnings
from collections.abc import Callable
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import RSAKey

from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS, HMAC_ALGORITHMS, KeySet
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeKey

MESSAGE = b"signing input"
HS256 = frozenset({"HS256"})
AnyPrivateKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | x25519.X25519PrivateKey | dsa.DSAPrivateKey
ALL = ASYMMETRIC_ALGORITHMS


@cache
def fake_key(alg: str) -> FakeKey:
    return FakeKey.generate(alg)


@cache
def certificate(serial: int = 1) -> bytes:
    key = fake_key("RS256").private_key
    assert isinstance(key, RSAKey)
    assert key.private_key is not None
    return certificate_of(key.private_key, serial)


def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, serial: int) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.test")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(serial).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=9999))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def bare(pem: str | bytes) -> str:
    """The base64 of a PEM text alone, as Keycloak's console shows a realm's key."""
    return "".join((pem if isinstance(pem, str) else pem.decode()).strip().splitlines()[1:-1])


def der(pem: str | bytes) -> bytes:
    return base64.b64decode(bare(pem))


@cache
def der_ending_in_a_blank(blanks: bytes = b" \t\n\r\x0b\x0c") -> bytes:
    """A certificate's last byte belongs to its signature, and may well be a space or a line break."""
    return next(text for text in (der(certificate(serial)) for serial in itertools.count(1)) if text[-1:] in blanks)


#: An SM2 key (GB/T 32918.5): well formed, and of a curve that `cryptography` does not know.
SM2_KEY = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004") + bytes(range(64))


def refused(value: object, reason: str, algorithms: frozenset[str] = ALL) -> str:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        parse_verification_keys([value], algorithms)  # type: ignore[list-item]
    assert "verification_keys[1]" in str(caught.value)
    return str(caught.value)


def verifies(key_set: KeySet, alg: str, signed_by: FakeKey, kid: str | None = "any") -> bool:
    signature = FakeKey("", alg, signed_by.private_key).sign(MESSAGE)
    return any(key.checks[alg](MESSAGE, signature) for key in key_set.candidates(kid, alg))


@pytest.mark.parametrize("alg", ["RS256", "PS512", "ES256", "ES384", "ES512", "Ed25519"])
@pytest.mark.parametrize("form", ["{}", "\n\n  {}  \n", "{}\r\n"])
def test_a_public_key_as_pem_text_verifies_tokens_of_any_kid(alg: str, form: str) -> None:
    pem = form.format(fake_key(alg).public_pem())
    for value in (pem, pem.encode()):
        key_set = parse_verification_keys([value], ALL)
        for kid in ("any", "", None):
            assert verifies(key_set, alg, fake_key(alg), kid)
        assert not verifies(key_set, alg, FakeKey.generate(alg))


def test_a_certificate_and_a_pkcs1_key_are_read_too() -> None:
    public = fake_key("RS256").private_key
    assert isinstance(public, RSAKey)
    pkcs1 = public.public_key.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    for value in (certificate(), pkcs1):
        assert verifies(parse_verification_keys([value], ALL), "RS256", fake_key("RS256"))


def test_several_keys_stand_side_by_side_so_that_they_can_be_rotated() -> None:
    old, new = FakeKey.generate("ES256"), FakeKey.generate("ES256")
    key_set = parse_verification_keys([old.public_pem(), fake_key("RS256").public_pem(), new.public_pem()], ALL)
    for alg, key in (("ES256", old), ("ES256", new), ("RS256", fake_key("RS256"))):
        assert verifies(key_set, alg, key)


def test_only_the_wanted_algorithms_are_usable() -> None:
    (key,) = parse_verification_keys([fake_key("RS256").public_pem()], frozenset({"RS256", "ES256"})).keys
    assert key.algorithms == {"RS256"}
    refused(fake_key("RS256").public_pem(), r"type RSA that none of \['ES256'\]", frozenset({"ES256"}))
    refused(fake_key("ES384").public_pem(), "type EC that none of", frozenset({"ES256", "ES512"}))


def test_four_keys_for_one_algorithm_are_tried_and_a_fifth_is_refused() -> None:
    pems = [FakeKey.generate("ES256").public_pem() for _ in range(5)]
    last = FakeKey.generate("ES256")
    assert verifies(parse_verification_keys([*pems[:3], last.public_pem()], ALL), "ES256", last)
    assert len(parse_verification_keys([*pems[:4], fake_key("RS256").public_pem()], ALL).keys) == 5
    with pytest.raises(ConfigurationError, match=r"more than 4 keys for one algorithm.*jwks="):
        parse_verification_keys(pems, ALL)


@pytest.mark.parametrize("algorithms", [ALL, HS256])
def test_an_empty_list_is_refused(algorithms: frozenset[str]) -> None:
    with pytest.raises(ConfigurationError, match="verification_keys is empty"):
        parse_verification_keys([], algorithms)


@pytest.mark.parametrize("mixed", [{"RS256", "HS256"}, {"HS512", "EdDSA"}, ALL | HMAC_ALGORITHMS])
def test_shared_secrets_and_public_keys_are_never_mixed(mixed: set[str]) -> None:
    for value in ("s" * 64, fake_key("RS256").public_pem()):
        with pytest.raises(ConfigurationError, match="mixes shared-secret"):
            parse_verification_keys([value], frozenset(mixed))


@pytest.mark.parametrize("value", [None, 5, ["text"], {"kty": "RSA"}, bytearray(b"text")])
@pytest.mark.parametrize("algorithms", [ALL, HS256])
def test_a_value_that_is_neither_str_nor_bytes_is_refused(value: object, algorithms: frozenset[str]) -> None:
    refused(value, "neither str nor bytes", algorithms)


@pytest.mark.parametrize("algorithms", [ALL, HS256])
def test_text_that_utf_8_cannot_encode_is_refused_and_not_carried_along(algorithms: frozenset[str]) -> None:
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        parse_verification_keys(["s3cret\udcff" * 9], algorithms)
    assert caught.value.__suppress_context__
    assert "s3cret" not in str(caught.value)


def test_the_message_names_the_position() -> None:
    with pytest.raises(ConfigurationError, match=r"verification_keys\[3\] is no PEM text"):
        parse_verification_keys([fake_key("ES256").public_pem(), fake_key("RS256").public_pem(), "text"], ALL)


@pytest.mark.parametrize("size", [1023, 1024, 2047])
def test_a_short_rsa_key_is_refused_without_a_warning(size: int) -> None:
    numbers = rsa.RSAPublicNumbers(65537, 2 ** (size - 1) + 1)
    pem = numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(pem, "an RSA key outside 2048 to 8192 bits")


def test_an_rsa_key_with_an_unsafe_exponent_is_refused() -> None:
    for exponent, fits in ((3, True), (2**33 + 1, False)):
        key = rsa.RSAPublicNumbers(exponent, 2**2047 + 1).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if fits:
            assert parse_verification_keys([pem], ALL).keys
        else:
            refused(pem, "unsafe modulus or exponent")


OTHER_KINDS: dict[str, Callable[[], AnyPrivateKey]] = {
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "P-224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(1024),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_key_of_a_kind_that_nothing_here_uses_is_refused(kind: str) -> None:
    public = OTHER_KINDS[kind]().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refused(pem, "a kind that no algorithm here uses; known are RSA")


def test_a_certificate_of_such_a_key_is_refused_by_its_position_too() -> None:
    refused(certificate_of(ec.generate_private_key(ec.SECP256K1()), 1), "a kind that no algorithm here uses")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_refused_with_the_command_that_makes_a_public_one(form: PrivateFormat) -> None:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, form, NoEncryption())
    assert private.decode() not in refused(private, "is a private key.*openssl pkey")
    refused(fake_key("ES256").public_pem().encode() + private, "is a private key")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\né\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----",
        f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(SM2_KEY).decode()}\n-----END PUBLIC KEY-----",
    ],
)
def test_broken_pem_text_is_refused(text: str) -> None:
    refused(text, "cannot be read as a PEM public key or certificate")


@pytest.mark.parametrize("text", ["", "   ", "a shared secret of more than thirty-two bytes", "BEGIN PUBLIC KEY"])
def test_text_that_is_no_key_is_refused_with_a_hint_at_shared_secrets(text: str) -> None:
    message = refused(text, 'no PEM text; for a shared secret write algorithm="HS256"')
    assert not text.strip() or text not in message


def jwk() -> str:
    return json.dumps(fake_key("ES256").public_jwk())


SPELLINGS: dict[str, Callable[[], str | bytes]] = {
    "bare base64": lambda: bare(fake_key("RS256").public_pem()),
    "bare base64 between spaces": lambda: f"  {bare(fake_key('RS256').public_pem())}\n",
    "bare base64 in lines": lambda: re.sub("(.{64})", r"\1\r\n", bare(fake_key("RS256").public_pem())),
    "bare base64 without padding": lambda: bare(fake_key("ES256").public_pem()).rstrip("="),
    "bare base64 with more padding than it needs": lambda: bare(fake_key("ES256").public_pem()).rstrip("=") + "====",
    "bare base64 of a curve that nobody here knows": lambda: base64.b64encode(SM2_KEY),
    "bare base64 of Ed25519": lambda: bare(fake_key("Ed25519").public_pem()),
    "bare base64 of a certificate": lambda: bare(certificate()),
    "PEM with text before it": lambda: f"Public key of the realm:\n{fake_key('RS256').public_pem()}",
    "base64 of PEM": lambda: base64.b64encode(fake_key("RS256").public_pem().encode()),
    "JWK": jwk,
    "JWK indented": lambda: json.dumps(json.loads(jwk()), indent=2),
    "JWK Set": lambda: f'{{"keys":[{jwk()}]}}',
    "base64 of a JWK": lambda: base64.b64encode(jwk().encode()),
    "DER": lambda: der(fake_key("RS256").public_pem()),
    "DER of a certificate": lambda: der(certificate()),
    "DER that ends in a blank": der_ending_in_a_blank,
    "DER in a file whose last line was ended": lambda: der(fake_key("RS256").public_pem()) + b"\r\n",
    "DER that ends in a blank in such a file": lambda: der_ending_in_a_blank(b" \t") + b"\n",
    "DER of a curve that nobody here knows": lambda: SM2_KEY,
    "SSH RSA": lambda: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
    "SSH DSA": lambda: "ssh-dss AAAAB3NzaC1kc3MAAACBA" + "A" * 32,
    "SSH Ed25519": lambda: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA" + "A" * 32,
    "SSH ECDSA": lambda: "ecdsa-sha2-nistp256 AAAAE2VjZHNh" + "A" * 32,
    "SSH2": lambda: "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_public_key_in_another_form_than_pem_is_never_sent_to_hs256(spelling: str) -> None:
    assert "HS256" not in refused(SPELLINGS[spelling](), "a key in another form than PEM")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_public_key_in_any_form_is_never_a_shared_secret(spelling: str) -> None:
    refused(SPELLINGS[spelling](), 'asks for a shared secret; for a public key write algorithm="RS256"', HS256)


@pytest.mark.parametrize("form", ["{}", "\n {}", "\ufeff{}", "# comment\n{}", "{}\nmore"])
def test_pem_text_is_never_a_shared_secret(form: str) -> None:
    for pem in (fake_key("RS256").public_pem(), fake_key("ES256").public_pem(), certificate().decode()):
        refused(form.format(pem), "asks for a shared secret", HS256)
    private = ec.generate_private_key(ec.SECP256R1())
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    refused(form.format(text), "asks for a shared secret", HS256)


@pytest.mark.parametrize(("alg", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_shared_secret_is_as_long_as_the_hash_at_least(alg: str, size: int) -> None:
    secret = bytes(range(100, 100 + size))
    key = FakeKey.from_secret(secret, alg)
    assert verifies(parse_verification_keys([secret], frozenset({alg})), alg, key)
    assert verifies(parse_verification_keys([secret + b"!"], frozenset({alg})), alg, FakeKey.from_secret(secret + b"!"))
    assert not verifies(parse_verification_keys([secret + b"!"], frozenset({alg})), alg, key)
    for short in (secret[:-1], secret[:1], b""):
        message = refused(short, f"of {len(short)} bytes; {alg} needs at least {size}", frozenset({alg}))
        assert len(short) < 2 or short.decode("latin-1") not in message


def test_a_shared_secret_is_counted_in_bytes_and_kept_to_the_letter() -> None:
    text = "ü" * 16
    assert verifies(parse_verification_keys([text], HS256), "HS256", FakeKey.from_secret(text.encode()))
    spaced = " " + "s" * 40 + "\n"
    assert verifies(parse_verification_keys([spaced], HS256), "HS256", FakeKey.from_secret(spaced.encode()))


def test_a_shared_secret_is_usable_with_those_algorithms_that_it_is_long_enough_for() -> None:
    (key,) = parse_verification_keys([b"s" * 50], HMAC_ALGORITHMS).keys
    assert key.algorithms == {"HS256", "HS384"}
    refused(b"s" * 31, "HS256 needs at least 32", HMAC_ALGORITHMS)


@pytest.mark.parametrize("secret", [base64.b64encode(bytes(range(48))), b"=" * 40, b"\x30\x82" + b"\0" * 40, b"{" * 40])
def test_a_random_secret_is_not_mistaken_for_a_key(secret: bytes) -> None:
    assert verifies(parse_verification_keys([secret], HS256), "HS256", FakeKey.from_secret(secret))


def test_a_secret_shows_in_no_repr() -> None:
    key_set = parse_verification_keys([b"correct horse battery staple correct"], HS256)
    assert repr(key_set) == "KeySet([Key(kid=None, algorithms=['HS256'])])"


def test_an_ed25519_key_for_which_anybody_can_sign_is_refused() -> None:
    weak = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    with pytest.raises(ConfigurationError, match="anybody can sign"):
        parse_verification_keys([weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)], ALL)
