"""A key is prepared for the algorithms that fit it, and for no other."""

from __future__ import annotations

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


def test_a_secret_does_not_show() -> None:
    check = signature_check("HS256", b"a secret of thirty-two bytes, yes")
    assert not check.verifies(b"message", b"signature")
    assert "secret of" not in repr(check)
