"""The rules of providers' rows: signs of an access token, further names of an issuer, keys that name their issuer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.policy import KindMarker, Policy, TokenRules
from oidcbridge.core.token import parse_unverified
from oidcbridge.core.verify import admit, verify
from oidcbridge.errors import AudienceMismatchError, IssuerMismatchError, TokenTypeError
from oidcbridge.profiles import PROFILES
from oidcbridge.testing import OMIT, FakeKey
from oidcbridge.testing.tokens import sign
from tests.core.test_verify_kinds import ISSUER, NOW, POLICY, admitted, policy

SIGNS = TokenRules(signs=(("scp",), ("roles", "azp")))


@pytest.mark.parametrize("claims", [{"scp": "a"}, {"roles": [], "azp": "c"}, {"scp": "", "roles": [], "azp": "c"}])
def test_one_whole_set_of_signs_makes_an_access_token(claims: dict[str, object]) -> None:
    assert admitted(policy(rules=SIGNS), **claims)


@pytest.mark.parametrize("claims", [{}, {"roles": ["r"]}, {"azp": "c"}])
def test_without_its_signs_a_token_is_something_else(claims: dict[str, object]) -> None:
    with pytest.raises(TokenTypeError, match="'scp' or 'roles' with 'azp'") as caught:
        admitted(policy(rules=SIGNS), **claims)
    assert caught.value.claim == "scp"


def test_signs_do_not_outweigh_the_claims_of_other_tokens() -> None:
    with pytest.raises(TokenTypeError, match="nonce"):
        admitted(policy(rules=SIGNS), scp="a", nonce="n")


def test_a_mark_without_values_is_any_text() -> None:
    marked = policy(rules=TokenRules(marker=KindMarker("uid")))
    assert admitted(marked, uid="x", nonce="n")
    others: list[object] = [OMIT, None, "", 5, True, ["x"], {}]
    for uid in others:
        with pytest.raises(TokenTypeError, match="'uid' says"):
            admitted(marked, uid=uid)


@pytest.mark.parametrize("nonce", ["n", "", None, {}])
def test_a_nonce_in_the_header_refuses_where_the_row_says_so(nonce: object) -> None:
    refusing = policy(rules=TokenRules(refuses_header_nonce=True))
    assert admitted(refusing)
    assert admitted(POLICY, {"nonce": nonce})
    with pytest.raises(TokenTypeError, match="nonce in the header") as caught:
        admitted(refusing, {"nonce": nonce})
    assert caught.value.claim == "nonce"


def test_where_only_id_tokens_are_signed_nothing_passes_until_they_are_accepted_by_name() -> None:
    only = TokenRules(id_tokens_only=True)
    with pytest.raises(TokenTypeError, match="accept_id_tokens=True") as caught:
        admitted(policy(rules=only))
    assert caught.value.claim == "aud"
    accepting = policy(rules=only.with_id_tokens())
    assert admitted(accepting, nonce="n", at_hash="h", c_hash="c")
    with pytest.raises(TokenTypeError, match="events"):
        admitted(accepting, events={})
    with pytest.raises(TokenTypeError, match="cnf"):
        admitted(accepting, cnf={})
    assert admitted(policy(rules=SIGNS.with_id_tokens()), nonce="n")


def test_an_issuer_may_have_other_names_and_no_more() -> None:
    google = replace(POLICY, issuer="https://accounts.google.com", other_issuers={"accounts.google.com": None})
    for issuer in ("https://accounts.google.com", "accounts.google.com"):
        assert admitted(google, iss=issuer)
    strangers: list[object] = [
        "accounts.google.com/",
        "http://accounts.google.com",
        "",
        None,
        5,
        ["accounts.google.com"],
        {},
    ]
    for stranger in strangers:
        with pytest.raises(IssuerMismatchError) as caught:
            admitted(google, iss=stranger)
        assert caught.value.claim == "iss"


def test_a_name_for_one_tenant_goes_with_that_tenant_s_id() -> None:
    names = {f"https://login.test/{tenant}/v2.0": ("tid", tenant) for tenant in ("t1", "t2")}
    shared = replace(POLICY, issuer="https://login.test/organizations/v2.0", other_issuers=names)
    assert admitted(shared, iss="https://login.test/t1/v2.0", tid="t1")
    for tid in ("t2", OMIT, None, ["t1"]):
        with pytest.raises(IssuerMismatchError, match="'tid' is not that of the issuer") as caught:
            admitted(shared, iss="https://login.test/t1/v2.0", tid=tid)
        assert caught.value.claim == "tid"
    with pytest.raises(IssuerMismatchError):
        admitted(shared, iss="https://login.test/t3/v2.0", tid="t3")


def test_the_other_names_of_an_issuer_cannot_be_changed_afterwards() -> None:
    names: dict[str, tuple[str, str] | None] = {"accounts.google.com": None}
    fixed = replace(POLICY, other_issuers=names)
    names["evil.example"] = None
    assert "evil.example" not in fixed.other_issuers
    with pytest.raises(TypeError):
        fixed.other_issuers["evil.example"] = None  # type: ignore[index]


KEY = FakeKey.generate("ES256", kid="k")


def keys(**members: object) -> KeySet:
    return parse_key_set(json.dumps({"keys": [{**KEY.public_jwk(), **members}]}).encode())


def verified(key_set: KeySet, rules: TokenRules) -> Policy:
    judge = replace(POLICY, algorithms=frozenset({"ES256"}), rules=rules)
    claims = {"iss": ISSUER, "aud": "agent-api", "sub": "ada", "exp": int(NOW) + 300, "scp": "a"}
    verify(parse_unverified(sign({"alg": "ES256", "kid": "k"}, claims, KEY)), key_set, judge, NOW)
    return judge


ENTRA = PROFILES["entra"].rules


@pytest.mark.parametrize("issuer", [None, ISSUER, "https://login.microsoftonline.com/{tenantid}/v2.0", 5, ["x"]])
def test_a_key_of_the_token_s_own_issuer_of_all_or_of_none_signs_for_it(issuer: object) -> None:
    assert verified(keys(issuer=issuer), ENTRA)


@pytest.mark.parametrize("issuer", ["https://login.microsoftonline.com/other/v2.0", "", ISSUER.rstrip("/")])
def test_a_key_that_names_another_issuer_signs_for_that_alone(issuer: str) -> None:
    with pytest.raises(IssuerMismatchError, match="another issuer's") as caught:
        verified(keys(issuer=issuer), ENTRA)
    assert caught.value.claim == "iss"
    assert verified(keys(issuer=issuer), TokenRules())


def test_a_key_that_is_given_to_another_issuer_is_another_key() -> None:
    [one], [other] = keys(issuer="a").keys, keys(issuer="b").keys
    assert one.fingerprint != other.fingerprint
    assert one.thumbprint == other.thumbprint


def test_what_a_keycloak_token_lacks_is_said_with_the_setting_that_brings_it() -> None:
    rules = policy(rules=PROFILES["keycloak"].rules)
    for jti, told in (("onltro:1", True), ("trltcc:1", True), ("onrtro:1", False)):
        with pytest.raises(AudienceMismatchError, match="audience mapper") as caught:
            admitted(rules, typ="Bearer", jti=jti, aud=OMIT)
        assert ("lightweight.claim" in str(caught.value)) is told
    token = sign(
        {"alg": "RS256"}, {"iss": ISSUER, "aud": "agent-api", "typ": "Bearer", "exp": NOW + 9, "jti": "onltro:1"}, None
    )
    assert admit(parse_unverified(token), rules, NOW)
