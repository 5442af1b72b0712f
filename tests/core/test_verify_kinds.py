"""What a token is for: its type, its kind, its audience and the client that asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from oidcbridge.core.policy import KindMarker, Policy, TokenRules
from oidcbridge.core.token import parse_unverified
from oidcbridge.core.verify import admit
from oidcbridge.errors import AudienceMismatchError, MissingClaimError, TokenTypeError
from oidcbridge.profiles import PROFILES
from oidcbridge.testing import OMIT
from oidcbridge.testing.tokens import merge, sign

NOW = 1_800_000_000.0
ISSUER = "https://id.example.com/"
KEYCLOAK, COGNITO = PROFILES["keycloak"].rules, PROFILES["cognito"].rules
POLICY = Policy(issuer=ISSUER, audiences=frozenset({"agent-api"}), algorithms=frozenset({"RS256"}))
RFC9068 = {"client_id": "agent-ui", "jti": "j1"}


def admitted(policy: Policy, header: dict[str, object] | None = None, /, **claims: object) -> bool:
    good = {"iss": ISSUER, "aud": "agent-api", "sub": "ada", "exp": int(NOW) + 300, "iat": int(NOW)}
    token = sign(merge({"alg": "RS256"}, header), merge(good, claims), None)
    admit(parse_unverified(token), policy, NOW)
    return True


def policy(
    audience: Iterable[str] | None = ("agent-api",), clients: Iterable[str] = (), rules: TokenRules | None = None
) -> Policy:
    audiences = None if audience is None else frozenset(audience)
    return replace(POLICY, audiences=audiences, client_ids=frozenset(clients), rules=rules or TokenRules())


@pytest.mark.parametrize("typ", [OMIT, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/jwt"])
def test_no_type_jwt_and_at_jwt_are_types_of_access_tokens(typ: object) -> None:
    assert admitted(POLICY, {"typ": typ})


@pytest.mark.parametrize(
    "typ",
    [
        *("", "JWS", "JOSE", "ID", "id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt"),
        *(
            "application/okta-internal-at+jwt",
            "at+jwt; v=1",
            " JWT",
            "text/jwt",
            "application/application/jwt",
            "x" * 999,
        ),
    ],
)
def test_any_other_type_is_refused(typ: str) -> None:
    with pytest.raises(TokenTypeError, match="is not that of an access token") as caught:
        admitted(POLICY, {"typ": typ})
    assert caught.value.claim == "typ"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("typ", ["at+jwt", "at+JWT", "application/at+jwt"])
def test_a_strict_policy_takes_at_jwt(typ: str) -> None:
    assert admitted(replace(POLICY, token_type="at+jwt"), {"typ": typ}, **RFC9068)


@pytest.mark.parametrize("typ", [OMIT, "", "JWT", "application/jwt", "x" * 9999])
def test_a_strict_policy_takes_no_other_type(typ: object) -> None:
    with pytest.raises(TokenTypeError, match="at\\+jwt") as caught:
        admitted(replace(POLICY, token_type="at+jwt"), {"typ": typ}, **RFC9068)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["sub", "client_id", "jti", "iss"])
@pytest.mark.parametrize("value", [OMIT, None, "", 5, True, [], ["x"], {}])
def test_a_strict_policy_asks_for_every_claim_of_rfc_9068(name: str, value: object) -> None:
    lax = replace(POLICY, issuer=None)
    if name != "jti" or value in (OMIT, ""):  # one of another type is nowhere accepted
        assert admitted(lax, {"typ": "at+jwt"}, **{**RFC9068, name: value})
    with pytest.raises(MissingClaimError, match=f"'{name}'") as caught:
        admitted(replace(lax, token_type="at+jwt"), {"typ": "at+jwt"}, **{**RFC9068, name: value})
    assert caught.value.claim == name


@pytest.mark.parametrize("value", [None, 5, True, [], ["x"], {}])
def test_a_token_id_is_a_string_or_is_not_there(value: object) -> None:
    assert admitted(POLICY, {}, jti="x")
    assert admitted(POLICY, {}, jti=OMIT)
    with pytest.raises(MissingClaimError, match="'jti' is not a string") as caught:
        admitted(POLICY, {}, jti=value)
    assert caught.value.claim == "jti"


@pytest.mark.parametrize("name", ["aud", "iat"])
def test_a_strict_policy_asks_for_audience_and_time_of_issue_even_where_nothing_else_does(name: str) -> None:
    lax = policy(audience=None, clients=["agent-ui"])
    claims = {**RFC9068, name: OMIT}
    assert admitted(lax, {"typ": "at+jwt"}, **claims)
    with pytest.raises(MissingClaimError, match=f"RFC 9068 requires '{name}'") as caught:
        admitted(replace(lax, token_type="at+jwt"), {"typ": "at+jwt"}, **claims)
    assert caught.value.claim == name
    assert admitted(replace(lax, token_type="at+jwt"), {"typ": "at+jwt"}, **RFC9068)


@pytest.mark.parametrize("name", ["nonce", "at_hash", "c_hash", "events"])
@pytest.mark.parametrize("value", [None, "", "x", 0, {}, {"http://schemas.openid.net/event/backchannel-logout": {}}])
def test_a_claim_of_id_and_logout_tokens_refuses_the_token(name: str, value: object) -> None:
    with pytest.raises(TokenTypeError, match="ID or logout token") as caught:
        admitted(POLICY, **{name: value})
    assert caught.value.claim == name


@pytest.mark.parametrize("typ", ["Bearer", "DPoP"])
def test_keycloaks_own_mark_decides_alone(typ: str) -> None:
    assert admitted(policy(rules=KEYCLOAK), typ=typ)
    assert admitted(policy(rules=KEYCLOAK), typ=typ, nonce="as older versions wrote it", at_hash="x")


@pytest.mark.parametrize(
    "typ",
    [
        *(OMIT, None, "", "ID", "Refresh", "Offline", "Logout", "Serialized-ID", "bearer", "Bearer "),
        *(5, True, [], ["Bearer"], {}, {"Bearer": 1}, [{}]),
    ],
)
def test_any_other_mark_of_keycloak_refuses_the_token(typ: object) -> None:
    with pytest.raises(TokenTypeError, match="'typ' says") as caught:
        admitted(policy(rules=KEYCLOAK), typ=typ)
    assert caught.value.claim == "typ"


@pytest.mark.parametrize("use", [OMIT, None, "id", "refresh", "Access", "", 1, ["access"], {"access": 1}])
def test_cognitos_mark_is_access_and_nothing_else(use: object) -> None:
    rules = policy(audience=None, clients=["agent-ui"], rules=COGNITO)
    assert admitted(rules, aud=OMIT, client_id="agent-ui", token_use="access")
    with pytest.raises(TokenTypeError, match="'token_use' says"):
        admitted(rules, aud=OMIT, client_id="agent-ui", token_use=use)


def test_a_mark_is_escaped_and_cut_in_the_message() -> None:
    with pytest.raises(TokenTypeError) as caught:
        admitted(policy(rules=KEYCLOAK), typ="\r\n" * 2000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("cnf", [None, {}, {"jkt": "x"}, {"x5t#S256": "x"}, "x", []])
@pytest.mark.parametrize("rules", [TokenRules(), KEYCLOAK])
def test_a_token_bound_to_a_senders_key_is_refused_as_a_plain_bearer(cnf: object, rules: TokenRules) -> None:
    assert admitted(policy(rules=rules), typ="Bearer")
    with pytest.raises(TokenTypeError, match="cnf") as caught:
        admitted(policy(rules=rules), typ="Bearer", cnf=cnf)
    assert caught.value.claim == "cnf"


def test_the_message_shows_what_the_token_says_short_and_never_what_is_inside_it() -> None:
    listed = policy(clients=["agent-ui"])
    for azp, shown in (("other", "'other'"), (OMIT, "None"), ("x" * 9999, "'" + "x" * 199)):
        with pytest.raises(AudienceMismatchError, match=f"client {shown} is not in client_ids"):
            admitted(listed, azp=azp)
    with pytest.raises(AudienceMismatchError, match=r"aud \('account', 'b'\) does not name"):
        admitted(POLICY, aud=["account", "b"])
    for typ in ({"secret": "s3cret"}, ["s3cret", {}]):
        with pytest.raises(TokenTypeError, match=r"'typ' says <(dict|list)>") as caught:
            admitted(policy(rules=KEYCLOAK), typ=typ)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("aud", ["agent-api", ["agent-api"], ["account", "agent-api"], ["agent-api"] * 3])
def test_an_audience_that_names_this_api_is_accepted(aud: object) -> None:
    assert admitted(POLICY, aud=aud)


@pytest.mark.parametrize(
    "aud",
    [
        *(OMIT, None, "", [], {}, 5, True, "account", ["account"], "agent-ap", "agent-api/", "agent-api2", "Agent-API"),
        *("agent-api account", " agent-api", "agent-api\0", ["agent-api", 5], ["agent-api", None], [["agent-api"]]),
        *({"agent-api": True}, "*", "agent-*", ["", "account"], "agent", "x" * 9999),
    ],
)
def test_an_audience_that_does_not_name_this_api_is_refused(aud: object) -> None:
    with pytest.raises(AudienceMismatchError, match="audience mapper") as caught:
        admitted(POLICY, aud=aud)
    assert caught.value.claim == "aud"
    assert len(str(caught.value)) < 500


def test_one_of_several_names_of_this_api_is_enough() -> None:
    both = policy(audience=["agent-api", "api://1234"])
    for aud in ("agent-api", "api://1234", ["other", "api://1234"]):
        assert admitted(both, aud=aud)
    with pytest.raises(AudienceMismatchError):
        admitted(both, aud="api://12345")


@pytest.mark.parametrize("aud", [OMIT, None, "account", ["a", "b"], 5, {}])
def test_without_an_audience_rule_the_client_list_decides(aud: object) -> None:
    only_clients = policy(audience=None, clients=["agent-ui"])
    assert admitted(only_clients, aud=aud, azp="agent-ui")
    with pytest.raises(AudienceMismatchError, match="not in client_ids"):
        admitted(only_clients, aud=aud, azp="other")


@pytest.mark.parametrize("name", ["client_id", "azp", "cid", "appid"])
def test_the_client_is_read_where_providers_write_it(name: str) -> None:
    listed = policy(clients=["agent-ui", "agent-svc"])
    assert admitted(listed, **{name: "agent-svc"})
    for other in ("agent", "agent-ui ", "AGENT-UI", "", None, 5, True, ["agent-ui"], {}, {"agent-ui": 1}):
        with pytest.raises(AudienceMismatchError, match="client_ids") as caught:
            admitted(listed, **{name: other})
        assert caught.value.claim == "client_id"


def test_a_token_without_a_client_is_not_on_any_list() -> None:
    assert admitted(policy())
    with pytest.raises(AudienceMismatchError):
        admitted(policy(clients=["agent-ui"]))
    nameless = TokenRules(client_id_claims=())
    with pytest.raises(AudienceMismatchError) as caught:
        admitted(policy(clients=["agent-ui"], rules=nameless), azp="agent-ui")
    assert caught.value.claim == "client_id"


def test_both_client_and_audience_must_hold_where_both_are_ruled() -> None:
    both = policy(clients=["agent-ui"])
    assert admitted(both, azp="agent-ui")
    with pytest.raises(AudienceMismatchError):
        admitted(both, azp="agent-ui", aud="account")
    with pytest.raises(AudienceMismatchError):
        admitted(both, azp="other")


def test_a_cognito_token_may_have_no_audience_and_any_it_has_must_be_ours() -> None:
    claims = {"client_id": "c1", "token_use": "access"}
    nameless, named = policy(None, ["c1"], COGNITO), policy(["https://api.example"], ["c1"], COGNITO)
    assert admitted(nameless, aud=OMIT, **claims)
    assert admitted(named, aud=OMIT, **claims)
    assert admitted(named, aud="https://api.example", **claims)
    others: list[object] = ["https://other.example", None, [], "c1"]
    for aud in others:
        with pytest.raises(AudienceMismatchError, match="does not name"):
            admitted(named, aud=aud, **claims)
        with pytest.raises(AudienceMismatchError, match="pass audience= to accept it") as caught:
            admitted(nameless, aud=aud, **claims)
        assert caught.value.claim == "aud"
    with pytest.raises(AudienceMismatchError, match="client_ids"):
        admitted(nameless, aud=OMIT, client_id="c2", token_use="access")


def test_the_audience_may_stand_in_another_claim_and_aud_then_decides_nothing() -> None:
    elsewhere = policy(rules=TokenRules(audience_claim="for"))
    for named in ("agent-api", ["account", "agent-api"]):
        assert admitted(elsewhere, {}, **{"for": named, "aud": "another-api"})
    for other in (OMIT, None, "", [], 7, True, "account", ["account"], ["agent-api", 5], {"agent-api": True}):
        with pytest.raises(AudienceMismatchError, match=r"^for .* does not name") as caught:
            admitted(elsewhere, {}, **{"for": other, "aud": "agent-api"})
        assert caught.value.claim == "for"


def test_a_profile_may_bring_a_mark_of_its_own() -> None:
    marked = TokenRules(marker=KindMarker("kind", frozenset({"access"})), header_types=frozenset({"acme+jwt"}))
    assert admitted(policy(rules=marked), {"typ": "acme+jwt"}, kind="access")
    with pytest.raises(TokenTypeError):
        admitted(policy(rules=marked), {"typ": "JWT"}, kind="access")
    with pytest.raises(TokenTypeError):
        admitted(policy(rules=marked), {"typ": "acme+jwt"}, kind="id")
