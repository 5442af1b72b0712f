"""Whether a token is valid: algorithm, issuer, times and signature, in that order and each to the second."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest

from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.policy import Policy
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.core.token import UnverifiedToken, parse_unverified
from oidcbridge.core.verify import admit, verify
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    BadSignatureError,
    ExpiredTokenError,
    IssuerMismatchError,
    KeyNotFoundError,
    MissingClaimError,
    NotYetValidError,
    TokenError,
)
from oidcbridge.testing import OMIT, FakeKey
from oidcbridge.testing.tokens import merge, sign

NOW = 1_800_000_000.0
ISSUER = "https://id.example.com/realms/acme"
POLICY = Policy(issuer=ISSUER, audiences=frozenset({"agent-api"}), algorithms=frozenset({"RS256", "ES256"}))
CLAIMS = {"iss": ISSUER, "aud": "agent-api", "sub": "ada", "exp": int(NOW) + 300, "iat": int(NOW)}


@cache
def key() -> FakeKey:
    return FakeKey.generate("ES256", kid="k1")


def key_set(*entries: object) -> KeySet:
    return parse_key_set(json.dumps({"keys": entries or [key().public_jwk()]}).encode())


def signed(by: FakeKey, header: dict[str, object] | None = None, /, **claims: object) -> UnverifiedToken:
    return parse_unverified(sign(merge({"alg": "ES256", "kid": "k1", "typ": "JWT"}, header), merge(CLAIMS, claims), by))


def token(header: dict[str, object] | None = None, /, **claims: object) -> UnverifiedToken:
    return signed(key(), header, **claims)


def judge(candidate: UnverifiedToken, policy: Policy = POLICY, now: float = NOW) -> tuple[float, float]:
    """Both judges: what one refuses the other refuses alike. Returns (expires_at, not_before)."""
    try:
        admitted = admit(candidate, policy, now)
    except TokenError as refusal:
        with pytest.raises(type(refusal)):
            verify(candidate, key_set(), policy, now)
        raise
    verified = verify(candidate, key_set(), policy, now)
    assert admitted == (verified.expires_at, verified.not_before)
    return admitted


def test_a_good_token_is_verified_and_says_who_signed_it() -> None:
    verified = verify(token(), key_set(), POLICY, NOW)
    assert verified.claims == CLAIMS
    assert (verified.expires_at, verified.not_before) == (NOW + 300, NOW)
    assert verified.key.kid == "k1"


@pytest.mark.parametrize(
    "alg", ["none", "None", "nOnE", "NONE", "", "HS256", "es256", "ES256 ", "ES384", "RS512", "Ed25519"]
)
def test_an_algorithm_outside_the_allow_list_is_refused(alg: str) -> None:
    with pytest.raises(AlgorithmNotAllowedError):
        judge(token({"alg": alg}))


def test_a_long_algorithm_is_cut_and_escaped_in_the_message() -> None:
    with pytest.raises(AlgorithmNotAllowedError) as caught:
        judge(token({"alg": "\n" * 5000}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    with pytest.raises(AlgorithmNotAllowedError, match=rf"alg='{'x' * 32}' is not among"):
        judge(token({"alg": "x" * 33}))


def test_a_token_with_a_shared_secret_from_a_provider_is_explained() -> None:
    with pytest.raises(AlgorithmNotAllowedError, match=r"'HS256' is not among.*choose RS256 or ES256 for this client"):
        judge(token({"alg": "HS256"}))
    for alg, policy in (("HS256", replace(POLICY, issuer=None)), ("none", POLICY)):
        with pytest.raises(AlgorithmNotAllowedError, match="is not among") as caught:
            admit(token({"alg": alg}), policy, NOW)
        assert "choose" not in str(caught.value)


@pytest.mark.parametrize(
    "iss",
    [
        *(OMIT, None, "", 5, True, [], [ISSUER], {}, {ISSUER: True}),
        *(ISSUER + "/", ISSUER[:-1], ISSUER.upper(), ISSUER.replace("https", "http"), " " + ISSUER, ISSUER + "\0"),
        *(ISSUER.replace(".com", ".com:443"), "https://id.example.com/realms/acme2", "https://id.example.com"),
        *(ISSUER + "?", ISSUER.replace("id.", "ID."), ISSUER.replace("realms", "%72ealms"), ISSUER + "#x"),
    ],
)
def test_an_issuer_that_differs_in_any_letter_is_refused(iss: object) -> None:
    with pytest.raises(IssuerMismatchError) as caught:
        judge(token(iss=iss))
    assert caught.value.claim == "iss"


@pytest.mark.parametrize("iss", [OMIT, None, "anything", 5, {}])
def test_static_keys_without_an_issuer_ask_for_none(iss: object) -> None:
    assert judge(token(iss=iss), replace(POLICY, issuer=None))


@pytest.mark.parametrize("leeway", [0.0, 1.0, 60.0, 300.0])
def test_a_token_is_good_until_its_expiry_and_the_leeway_have_passed(leeway: float) -> None:
    policy = replace(POLICY, leeway=leeway)
    for exp in (NOW, NOW + 0.5):
        end = exp + leeway
        for now in (end - 1, end - 0.01):
            assert judge(token(exp=exp, iat=NOW - 600), policy, now) == (exp, NOW - 600)
        for now in (end, end + 0.01, end + 1, end + 1e9):
            with pytest.raises(ExpiredTokenError) as caught:
                judge(token(exp=exp, iat=NOW - 600), policy, now)
            assert (caught.value.claim, caught.value.public_code) == ("exp", "token_expired")


@pytest.mark.parametrize("iat", [OMIT, 0, 0.5, 10])
def test_a_clock_that_stands_before_1970_is_no_crash(iat: object) -> None:
    assert judge(token(iat=iat), POLICY, -1.0)
    with pytest.raises(NotYetValidError):
        judge(token(iat=iat), POLICY, -1000.0)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("leeway", [0.0, 1.0, 60.0, 300.0])
def test_a_token_is_good_from_its_beginning_less_the_leeway(name: str, leeway: float) -> None:
    policy, begin = replace(POLICY, leeway=leeway), NOW + 1000
    candidate = token(**{"iat": OMIT, name: begin, "exp": begin + 1000})
    for now in (begin - leeway, begin - leeway + 0.01, begin):
        assert judge(candidate, policy, now) == (begin + 1000, begin)
    for now in (begin - leeway - 0.01, begin - leeway - 1, 0.0):
        with pytest.raises(NotYetValidError) as caught:
            judge(candidate, policy, now)
        assert caught.value.claim == name


@pytest.mark.parametrize(
    ("nbf", "iat", "begin"), [(10, 20, 20), (20, 10, 20), (OMIT, 10, 10), (10, OMIT, 10), (OMIT, OMIT, 0)]
)
def test_the_later_of_nbf_and_iat_is_the_beginning(nbf: object, iat: object, begin: float) -> None:
    assert judge(token(nbf=nbf, iat=iat)) == (NOW + 300, begin)


@pytest.mark.parametrize("exp", [OMIT, None])
def test_a_token_that_would_never_end_is_refused(exp: object) -> None:
    with pytest.raises(MissingClaimError, match="exp") as caught:
        judge(token(exp=exp))
    assert caught.value.claim == "exp"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, "", str(int(NOW) + 300), "2027-01-15T08:00:00Z", [], [int(NOW)], {}, {"value": NOW}),
        *(-1, -0.5, -1e308, 1e308, 253402300801, 10**20 - 1, -(10**19)),
    ],
)
def test_a_time_that_is_no_number_of_seconds_in_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(MissingClaimError, match="is not a point in time") as caught:
        judge(token(**{name: value}))
    assert caught.value.claim == name


@pytest.mark.parametrize("value", [0, 0.0, 1.5, 1e3, int(NOW), NOW + 0.25])
def test_whole_and_broken_seconds_are_both_times(value: float) -> None:
    assert judge(token(nbf=value, iat=value))
    assert judge(token(exp=253402300799, iat=0)) == (253402300799.0, 0)
    with pytest.raises(MissingClaimError):  # the year 10000: datetime ends a second before
        judge(token(exp=253402300800, iat=0))


def test_the_message_says_by_how_much_a_time_is_missed() -> None:
    with pytest.raises(ExpiredTokenError, match="expired 75 s ago"):
        judge(token(exp=NOW - 75, iat=OMIT))
    with pytest.raises(NotYetValidError, match="'nbf' lies 75 s in the future"):
        judge(token(nbf=NOW + 75))


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_wrong_time_is_refused_even_where_the_token_has_expired(name: str) -> None:
    with pytest.raises(TokenError):
        judge(token(**{"exp": int(NOW) - 600, name: "soon"}))


def test_a_signature_by_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(BadSignatureError):
        verify(signed(FakeKey.generate("ES256", kid="k1")), key_set(), POLICY, NOW)


def test_a_token_whose_claims_were_changed_after_signing_is_refused() -> None:
    good, other = token(), token(sub="root")
    with pytest.raises(BadSignatureError):
        verify(good._replace(signing_input=other.signing_input), key_set(), POLICY, NOW)
    with pytest.raises(BadSignatureError):
        verify(other._replace(signature=good.signature), key_set(), POLICY, NOW)
    for signature in (b"", b"\0" * 64, good.signature[:-1]):
        with pytest.raises(BadSignatureError):
            verify(good._replace(signature=signature), key_set(), POLICY, NOW)


@pytest.mark.parametrize("kid", ["k2", "", "K1", "k1 "])
def test_an_unknown_kid_finds_no_key_even_where_another_would_fit(kid: str) -> None:
    with pytest.raises(KeyNotFoundError, match="kid="):
        verify(token({"kid": kid}), key_set(), POLICY, NOW)


def test_a_kid_is_escaped_in_the_message() -> None:
    with pytest.raises(KeyNotFoundError) as caught:
        verify(token({"kid": "k\r\n\x1b[31m\u2028"}), key_set(), POLICY, NOW)
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


def test_a_kid_of_a_key_for_another_algorithm_finds_no_key() -> None:
    rsa = FakeKey.generate("RS256", kid="k1")
    with pytest.raises(KeyNotFoundError):
        verify(token(), key_set(rsa.public_jwk()), POLICY, NOW)
    assert verify(signed(rsa, {"alg": "RS256"}), key_set(rsa.public_jwk()), POLICY, NOW)


def test_a_token_without_kid_is_verified_by_whichever_key_signed_it() -> None:
    other = FakeKey.generate("ES256", kid="k2")
    both = key_set(other.public_jwk(), key().public_jwk())
    assert verify(token({"kid": OMIT}), both, POLICY, NOW).key.kid == "k1"
    with pytest.raises(BadSignatureError):
        verify(signed(FakeKey.generate("ES256"), {"kid": OMIT}), both, POLICY, NOW)


def test_of_two_keys_with_one_kid_the_wrong_one_first_does_no_harm() -> None:
    impostor = FakeKey.generate("ES256", kid="k1")
    assert verify(token(), key_set(impostor.public_jwk(), key().public_jwk()), POLICY, NOW)


def test_a_public_key_used_as_a_shared_secret_signs_nothing() -> None:
    pem = key().public_pem()
    jwk = json.dumps(key().public_jwk())
    for secret in (pem, pem.strip(), jwk, str(key().public_jwk()["x"])):
        forger = FakeKey.from_secret(secret.encode(), kid="k1")
        with pytest.raises(AlgorithmNotAllowedError):
            judge(signed(forger, {"alg": "HS256"}))
        with pytest.raises(KeyNotFoundError):
            verify(
                signed(forger, {"alg": "HS256"}),
                key_set(),
                replace(POLICY, algorithms=frozenset({"HS256"})),
                NOW,
            )


def test_a_shared_secret_given_as_such_verifies_hs256_and_nothing_else() -> None:
    secret = FakeKey.generate("HS256")
    policy = Policy(issuer=None, audiences=None, algorithms=frozenset({"HS256"}))
    keys = parse_verification_keys([secret.private_key.raw_value], policy.algorithms)  # type: ignore[list-item]
    assert verify(signed(secret, {"alg": "HS256"}), keys, policy, NOW)
    with pytest.raises(BadSignatureError):
        verify(signed(FakeKey.generate("HS256"), {"alg": "HS256"}), keys, policy, NOW)
    with pytest.raises(AlgorithmNotAllowedError):
        verify(token(), keys, policy, NOW)


def test_verify_is_complete_without_admit() -> None:
    for name, value in (("iss", "https://evil.test"), ("exp", 5), ("aud", "other"), ("nonce", "n"), ("cnf", None)):
        with pytest.raises(TokenError):
            verify(token(**{name: value}), key_set(), POLICY, NOW)
