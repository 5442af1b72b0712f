"""The examples of RFC 7515, RFC 7520, RFC 8037 and RFC 9449, and the same with one thing changed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from oidcbridge.core.policy import Policy
from oidcbridge.core.token import parse_unverified
from oidcbridge.core.verify import admit, verify
from oidcbridge.errors import AlgorithmNotAllowedError, BadSignatureError, MalformedTokenError, TokenTypeError
from tests.core.rfc_examples import BILBO, JOE, VECTORS, Vector

every_vector = pytest.mark.parametrize("vector", [pytest.param(vector, id=name) for name, vector in VECTORS.items()])


@every_vector
def test_the_published_signature_verifies_with_the_published_key(vector: Vector) -> None:
    assert vector.verifies()


@every_vector
def test_a_changed_header_or_payload_does_not_verify(vector: Vector) -> None:
    for changed in (f"{vector.header}.{vector.payload}A", f"A{vector.header}.{vector.payload}", f"{vector.header}."):
        assert not vector.verifies(message=changed.encode())


@every_vector
def test_a_signature_with_any_byte_changed_does_not_verify(vector: Vector) -> None:
    signature = bytearray(vector.raw_signature())
    for index in range(0, len(signature), 7):
        signature[index] ^= 0x40
        assert not vector.verifies(signature=bytes(signature))
        signature[index] ^= 0x40
    assert vector.verifies(signature=bytes(signature))


@every_vector
def test_the_key_of_one_example_does_not_verify_another(vector: Vector) -> None:
    others = [other for other in VECTORS.values() if other.jwk != vector.jwk]
    assert len(others) >= 10
    for other in others:
        assert not vector._replace(jwk=other.jwk).verifies()


@pytest.mark.parametrize("name", ["RFC 7515 A.1", "RFC 7515 A.2", "RFC 7515 A.3"])
def test_the_example_tokens_of_joe_verify_whole_and_not_with_each_others_signature(name: str) -> None:
    vector = VECTORS[name]
    policy = Policy(issuer="joe", audiences=None, algorithms=frozenset({vector.alg}))
    token = parse_unverified(vector.compact())
    verified = verify(token, vector.key_set(), policy, now=1300819379.0)
    assert verified.claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
    forged = parse_unverified(f"{vector.header}.{vector.payload}.{VECTORS['RFC 7520 4.1'].signature}")
    with pytest.raises(BadSignatureError):
        verify(forged, vector.key_set(), policy, now=1300819379.0)


def test_the_unsecured_example_of_rfc_7515_a_5_is_refused_under_every_spelling_of_none() -> None:
    token = parse_unverified(f"eyJhbGciOiJub25lIn0.{JOE}.")
    assert token.claims["iss"] == "joe"
    for algorithms in ({"RS256"}, {"HS256"}):
        policy = Policy(issuer="joe", audiences=None, algorithms=frozenset(algorithms))
        with pytest.raises(AlgorithmNotAllowedError):
            verify(token, VECTORS["RFC 7515 A.2"].key_set(), policy, now=1300819379.0)


@pytest.mark.parametrize("name", ["RFC 7515 A.4", "RFC 7520 4.1", "RFC 7520 4.4", "RFC 8037 A.4"])
def test_an_example_whose_payload_is_no_json_is_no_token_here(name: str) -> None:
    with pytest.raises(MalformedTokenError, match="payload"):
        parse_unverified(VECTORS[name].compact())


def flattened(name: str, unprotected: dict[str, str] | None = None) -> dict[str, object]:
    """An example as the RFCs show it in JSON (RFC 7515 section 7.2.2)."""
    vector = VECTORS[name]
    protected = {"protected": vector.header} if vector.header else {}
    header = {"header": unprotected} if unprotected else {}
    return {"payload": vector.payload, **protected, **header, "signature": vector.signature}


def general(*entries: dict[str, object]) -> dict[str, object]:
    """The same with several signatures (RFC 7515 section 7.2.1)."""
    signatures = [{name: entry[name] for name in entry if name != "payload"} for entry in entries]
    return {"payload": entries[0]["payload"], "signatures": signatures}


JOES_RSA = flattened("RFC 7515 A.2", {"kid": "2010-12-29"})
JOES_EC = flattened("RFC 7515 A.3", {"kid": "e9bc097a-ce51-4036-9562-d2ade882db0d"})
SECRET_KID = {"kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037"}
BY_THREE = (
    flattened("RFC 7520 4.8, first", {"kid": BILBO}),
    flattened("RFC 7520 4.8, second", {"alg": "ES512", "kid": BILBO}),
    flattened("RFC 7520 4.4"),
)
IN_JSON = {
    "RFC 7515 A.6": general(JOES_RSA, JOES_EC),
    "RFC 7515 A.7": JOES_EC,
    "RFC 7520 4.5": {name: value for name, value in flattened("RFC 7520 4.4").items() if name != "payload"},
    "RFC 7520 4.6": flattened("RFC 7520 4.6", SECRET_KID),
    "RFC 7520 4.7": flattened("RFC 7520 4.7", {"alg": "HS256", **SECRET_KID}),
    "RFC 7520 4.8": general(*BY_THREE),
}


@pytest.mark.parametrize("example", IN_JSON.values(), ids=list(IN_JSON))
def test_the_json_serialization_of_an_example_is_no_token_here(example: dict[str, object]) -> None:
    for text in (json.dumps(example), json.dumps(example, separators=(",", ":"))):
        with pytest.raises(MalformedTokenError, match="parts"):
            parse_unverified(text)


@pytest.mark.parametrize("name", ["RFC 7515 A.1", "RFC 7520 4.4", "RFC 7520 4.7", "RFC 9449 figure 2"])
def test_an_example_with_a_part_detached_is_no_token_here(name: str) -> None:
    vector = VECTORS[name]
    for header, payload in ((vector.header, ""), ("", vector.payload), ("", "")):
        with pytest.raises(MalformedTokenError, match=r"header|payload"):
            parse_unverified(f"{header}.{payload}.{vector.signature}")


@pytest.mark.parametrize("name", ["RFC 9449 figure 2", "RFC 9449 figure 13"])
def test_a_proof_of_possession_is_no_access_token_even_for_who_trusts_its_key(name: str) -> None:
    vector = VECTORS[name]
    policy = Policy(issuer=None, audiences=None, algorithms=frozenset({"ES256"}))
    token = parse_unverified(vector.compact())
    assert token.claims["htm"] in {"POST", "GET"}
    with pytest.raises(TokenTypeError, match=r"dpop\+jwt"):
        verify(token, vector.key_set(), policy, now=1562262620.0)


def test_the_access_token_of_rfc_9449_is_bound_to_a_key_and_no_bearer_token() -> None:
    """Its section 6.1 shows the claims alone; without ``cnf`` they would be those of a good token."""
    claims = {
        "sub": "someone@example.com",
        "iss": "https://server.example.com",
        "nbf": 1562262611,
        "exp": 1562266216,
        "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
    }
    policy = Policy(issuer="https://server.example.com", audiences=None, algorithms=frozenset({"ES256"}))
    header = VECTORS["RFC 7515 A.3"].header
    for bound in (True, False):
        shown = claims if bound else {name: value for name, value in claims.items() if name != "cnf"}
        payload = urlsafe_b64encode(json.dumps(shown).encode()).rstrip(b"=").decode()
        token = parse_unverified(f"{header}.{payload}.")
        if bound:
            with pytest.raises(TokenTypeError, match="cnf"):
                admit(token, policy, now=1562262620.0)
        else:
            assert admit(token, policy, now=1562262620.0) == (1562266216.0, 1562262611.0)


@pytest.mark.parametrize(
    ("name", "thumbprint"),
    [
        ("RFC 8037 A.4", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),  # its appendix A.3
        ("RFC 9449 figure 2", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),  # its section 6.1
    ],
)
def test_a_key_has_the_thumbprint_that_is_published_of_it(name: str, thumbprint: str) -> None:
    (key,) = VECTORS[name].key_set().keys
    assert key.thumbprint == thumbprint
