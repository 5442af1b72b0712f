"""``jti`` is a string wherever it stands (RFC 7519 section 4.1.7): the name by which a token is denied has one type.

joserfc and PyJWT refuse all others, and no provider writes one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import TokenError
from oidcbridge.testing import OMIT, FakeIssuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("https://ids.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: FakeIssuer) -> Iterator[Verifier]:
    with issuer.verifier() as verifier:
        yield verifier


@pytest.mark.parametrize("jti", [None, 0, 7, 1.5, True, [], ["x"], {}, {"jti": "x"}], ids=repr)
def test_a_token_whose_id_is_no_string_is_refused(issuer: FakeIssuer, verifier: Verifier, jti: object) -> None:
    with pytest.raises(TokenError):
        verifier.verify_now(issuer.mint("ada", claims={"jti": jti}))


@pytest.mark.parametrize("jti", [OMIT, "x", "trrtcc:8d9e"])
def test_a_token_with_an_id_or_without_one_is_not(issuer: FakeIssuer, verifier: Verifier, jti: object) -> None:
    assert verifier.verify_now(issuer.mint("ada", claims={"jti": jti})).user_id == "ada"
