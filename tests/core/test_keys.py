"""Which key may verify which token: by kid and alg, at most four, never another algorithm than its own."""

from __future__ import annotations

import json
from functools import cache

import pytest

from oidcbridge.core.keys import (
    ALGORITHMS,
    ASYMMETRIC_ALGORITHMS,
    HMAC_ALGORITHMS,
    MAX_CANDIDATES,
    DeniedKeys,
    Key,
    KeySet,
    parse_key_set,
)
from oidcbridge.testing import OMIT, FakeKey
from oidcbridge.testing.tokens import merge

MESSAGE = b"signing input"


@cache
def make_key(alg: str, nth: int) -> FakeKey:
    return FakeKey.generate(alg, kid=f"{alg}-{nth}")


def fake_key(alg: str, nth: int = 0) -> FakeKey:
    return make_key(alg, nth)


def jwk(name: str, nth: int = 0, /, **changes: object) -> dict[str, object]:
    return merge(fake_key(name, nth).public_jwk(), changes)


def parse(*entries: object) -> KeySet:
    return parse_key_set(json.dumps({"keys": entries}).encode())


def only_key(name: str, /, **changes: object) -> Key:
    (key,) = parse(jwk(name, 0, **changes)).keys
    return key


def test_none_is_no_algorithm_and_shared_secrets_are_a_family_of_their_own() -> None:
    assert not {"none", "None", "NONE", "ES256K", "Ed448"} & set(ALGORITHMS)
    assert set(HMAC_ALGORITHMS) == {"HS256", "HS384", "HS512"}
    assert set(ALGORITHMS) == HMAC_ALGORITHMS | ASYMMETRIC_ALGORITHMS
    assert not HMAC_ALGORITHMS & ASYMMETRIC_ALGORITHMS


@pytest.mark.parametrize("alg", sorted(ASYMMETRIC_ALGORITHMS))
def test_a_key_verifies_its_own_signature_and_nothing_near_it(alg: str) -> None:
    key, signature = only_key(alg), fake_key(alg).sign(MESSAGE)
    assert key.checks[alg](MESSAGE, signature)
    assert not key.checks[alg](MESSAGE + b".", signature)
    assert not key.checks[alg](MESSAGE, bytes([signature[0] ^ 1]) + signature[1:])
    assert not key.checks[alg](MESSAGE, signature[:-1] + bytes([signature[-1] ^ 1]))
    for wrong in (b"", b"\0", b"\0" * len(signature), b"\xff" * len(signature), signature[:-1], signature + b"\0"):
        assert not key.checks[alg](MESSAGE, wrong)
    assert not key.checks[alg](MESSAGE, b"\0" + signature)
    assert not key.checks[alg](MESSAGE, fake_key(alg, 1).sign(MESSAGE))


@pytest.mark.parametrize("used", ["RS384", "RS512", "PS256", "PS384", "PS512", "HS256", "ES256", "none", ""])
def test_a_key_never_verifies_by_an_algorithm_that_is_not_its_own(used: str) -> None:
    assert used not in only_key("RS256", alg="RS256").checks
    any_rsa = only_key("RS256", alg=OMIT)
    assert (used in any_rsa.checks) == (used[:2] in ("RS", "PS"))
    if used in any_rsa.checks:
        signature = FakeKey(kid="k", alg=used, private_key=fake_key("RS256").private_key).sign(MESSAGE)
        assert [alg for alg, check in any_rsa.checks.items() if check(MESSAGE, signature)] == [used]


@pytest.mark.parametrize(("alg", "size"), [("ES256", 32), ("ES384", 48), ("ES512", 66)])
def test_an_ecdsa_signature_is_two_numbers_in_range(alg: str, size: int) -> None:
    orders = {
        "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        "ES384": 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
        "ES512": 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    }
    order, key, good = orders[alg], only_key(alg), fake_key(alg).sign(MESSAGE)
    r, s = int.from_bytes(good[:size], "big"), int.from_bytes(good[size:], "big")
    assert key.checks[alg](MESSAGE, good)
    for odd in [(0, 0), (0, 1), (1, 0), (order, order), (0, s), (r, 0), (r, order), (order, s), (1, 1), (s, r)]:
        assert not key.checks[alg](MESSAGE, b"".join(part.to_bytes(size, "big") for part in odd))
    if r + order < 2 ** (8 * size):
        assert not key.checks[alg](MESSAGE, (r + order).to_bytes(size, "big") + good[size:])
    assert not key.checks[alg](MESSAGE, bytes.fromhex("3006020101020101"))
    for twin in (good[:size] + b"\0" + good[size:], b"\0" + good[:size] + b"\0" + good[size:]):  # the same two numbers
        assert not key.checks[alg](MESSAGE, twin)


@pytest.mark.parametrize(("key_alg", "token_alg"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_either_name_of_ed25519_verifies_under_the_other(key_alg: str, token_alg: str) -> None:
    assert only_key("Ed25519", alg=key_alg).checks[token_alg](MESSAGE, fake_key("Ed25519").sign(MESSAGE))


def test_a_kid_picks_its_key_and_never_falls_back_to_another() -> None:
    key_set = parse(jwk("RS256"), jwk("ES256"), jwk("ES256", 1, kid=OMIT))
    assert [key.kid for key in key_set.candidates("RS256-0", "RS256")] == ["RS256-0"]
    for kid in ("unknown", "", "RS256-0 ", "rs256-0"):
        assert key_set.candidates(kid, "RS256") == ()
        assert key_set.candidates(kid, "ES256") == ()


def test_an_empty_kid_is_a_name_like_any_other() -> None:
    key_set = parse(jwk("ES256", kid=""), jwk("ES256", 1, kid="other"))
    assert [key.kid for key in key_set.candidates("", "ES256")] == [""]
    assert parse(jwk("ES256", kid=OMIT)).candidates("", "ES256") == ()


def test_a_key_of_the_right_kid_and_another_algorithm_is_no_candidate() -> None:
    key_set = parse(jwk("RS256", kid="k", alg="RS256"))
    assert key_set.candidates("k", "RS256")
    for alg in ("RS384", "PS256", "ES256", "HS256", "none"):
        assert key_set.candidates("k", alg) == ()


def test_keys_that_share_a_kid_are_all_candidates_by_algorithm() -> None:
    key_set = parse(jwk("RS256", kid="k"), jwk("ES256", kid="k"), jwk("ES256", 1, kid="k"))
    assert len(key_set.candidates("k", "RS256")) == 1
    first, second = key_set.candidates("k", "ES256")
    signature = fake_key("ES256", 1).sign(MESSAGE)
    assert not first.checks["ES256"](MESSAGE, signature)
    assert second.checks["ES256"](MESSAGE, signature)


def test_a_token_without_kid_is_tried_with_the_keys_that_fit_it() -> None:
    key_set = parse(jwk("RS256"), jwk("ES256"), jwk("ES256", 1, kid=OMIT))
    assert [key.kid for key in key_set.candidates(None, "ES256")] == ["ES256-0", None]
    assert [key.kid for key in key_set.candidates(None, "RS256")] == ["RS256-0"]
    assert key_set.candidates(None, "Ed25519") == ()


@pytest.mark.parametrize("kid", ["k", None])
def test_no_more_than_four_keys_are_tried(kid: str | None) -> None:
    key_set = parse(*[jwk("ES256", nth, kid="k") for nth in range(6)])
    assert len(key_set.candidates(kid, "ES256")) == MAX_CANDIDATES == 4
    assert key_set.candidates(kid, "ES256") == key_set.keys[:4]


def test_keys_without_names_of_their_own_fit_a_token_of_any_kid() -> None:
    keys = [only_key("ES256", kid=OMIT), only_key("RS256", kid=OMIT)]
    for kid in ("k", "", None):
        assert KeySet(keys, any_kid=True).candidates(kid, "ES256") == (keys[0],)
    assert KeySet(keys).candidates("k", "ES256") == ()


def test_denied_keys_leave_a_set_and_the_others_stay() -> None:
    key_set = parse(jwk("ES256"), jwk("RS256"), jwk("ES256", 1, kid=OMIT), {"kty": "AKP"})
    left = key_set.without(DeniedKeys().and_kid("ES256-0").and_kid("unknown"))
    assert [key.kid for key in left.keys] == ["RS256-0", None]
    assert left.candidates("ES256-0", "ES256") == ()
    assert left.skipped == key_set.skipped
    assert key_set.keys[0].fingerprint in key_set.fingerprints - left.fingerprints
    for nothing in (DeniedKeys(), DeniedKeys().and_kid("unknown"), DeniedKeys(thumbprints=frozenset({"unknown"}))):
        assert key_set.without(nothing) is key_set


def test_a_denied_key_stays_denied_under_another_name() -> None:
    denied = DeniedKeys().and_kid("ES256-0").as_seen_in(parse(jwk("ES256"), jwk("RS256")))
    renamed = parse(jwk("ES256", kid="renamed"), jwk("RS256"))
    assert [key.kid for key in renamed.without(denied).keys] == ["RS256-0"]
    assert denied.as_seen_in(renamed) == denied
    other = DeniedKeys().and_kid("unknown")
    assert other.as_seen_in(renamed) is other
    assert renamed.without(other) is renamed


def test_denying_a_name_leaves_keys_without_names_usable() -> None:
    nameless = KeySet([only_key("ES256", kid=OMIT), only_key("RS256", kid=OMIT)], any_kid=True)
    assert nameless.without(DeniedKeys().and_kid("k")).candidates("k", "ES256")
    left = nameless.without(DeniedKeys(thumbprints=frozenset({nameless.keys[0].thumbprint})))
    assert left.candidates("k", "ES256") == ()
    assert left.candidates("k", "RS256")


def test_a_fingerprint_names_material_use_and_kid() -> None:
    key = only_key("ES256")
    assert key.fingerprint == only_key("ES256").fingerprint
    assert key.fingerprint != only_key("ES256", kid="renamed").fingerprint
    assert key.thumbprint == only_key("ES256", kid="renamed").thumbprint
    assert key.fingerprint != parse(jwk("ES256", 1, kid=key.kid)).keys[0].fingerprint
    assert only_key("RS256", alg="RS256").fingerprint != only_key("RS256", alg="PS256").fingerprint
    assert parse(jwk("ES256"), jwk("RS256")).fingerprints == {key.fingerprint, only_key("RS256").fingerprint}


def test_reprs_name_keys_and_show_no_material() -> None:
    key_set = parse(jwk("ES256"))
    assert repr(key_set) == "KeySet([Key(kid='ES256-0', algorithms=['ES256'])])"
    assert str(fake_key("ES256").public_jwk()["x"]) not in repr(key_set)
