"""A key is prepared for the algorithms that fit it, and for no other."""

from __future__ import annotations

import itertools

import pytest

from oidcbridge.core.signatures import signature_check
from oidcbridge.testing import FakeKey


@pytest.mark.parametrize(
    ("alg", "owner"),
    [
        ("XX999", "RS256"),
        ("XX999", "ES256"),
        ("EdDSA", "RS256"),
        ("EdDSA", "ES256"),
        ("none", "RS256"),
        ("ES256", "RS256"),
        ("HS256", "RS256"),
        ("RS256", "EdDSA"),
    ],
)
def test_an_algorithm_that_does_not_fit_is_never_prepared(alg: str, owner: str) -> None:
    native = FakeKey.generate(owner).private_key.get_op_key("verify")
    assert signature_check(owner, native)
    with pytest.raises(TypeError, match=f"cannot verify {alg}"):
        signature_check(alg, native)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512"])
def test_an_ecdsa_signature_has_one_spelling_though_its_numbers_may_begin_with_zeros(alg: str) -> None:
    key = FakeKey.generate(alg)
    check = signature_check(alg, key.private_key.get_op_key("verify"))
    signatures = ((str(number).encode(), key.sign(str(number).encode())) for number in itertools.count())
    width = len(key.sign(b"")) // 2
    message, signature = next(one for one in signatures if one[1][width] == 0)
    assert check.verifies(message, signature)
    r, s = signature[:width], signature[width:]
    for spelling in (r + b"\0" + s, r + s[1:], b"\0" + signature, signature + b"\0", r, b""):
        assert not check.verifies(message, spelling)


def test_a_secret_does_not_show() -> None:
    check = signature_check("HS256", b"a secret of thirty-two bytes, yes")
    assert not check.verifies(b"message", b"signature")
    assert "secret of" not in repr(check)
