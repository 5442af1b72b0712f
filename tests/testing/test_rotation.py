"""Keys come, stay published, and go when they are told to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeIssuer, FakeKey


def served_kids(issuer: FakeIssuer) -> list[str]:
    return [key["kid"] for key in json.loads(issuer.handle("GET", "/jwks").body)["keys"]]


def verifies(issuer: FakeIssuer, token: str) -> bool:
    keys: Any = issuer.jwks()
    try:
        jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256", "ES256"])
    except (InvalidKeyIdError, ValueError):
        return False
    return True


def test_rotation_signs_with_the_new_key_and_keeps_the_old_one_published() -> None:
    issuer = FakeIssuer()
    old, es256 = issuer.signing_key(), issuer.signing_key("ES256")
    before = issuer.mint()
    new = issuer.rotate("RS256")
    assert issuer.signing_key() is new
    assert served_kids(issuer) == [old.kid, es256.kid, new.kid]
    assert verifies(issuer, before)
    assert verifies(issuer, issuer.mint())
    assert issuer.signing_key("ES256") is es256


def test_retiring_takes_the_old_key_and_its_tokens_and_leaves_the_rest() -> None:
    issuer = FakeIssuer()
    before = issuer.mint()
    issuer.rotate()
    issuer.retire()
    assert served_kids(issuer) == [issuer.signing_key("ES256").kid, issuer.signing_key("RS256").kid]
    assert not verifies(issuer, before)
    assert verifies(issuer, issuer.mint())


def test_a_current_key_may_be_withdrawn_by_name_and_still_signs() -> None:
    issuer = FakeIssuer()
    kid = issuer.signing_key().kid
    issuer.retire(kid)
    assert kid not in served_kids(issuer)
    assert not verifies(issuer, issuer.mint())
    assert verifies(issuer, issuer.mint(alg="ES256"))


def test_retiring_an_unknown_key_is_an_error_that_lists_the_known_ones() -> None:
    issuer = FakeIssuer(algorithms=("ES256",))
    with pytest.raises(ConfigurationError, match=issuer.signing_key().kid):
        issuer.retire("nobody")
    assert len(issuer.keys) == 1


def test_rotating_to_an_algorithm_that_is_new_adds_it() -> None:
    issuer = FakeIssuer(algorithms=("RS256",))
    key = issuer.rotate("ES256")
    assert issuer.signing_key("ES256") is key
    assert verifies(issuer, issuer.mint(alg="ES256"))
    assert issuer.signing_key().alg == "RS256"
    assert issuer.discovery()["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]


def test_an_issuer_without_algorithms_says_so_when_it_should_sign() -> None:
    issuer = FakeIssuer(algorithms=())
    assert served_kids(issuer) == []
    for ask in (issuer.mint, issuer.rotate):
        with pytest.raises(ConfigurationError, match="signs with nothing"):
            ask()
    issuer.rotate("ES256")
    assert verifies(issuer, issuer.mint())


def test_odd_sets_can_be_published_and_cleaned_up() -> None:
    issuer = FakeIssuer(algorithms=("ES256",))
    odd: Mapping[str, object] = {"kty": "oct", "kid": "odd", "k": "c2VjcmV0"}
    issuer.publish(odd)
    issuer.publish(FakeKey.generate("ES384", kid="extra"))
    issuer.keys.insert(0, {"kty": "future"})
    served = json.loads(issuer.handle("GET", "/jwks").body)["keys"]
    assert served[0] == {"kty": "future"}
    assert [key.get("kid") for key in served[1:]] == [issuer.signing_key().kid, "odd", "extra"]
    issuer.retire("odd")
    assert odd not in issuer.keys
    issuer.retire()
    assert served_kids(issuer) == [issuer.signing_key().kid]
