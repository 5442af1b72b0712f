"""The kit's keys are real, distinct while in use, and keep their private half to themselves."""

from __future__ import annotations

import gc
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OctKey, RSAKey, import_key

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeIssuer, FakeKey

ASYMMETRIC = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
]
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def decode_with(issuer: FakeIssuer, token: str, alg: str) -> dict[str, Any]:
    """Verify by joserfc alone, with nothing but the served key set."""
    key_set: Any = json.loads(issuer.handle("GET", "/jwks").body)
    return jwt.decode(token, KeySet.import_key_set(key_set), algorithms=[alg]).claims


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_minted_token_verifies_with_the_served_key_set_under_each_algorithm(alg: str) -> None:
    issuer = FakeIssuer(algorithms=(alg,))
    assert decode_with(issuer, issuer.mint("ada"), alg)["sub"] == "ada"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_forgers_key_under_the_issuers_kid_does_not_verify(alg: str) -> None:
    issuer = FakeIssuer(algorithms=(alg,))
    forger = FakeKey.generate(alg, kid=issuer.signing_key().kid)
    with pytest.raises(BadSignatureError):
        decode_with(issuer, issuer.mint("ada", key=forger), alg)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_signs_too(alg: str) -> None:
    key = FakeKey.generate(alg)
    token = FakeIssuer().mint("ada", key=key)
    secret = key.private_key
    assert isinstance(secret, OctKey)
    assert jwt.decode(token, secret, algorithms=[alg]).claims["sub"] == "ada"
    with pytest.raises(BadSignatureError):
        jwt.decode(token, OctKey.generate_key(512), algorithms=[alg])


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_the_published_key_names_itself_and_shows_no_private_member(alg: str) -> None:
    jwk = FakeKey.generate(alg, kid="k1").public_jwk()
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == ("k1", alg, "sig")
    assert not PRIVATE_MEMBERS & jwk.keys()


def test_the_public_pem_is_the_same_key_as_the_published_one() -> None:
    key = FakeKey.generate("ES256")
    assert "PRIVATE" not in key.public_pem()
    published = key.public_jwk()
    assert import_key(key.public_pem(), "EC").as_dict()["x"] == published["x"]


def test_a_shared_secret_has_no_public_half() -> None:
    key = FakeKey.from_secret(b"0123456789abcdef0123456789abcdef")
    for show in (key.public_jwk, key.public_pem):
        with pytest.raises(ConfigurationError, match="shared secret"):
            show()


def test_a_forger_may_use_a_public_key_as_an_hmac_secret() -> None:
    pem = FakeKey.generate("RS256").public_pem().encode()
    signature = FakeKey.from_secret(pem).sign(b"message")
    assert signature == hmac.digest(pem, b"message", hashlib.sha256)


def test_an_unknown_algorithm_is_refused_with_the_list_of_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'RS1'.*RS256"):
        FakeKey.generate("RS1")


def test_no_repr_shows_a_private_key() -> None:
    key = FakeKey.generate("HS256", kid="k1")
    assert repr(key) == "FakeKey(kid='k1', alg='HS256')"
    issuer = FakeIssuer("https://idp.test", algorithms=("ES256",))
    assert repr(issuer) == f"FakeIssuer('https://idp.test', kids=[{issuer.signing_key().kid!r}])"


def test_keys_in_use_at_the_same_time_are_never_the_same() -> None:
    keys = [FakeKey.generate("RS256") for _ in range(12)]
    assert len({str(key.public_jwk()["n"]) for key in keys}) == 12


def test_keys_no_longer_in_use_are_made_once_and_not_at_once_given_to_another() -> None:
    made = 0
    original = RSAKey.generate_key

    def counted(*arguments: Any, **options: Any) -> RSAKey:
        nonlocal made
        made += 1
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RSAKey, "generate_key", counted)
        moduli = []
        for _ in range(30):
            key = FakeKey.generate("RS256")
            moduli.append(key.public_jwk()["n"])
            del key
            gc.collect()
    assert made <= 9
    assert all(moduli[index] not in moduli[index + 1 : index + 9] for index in range(len(moduli)))
