"""Keys given in the code: no network, and the same rules."""

from __future__ import annotations

import asyncio

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    ClaimError,
    KeyNotFoundError,
    TokenError,
)
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from tests.verifier.ways import WAYS, Verify

SECRET = "a shared secret of at least thirty-two bytes"


@WAYS
def test_a_key_set_given_in_the_code_needs_no_network(verify: Verify) -> None:
    issuer = FakeIssuer("https://id.example.com")
    with issuer.verifier(jwks=issuer.jwks()) as verifier:
        assert verify(verifier, issuer.mint("ada")).user_id == "ada"
        assert verify(verifier, issuer.mint("ada", alg="ES256")).user_id == "ada"
        with pytest.raises(KeyNotFoundError, match="static keys"):
            verify(verifier, issuer.mint(key=FakeKey.generate("ES256")))
        with pytest.raises(BadSignatureError):
            verify(verifier, issuer.mint(key=FakeKey.generate("ES256", kid=issuer.signing_key("ES256").kid)))
        asyncio.run(verifier.warm(strict=True))


def test_with_an_issuer_its_name_and_audience_are_checked() -> None:
    issuer = FakeIssuer("https://id.example.com", algorithms=("ES256",))
    with issuer.verifier(verification_keys=issuer.signing_key().public_pem()) as verifier:
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        for claims in ({"aud": "x"}, {"iss": "https://evil.example"}, {"aud": OMIT}):
            with pytest.raises(TokenError):
                verifier.verify_now(issuer.mint("ada", claims=claims))


def test_without_one_they_are_checked_where_configured_and_the_end_always() -> None:
    issuer = FakeIssuer("https://anyone.example", algorithms=("ES256",))
    pem = issuer.signing_key().public_pem()
    with Verifier(verification_keys=[pem]) as anybody, Verifier(verification_keys=[pem], audience="a") as strict:
        principal = anybody.verify_now(issuer.mint("ada", audience="whatever"))
        assert (principal.user_id, principal.issuer) == ("ada", "https://anyone.example")
        assert anybody.verify_now(issuer.mint("ada", claims={"iss": OMIT})).issuer is None
        assert strict.verify_now(issuer.mint("ada", audience="a")).user_id == "ada"
        with pytest.raises(AudienceMismatchError):
            strict.verify_now(issuer.mint("ada", audience="b"))
        for bad in ({"exp": OMIT}, {"exp": 1}):
            with pytest.raises(ClaimError):
                anybody.verify_now(issuer.mint("ada", claims=bad))
    assert (anybody.issuer_urls, anybody.metadata()) == ((), ())


def test_a_shared_secret_is_checked_by_its_one_algorithm() -> None:
    issuer = FakeIssuer("https://anyone.example")
    key = FakeKey.from_secret(SECRET.encode())
    with Verifier(secret_key=SECRET) as verifier:
        assert verifier.verify_now(issuer.mint("ada", key=key)).user_id == "ada"
        assert verifier.verify_now(issuer.mint("ada", key=key, header={"kid": OMIT})).user_id == "ada"
        with pytest.raises(BadSignatureError):
            verifier.verify_now(issuer.mint(key=FakeKey.from_secret(b"x" * 32)))
        with pytest.raises(TokenError):
            verifier.verify_now(issuer.mint(alg="RS256"))
        with pytest.raises(TokenError):
            verifier.verify_now(issuer.sign({"alg": "none"}, {"sub": "ada", "exp": 9e9}, None))


def test_a_public_key_in_a_forgers_hands_is_no_secret() -> None:
    issuer = FakeIssuer("https://id.example.com", algorithms=("ES256",))
    pem = issuer.signing_key().public_pem()
    forger = FakeKey.from_secret(pem.encode(), kid=issuer.signing_key().kid)
    with issuer.verifier(verification_keys=pem) as verifier:
        with pytest.raises(TokenError):
            verifier.verify_now(issuer.mint("ada", key=forger))
        with pytest.raises(TokenError):
            verifier.verify_now(issuer.mint("ada", key=forger, header={"alg": "ES256"}))
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
