"""A JWKS is read key by key: one strange key never takes the others down, and never lets anybody in."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from functools import cache

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oidcbridge.core.keys import MAX_KEY_SET_BYTES, MAX_KEYS, KeySet, SkippedKey, parse_key_set
from oidcbridge.errors import KeysUnavailableError
from oidcbridge.testing import OMIT, FakeKey
from oidcbridge.testing.tokens import merge


@cache
def fake_key(alg: str) -> FakeKey:
    return FakeKey.generate(alg, kid=alg)


def jwk(name: str, /, **changes: object) -> dict[str, object]:
    return merge(fake_key(name).public_jwk(), changes)


def parse(*entries: object) -> KeySet:
    return parse_key_set(json.dumps({"keys": entries}).encode())


def parse_beside_a_good_key(entry: object) -> SkippedKey | None:
    """What became of ``entry``: None where it is used; the good key beside it always is."""
    key_set = parse(entry, jwk("ES256", kid="the good one"))
    assert key_set.candidates("the good one", "ES256")
    assert len(key_set.keys) + len(key_set.skipped) == 2
    return key_set.skipped[0] if key_set.skipped else None


def number(value: int) -> str:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("alg", "fits"),
    [
        ("RS256", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("ES256", {"ES256"}),
        ("ES384", {"ES384"}),
        ("ES512", {"ES512"}),
        ("Ed25519", {"EdDSA", "Ed25519"}),
    ],
)
@pytest.mark.parametrize("absent", [OMIT, None])
def test_a_key_without_alg_verifies_what_its_type_and_curve_allow(alg: str, fits: set[str], absent: object) -> None:
    (key,) = parse(jwk(alg, alg=absent, use=OMIT)).keys
    assert key.algorithms == fits


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_a_key_with_alg_verifies_that_alone(alg: str) -> None:
    (key,) = parse(jwk("RS256", alg=alg)).keys
    assert key.algorithms == {alg}


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_eddsa_and_ed25519_are_two_names_of_one_algorithm(alg: str) -> None:
    (key,) = parse(jwk("Ed25519", alg=alg)).keys
    assert key.algorithms == {"EdDSA", "Ed25519"}


@pytest.mark.parametrize(
    ("alg", "changes"),
    [
        ("RS256", {"use": OMIT}),
        ("RS256", {"key_ops": ["verify"]}),
        ("RS256", {"key_ops": ["sign", "verify"], "use": OMIT}),
        ("RS256", {"x5c": ["AAAA"], "x5t": "x", "x5t#S256": 5, "x5u": "https://evil.test", "ext": True, "nbf": 1}),
        ("RS256", {"e": "AAEAAQ"}),
        ("ES256", {"issuer": "https://login.example/{tenantid}", "__proto__": {"kty": "oct"}}),
        ("Ed25519", {"y": "not a member of this type"}),
    ],
)
def test_members_that_say_nothing_against_verifying_are_accepted(alg: str, changes: dict[str, object]) -> None:
    assert parse_beside_a_good_key(jwk(alg, **changes)) is None


@pytest.mark.parametrize("entry", [None, 1, "text", True, [], ["kty", "RSA"]])
def test_an_entry_that_is_no_object_is_skipped(entry: object) -> None:
    assert parse_beside_a_good_key(entry) == SkippedKey(None, "not a JSON object")


@pytest.mark.parametrize("kty", [OMIT, None, "", "rsa", "oct", "AKP", "LMS", 1, [], ["RSA"], [{}], {}, {"RSA": 1}])
def test_an_entry_of_unknown_type_is_skipped(kty: object) -> None:
    assert parse_beside_a_good_key(jwk("RS256", kty=kty)) == SkippedKey("RS256", "unknown 'kty'")


@pytest.mark.parametrize("kid", [1, 1.5, True, [], ["k"], {}, {"k": 1}])
def test_an_entry_whose_kid_is_no_string_is_skipped(kid: object) -> None:
    assert parse_beside_a_good_key(jwk("RS256", kid=kid)) == SkippedKey(None, "'kid' is not a string")


@pytest.mark.parametrize("use", ["enc", "SIG", "", "sig ", None, 1, [], ["sig"], {}])
def test_an_entry_for_another_use_is_skipped(use: object) -> None:
    assert parse_beside_a_good_key(jwk("RS256", use=use)) == SkippedKey("RS256", "'use' is not 'sig'")


@pytest.mark.parametrize(
    "operations", [[], ["sign"], ["encrypt", "wrapKey"], "verify", None, 1, {}, {"verify": 1}, [{}]]
)
def test_an_entry_whose_operations_lack_verify_is_skipped(operations: object) -> None:
    assert parse_beside_a_good_key(jwk("RS256", key_ops=operations)) == SkippedKey(
        "RS256", "'key_ops' without 'verify'"
    )


@pytest.mark.parametrize(
    "alg", ["RSA-OAEP", "none", "HS256", "HS512", "rs256", "ES256K", "Ed448", "", 1, True, [], ["RS256"], [{}], {}]
)
def test_an_entry_for_another_algorithm_is_skipped(alg: object) -> None:
    skipped = parse_beside_a_good_key(jwk("RS256", alg=alg))
    assert skipped == SkippedKey("RS256", "'alg' is no signature algorithm understood here")


@pytest.mark.parametrize(
    ("key", "alg"),
    [("RS256", "ES256"), ("ES256", "RS256"), ("ES256", "ES384"), ("Ed25519", "ES256"), ("ES512", "EdDSA")],
)
def test_an_entry_whose_alg_does_not_fit_its_type_or_curve_is_skipped(key: str, alg: str) -> None:
    assert parse_beside_a_good_key(jwk(key, alg=alg)) == SkippedKey(key, "'alg' does not fit the key's type or curve")


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
def test_a_published_private_key_is_skipped_and_reported_as_such(alg: str, member: str) -> None:
    skipped = parse_beside_a_good_key(jwk(alg, **{member: "AAAA"}))
    assert skipped == SkippedKey(alg, "symmetric or private key in a public set", private=True)


@pytest.mark.parametrize(
    "entry", [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "AKP", "priv": "AA"}, {"kid": 7, "d": "AA"}]
)
def test_a_published_secret_is_reported_even_where_the_entry_is_odd_otherwise(entry: dict[str, object]) -> None:
    skipped = parse_beside_a_good_key(entry)
    assert skipped is not None
    assert skipped.private


@pytest.mark.parametrize("bits", [2048, 2049, 3072, 4096, 8192])
def test_rsa_keys_from_2048_to_8192_bits_are_used(bits: int) -> None:
    assert parse_beside_a_good_key(jwk("RS256", n=number(2 ** (bits - 1) + 1))) is None


@pytest.mark.parametrize("bits", [1, 2, 512, 1024, 2047, 8193, 16_384, 1_000_000])
def test_rsa_keys_of_other_sizes_are_skipped_without_a_warning(bits: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skipped = parse_beside_a_good_key(jwk("RS256", n=number(2 ** (bits - 1) + 1)))
    assert skipped == SkippedKey("RS256", "an RSA key outside 2048 to 8192 bits")


@pytest.mark.parametrize("exponent", [3, 17, 65537, 2**32 + 1, 2**33 - 1])
def test_odd_rsa_exponents_from_3_to_2_33_are_used(exponent: int) -> None:
    assert parse_beside_a_good_key(jwk("RS256", e=number(exponent))) is None


@pytest.mark.parametrize("exponent", [0, 1, 2, 4, 65536, 65538, 2**33, 2**33 + 1, 2**64 + 1, 2**4000 + 1])
def test_other_rsa_exponents_are_skipped(exponent: int) -> None:
    skipped = parse_beside_a_good_key(jwk("RS256", e=number(exponent)))
    assert skipped == SkippedKey("RS256", "an RSA key with an unsafe modulus or exponent")


def test_an_even_rsa_modulus_is_skipped() -> None:
    skipped = parse_beside_a_good_key(jwk("RS256", n=number(2**2047)))
    assert skipped == SkippedKey("RS256", "an RSA key with an unsafe modulus or exponent")


BROKEN_TEXT = [
    OMIT,
    None,
    "",
    "A",
    "AQAB=",
    "AQ AB",
    "AQ\nAB",
    "+/+/",
    "é" * 8,
    5,
    1.5,
    True,
    [],
    [65, 81],
    {},
    {"a": 1},
]


@pytest.mark.parametrize("member", ["n", "e"])
@pytest.mark.parametrize("value", BROKEN_TEXT)
def test_broken_rsa_members_are_skipped(member: str, value: object) -> None:
    skipped = parse_beside_a_good_key(jwk("RS256", **{member: value}))
    assert skipped is not None
    assert not skipped.private


def test_the_reason_names_what_is_wrong_with_the_material() -> None:
    assert parse_beside_a_good_key(jwk("RS256", n=OMIT)) == SkippedKey("RS256", "broken key material (KeyError)")
    assert parse_beside_a_good_key(jwk("RS256", n="A")) == SkippedKey("RS256", "broken key material (Error)")


def test_an_rsa_modulus_given_as_numbers_that_spell_it_is_skipped() -> None:
    modulus = str(jwk("RS256")["n"]).encode()
    assert parse_beside_a_good_key(jwk("RS256", n=list(modulus))) is not None


@pytest.mark.parametrize(("alg", "member"), [("ES256", "x"), ("ES256", "y"), ("ES512", "x"), ("Ed25519", "x")])
@pytest.mark.parametrize("value", BROKEN_TEXT)
def test_broken_coordinates_are_skipped(alg: str, member: str, value: object) -> None:
    assert parse_beside_a_good_key(jwk(alg, **{member: value})) == SkippedKey(
        alg, f"'{member}' is missing or has not the full length"
    )


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("member", ["x", "y"])
def test_a_coordinate_has_exactly_the_size_of_its_curve(alg: str, member: str) -> None:
    text = str(jwk(alg)[member])
    for wrong in ("AAAA" + text, text + "AA", text[:-2], text + "="):
        assert parse_beside_a_good_key(jwk(alg, **{member: wrong})) is not None
    assert parse_beside_a_good_key(jwk(alg, **{member: text})) is None


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_a_point_off_the_curve_is_skipped(alg: str) -> None:
    off = jwk(alg, y=jwk(alg)["x"])
    assert parse_beside_a_good_key(off) == SkippedKey(alg, "broken key material (ValueError)")
    zero = "A" * len(str(jwk(alg)["x"]))
    assert parse_beside_a_good_key(jwk(alg, x=zero, y=zero)) is not None


def test_a_coordinate_that_is_no_base64url_is_skipped() -> None:
    for character in "+/= é":
        assert parse_beside_a_good_key(jwk("ES256", x=character + str(jwk("ES256")["x"])[1:])) is not None


@pytest.mark.parametrize("crv", [OMIT, None, "", "p-256", "P-192", "P-224", "secp256k1", "X25519", 1, [], [{}], {}])
@pytest.mark.parametrize("alg", ["ES256", "Ed25519"])
def test_an_unknown_curve_is_skipped(alg: str, crv: object) -> None:
    skipped = parse_beside_a_good_key(jwk(alg, crv=crv))
    assert skipped == SkippedKey(alg, "'crv' is no curve that a signature algorithm here uses")


@pytest.mark.parametrize(
    ("alg", "crv"), [("ES256", "P-384"), ("ES256", "P-521"), ("ES384", "P-256"), ("ES512", "P-384")]
)
def test_coordinates_of_another_curve_are_skipped(alg: str, crv: str) -> None:
    assert parse_beside_a_good_key(jwk(alg, crv=crv, alg=OMIT)) is not None


@pytest.mark.parametrize(("alg", "kty"), [("ES256", "OKP"), ("Ed25519", "EC"), ("RS256", "EC"), ("ES256", "RSA")])
def test_a_key_under_another_type_is_skipped(alg: str, kty: str) -> None:
    assert parse_beside_a_good_key(jwk(alg, kty=kty, alg=OMIT)) is not None


NO_KEY_SETS = [
    *(b"", b"<html>sign in to this network</html>", b"null", b"[]", b"7", b'"keys"', b"{}", b'{"keys":null}'),
    *(b'{"keys":{}}', b'{"keys":"RSA"}', b'{"keys":[]', b'{"Keys":[]}', b'{"keys":[],"keys":[]}', b'{"keys":["\xff"]}'),
    *('{"keys":[]}'.encode(encoding) for encoding in ("utf-16", "utf-8-sig")),
]


@pytest.mark.parametrize("data", NO_KEY_SETS)
def test_a_document_that_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(KeysUnavailableError):
        parse_key_set(data)


def test_a_set_without_any_usable_key_is_refused_and_says_why() -> None:
    with pytest.raises(KeysUnavailableError, match="it is empty"):
        parse_key_set(b'{"keys":[]}')
    with pytest.raises(KeysUnavailableError, match=r"'use' is not 'sig'; not a JSON object; unknown 'kty'"):
        parse({"kty": "oct"}, 5, jwk("RS256", use="enc"), {"kty": "AKP"})


def test_a_set_may_hold_100_entries_and_no_more() -> None:
    entries: list[Mapping[str, object]] = [jwk("ES256", kid=f"k{index}") for index in range(MAX_KEYS)]
    assert len(parse(*entries).keys) == MAX_KEYS == 100
    with pytest.raises(KeysUnavailableError, match="at most 100 entries"):
        parse(*entries, {})
    with pytest.raises(KeysUnavailableError, match="refused: more than 512 brackets"):
        parse(*[{"kty": "oct"}] * 10_000)


def test_a_set_may_have_256_kib_and_no_more() -> None:
    document = json.dumps({"keys": [jwk("ES256")]}).encode()
    most = document + b" " * (MAX_KEY_SET_BYTES - len(document))
    assert len(most) == 262_144
    assert parse_key_set(most).keys
    with pytest.raises(KeysUnavailableError, match="larger than 262144 bytes"):
        parse_key_set(most + b" ")


@pytest.mark.parametrize("y", [0, 1, 2**255 - 20, 2**255 - 19])
def test_an_ed25519_key_for_which_anybody_can_sign_is_skipped(y: int) -> None:
    weak = base64.urlsafe_b64encode(y.to_bytes(32, "little")).rstrip(b"=").decode()
    assert parse_beside_a_good_key(jwk("Ed25519", x=weak)) == SkippedKey(
        "Ed25519", "an Ed25519 key of small order, for which anybody can sign"
    )
    assert parse_beside_a_good_key(jwk("Ed25519")) is None


#: The points whose order divides 8, as published keys would spell them (of two with one y, the sign bit tells).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_key_that_verifies_a_signature_made_without_any_private_key_is_skipped(point: str) -> None:
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))
    made_up = (1).to_bytes(32, "little") + bytes(32)

    def is_fooled_by(message: bytes) -> bool:
        try:
            public.verify(made_up, message)
        except InvalidSignature:
            return False
        return True

    assert any(is_fooled_by(str(number).encode()) for number in range(200)), "a message in eight does it"
    skipped = parse_beside_a_good_key(jwk("Ed25519", x=base64.urlsafe_b64encode(bytes.fromhex(point)).decode()[:43]))
    assert skipped is not None
    assert "anybody can sign" in skipped.reason
