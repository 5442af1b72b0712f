"""From verified claims to a principal: who it is, for whom, and with which rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcbridge.core.keys import Key, parse_key_set
from oidcbridge.core.mapping import (
    ClaimMapping,
    insecure_unverified_fields,
    principal_from,
    sub_is_client,
)
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import parse_json
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.errors import ClaimError, MissingClaimError
from oidcbridge.profiles import PROFILES
from oidcbridge.testing import FakeKey

GENERIC = ClaimMapping()
KEYCLOAK = replace(PROFILES["keycloak"].mapping, own_clients=frozenset({"agent-api"}))


@cache
def any_key() -> Key:
    return parse_key_set(json.dumps({"keys": [FakeKey.generate("ES256").public_jwk()]}).encode()).keys[0]


def parsed(claims: Mapping[str, object]) -> Mapping[str, Any]:
    return parse_json(json.dumps(claims).encode())


def principal(mapping: ClaimMapping = GENERIC, /, **claims: object) -> Principal:
    return principal_from(VerifiedToken(parsed(claims), 2_000_000_000.0, 0.0, any_key()), mapping)


def test_the_usual_claims_become_the_fields_of_the_principal() -> None:
    found = principal(
        iss="https://id.example.com/",
        sub="ada",
        sid="session-1",
        scope="agents:read agents:run",
        roles=["analyst"],
        groups=["/acme/lab"],
        permissions=["run:tools"],
        azp="agent-ui",
        org_id="acme",
    )
    assert found == Principal(
        user_id="ada",
        session_id="session-1",
        scopes=("agents:read", "agents:run"),
        roles=("analyst",),
        groups=("/acme/lab",),
        permissions=("run:tools",),
        client_id="agent-ui",
        tenant="acme",
        issuer="https://id.example.com/",
        expires_at=2_000_000_000.0,
        claims=found.claims,
    )
    assert found.claims["sub"] == "ada"


def test_a_bare_token_gives_a_bare_principal() -> None:
    assert principal(sub="ada") == Principal(user_id="ada", expires_at=2e9, claims={"sub": "ada"})


@pytest.mark.parametrize("sub", [None, "", 5, True, [], ["ada"], {}, {"id": "ada"}])
def test_a_token_that_names_no_user_is_refused_with_advice(sub: object) -> None:
    with pytest.raises(MissingClaimError, match="'basic' scope") as caught:
        principal(sub=sub)
    assert caught.value.claim == "sub"
    with pytest.raises(MissingClaimError, match="names no user"):
        principal()
    with pytest.raises(MissingClaimError, match="names no user"):
        principal(replace(GENERIC, user_id=()), sub="ada")


def test_the_first_user_id_that_is_there_counts() -> None:
    mapping = replace(GENERIC, user_id=("oid", "profile.id", "sub"))
    assert principal(mapping, sub="s", oid="o", profile={"id": "p"}).user_id == "o"
    assert principal(mapping, sub="s", oid=5, profile={"id": "p"}).user_id == "p"
    assert principal(mapping, sub="s", oid="", profile={}).user_id == "s"


@pytest.mark.parametrize("verified", [None, False, "true", 1, "yes", [], [True], {}])
@pytest.mark.parametrize("path", ["email", "profile.email", "https://acme.example/email"])
def test_an_email_is_a_user_id_only_where_it_is_verified(path: str, verified: object) -> None:
    mapping = replace(GENERIC, user_id=(path, "sub"))

    def claims(value: object) -> dict[str, object]:
        members = {"email": "ada@example.com", "email_verified": value}
        if path == "profile.email":
            return {"profile": members, "sub": "s", "email_verified": True}
        return {path.replace("email", name): member for name, member in members.items()} | {"sub": "s"}

    assert principal(mapping, **claims(True)).user_id == "ada@example.com"
    with pytest.raises(ClaimError, match="_verified' is not true") as caught:
        principal(mapping, **claims(verified))
    assert caught.value.claim == path


def test_without_an_email_the_next_path_counts() -> None:
    assert principal(replace(GENERIC, user_id=("email", "sub")), sub="s", email_verified=False).user_id == "s"


@pytest.mark.parametrize("client", ["client_id", "azp", "cid", "appid"])
def test_a_subject_that_is_just_the_client_is_a_machine_with_a_name_of_its_own(client: str) -> None:
    found = principal(sub="svc", **{client: "svc"})
    assert (found.kind, found.user_id, found.client_id) == ("machine", "client:svc", "svc")
    user = principal(sub="ada", **{client: "svc"})
    assert (user.kind, user.user_id, user.client_id) == ("user", "ada", "svc")


def test_a_subject_that_is_just_the_client_is_a_machine_wherever_the_client_is_named() -> None:
    mapping = replace(
        GENERIC, client_id=("client.id",), is_machine=lambda claims: claims["sub"] == claims["client"]["id"]
    )
    assert principal(mapping, sub="svc", client={"id": "svc"}).user_id == "client:svc"
    assert principal(mapping, sub="ada", client={"id": "svc"}).user_id == "ada"


def test_the_short_way_is_for_what_most_are_and_for_no_other_settings() -> None:
    assert (GENERIC.plain_user_id, KEYCLOAK.plain_user_id) == ("sub", "sub")
    assert replace(GENERIC, user_id=("uid", "email")).plain_user_id == "uid"
    assert replace(GENERIC, client_id=()).plain_user_id == "sub"
    for paths in ((), ("email",), ("acme.email", "sub")):
        assert replace(GENERIC, user_id=paths).plain_user_id is None
    assert replace(GENERIC, client_id=("azp", "client.id")).plain_user_id is None
    assert replace(GENERIC, tenants=frozenset({"acme"})).plain_user_id is None
    assert replace(GENERIC, user_id_prefix="acme:").plain_user_id is None


NAMES = st.sampled_from(["ada", "svc", "client:svc", "", "ada@example.com", 5, None, True, ["ada"], {"ada": 1}])
CLAIM_NAMES = ("sub", "client_id", "azp", "cid", "appid", "uid", "email", "email_verified", "tid")


@pytest.mark.parametrize(
    "mapping",
    [
        GENERIC,
        KEYCLOAK,
        *(replace(GENERIC, user_id=paths) for paths in [("uid", "sub"), ("email",), ("sub", "email"), ("a.b",)]),
        replace(GENERIC, client_id=()),
        replace(GENERIC, client_id=("azp",)),
        replace(GENERIC, tenants=frozenset({"ada"}), tenant=("tid",)),
        replace(GENERIC, user_id_prefix="acme:"),
    ],
)
@given(claims=st.dictionaries(st.sampled_from(CLAIM_NAMES), NAMES))
def test_the_short_way_to_a_user_id_says_what_the_long_way_says(mapping: ClaimMapping, claims: dict[str, Any]) -> None:
    long_way = replace(mapping)
    object.__setattr__(long_way, "plain_user_id", None)

    def outcome(mapping: ClaimMapping) -> tuple[object, ...]:
        try:
            found = principal(mapping, **claims)
        except ClaimError as error:
            return type(error), str(error), error.claim
        return found.user_id, found.kind, found.expires_at

    assert outcome(mapping) == outcome(long_way)


@pytest.mark.parametrize("sub", [None, 5, [], {}, {"svc": 1}, ["svc"]])
def test_an_odd_subject_is_no_machine(sub: object) -> None:
    assert not sub_is_client(parsed({"sub": sub, "client_id": "svc"}))
    assert not sub_is_client(parsed({"sub": sub}))
    assert not sub_is_client(parsed({}))
    assert sub_is_client(parsed({"sub": "svc", "client_id": "svc"}))


def test_a_machine_without_a_subject_is_known_by_its_client() -> None:
    mapping = replace(GENERIC, is_machine=lambda claims: "sub" not in claims)
    assert principal(mapping, client_id="svc").user_id == "client:svc"
    with pytest.raises(MissingClaimError, match="without a client id") as caught:
        principal(mapping, iss="i")
    assert caught.value.claim == "client_id"


def test_a_machine_with_a_subject_of_its_own_keeps_it() -> None:
    service = {"azp": "svc", "client_id": "svc", "preferred_username": "service-account-svc"}
    found = principal(KEYCLOAK, sub="b4768e19", **service)
    assert (found.kind, found.user_id) == ("machine", "b4768e19")
    auth0 = principal(PROFILES["auth0"].mapping, sub="svc@clients", azp="svc")
    assert (auth0.kind, auth0.user_id) == ("machine", "svc@clients")
    cognito = principal(PROFILES["cognito"].mapping, sub="svc", client_id="svc")
    assert (cognito.kind, cognito.user_id) == ("machine", "client:svc")


def test_a_machine_without_an_email_is_a_machine_even_where_email_is_the_user_id() -> None:
    mapping = replace(KEYCLOAK, user_id=("email",))
    service = {"azp": "svc", "client_id": "svc", "preferred_username": "service-account-svc", "email_verified": False}
    assert principal(mapping, sub="b4768e19", **service).user_id == "client:svc"
    with pytest.raises(ClaimError):
        principal(mapping, sub="b4768e19", **service, email="svc@example.com")


def test_nobody_takes_the_name_of_a_machine() -> None:
    for claims in ({"sub": "client:svc"}, {"sub": "client:"}, {"sub": "client:svc", "client_id": "svc"}):
        with pytest.raises(ClaimError, match="may not begin with 'client:'"):
            principal(**claims)
    claimant = {"sub": "client:other", "azp": "svc", "client_id": "svc", "preferred_username": "service-account-svc"}
    with pytest.raises(ClaimError, match="may not begin with 'client:'"):
        principal(KEYCLOAK, **claimant)
    assert principal(sub="clients:svc").user_id == "clients:svc"
    assert principal(sub="Client:svc").user_id == "Client:svc"


def test_equal_subjects_of_two_issuers_stay_apart() -> None:
    acme, other = (replace(GENERIC, user_id_prefix=f"{name}:") for name in ("acme", "other"))
    assert {principal(mapping, sub="ada").user_id for mapping in (acme, other)} == {"acme:ada", "other:ada"}
    assert principal(acme, sub="svc", azp="svc").user_id == "acme:client:svc"


def test_a_session_id_is_never_made_up() -> None:
    assert principal(sub="ada", jti="per-token", session_state="x").session_id is None
    assert principal(KEYCLOAK, sub="ada", session_state="x").session_id == "x"
    assert principal(sub="ada", sid=["s"]).session_id is None


@pytest.mark.parametrize(
    ("claims", "tenant"),
    [
        ({"org_id": "acme"}, "acme"),
        ({"org_id": "", "tid": "t"}, "t"),
        ({"org_id": 5, "tid": ["one"]}, "one"),
        ({"tenant": {"acme": {}}}, "acme"),
        ({"org_id": "two words"}, "two words"),
        ({"tid": ["one", "two"]}, None),
        ({"tid": ["one", "two"], "tenant": "t"}, None),
        ({"tenant": {"acme": {}, "other": {}}}, None),
        ({"tenant": []}, None),
        ({}, None),
    ],
)
def test_the_tenant_is_the_only_one_that_the_token_names(claims: dict[str, object], tenant: str | None) -> None:
    assert principal(sub="ada", **claims).tenant == tenant


def test_only_tenants_on_the_list_come_in_and_their_users_stay_apart() -> None:
    mapping = replace(GENERIC, tenants=frozenset({"t1", "t2"}))
    assert principal(mapping, sub="ada", tid="t1").user_id == "t1:ada"
    assert principal(mapping, sub="ada", tid="t2").user_id == "t2:ada"
    assert principal(replace(mapping, user_id_prefix="entra:"), sub="ada", tid="t1").user_id == "entra:t1:ada"
    assert principal(GENERIC, sub="ada", tid="t3").user_id == "ada"
    strangers: list[object] = ["t3", "T1", "", None, ["t1", "t2"], {}, 1]
    for tid in strangers:
        with pytest.raises(ClaimError, match="is not among tenants") as caught:
            principal(mapping, sub="ada", tid=tid)
        assert caught.value.claim == "org_id"
    with pytest.raises(ClaimError, match="is not among tenants"):
        principal(replace(mapping, tenant=()), sub="ada", tid="t1")


def test_a_foreign_tenant_is_escaped_and_cut_in_the_message() -> None:
    with pytest.raises(ClaimError) as caught:
        principal(replace(GENERIC, tenants=frozenset({"t1"})), sub="ada", tid="\r\n" * 5000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_roles_of_other_clients_are_told_from_ours() -> None:
    access = {"agent-api": {"roles": ["runner"]}, "account": {"roles": ["admin", "runner"]}, "a.b:c": {"roles": ["x"]}}
    found = principal(KEYCLOAK, sub="ada", realm_access={"roles": ["analyst", "runner"]}, resource_access=access)
    assert found.roles == ("analyst", "runner", "account:admin", "account:runner", "a.b:c:x")
    assert "admin" not in found.roles


def test_without_our_clients_name_no_client_role_is_plain() -> None:
    mapping = replace(KEYCLOAK, own_clients=frozenset())
    found = principal(mapping, sub="ada", resource_access={"agent-api": {"roles": ["runner"]}})
    assert found.roles == ("agent-api:runner",)


@pytest.mark.parametrize(
    "odd", [None, "admin", 5, [], ["admin"], {"roles": {"admin": False}}, {"agent-api": ["admin"]}]
)
def test_roles_of_an_odd_shape_grant_nothing(odd: object) -> None:
    assert principal(KEYCLOAK, sub="ada", realm_access=odd, resource_access=odd).roles == ()


def test_a_role_that_is_switched_off_is_not_granted() -> None:
    assert principal(sub="ada", roles={"admin": False, "editor": True}).roles == ("editor",)


@pytest.mark.parametrize(
    ("claims", "complete"),
    [
        ({"groups": ["g"]}, True),
        ({}, True),
        ({"hasgroups": True}, False),
        ({"hasgroups": "true"}, True),
        ({"hasgroups": False}, True),
        ({"_claim_names": {"groups": "src1"}}, False),
        ({"_claim_names": {"roles": "src1"}}, True),
        ({"_claim_names": ["groups"]}, True),
        ({"_claim_names": "groups"}, True),
    ],
)
def test_groups_left_out_by_the_provider_are_said_to_be(claims: dict[str, object], complete: bool) -> None:
    assert principal(sub="ada", **claims).groups_complete is complete


def test_wanted_claims_are_copied_under_their_names_and_absent_ones_left_out() -> None:
    mapping = replace(
        GENERIC,
        dependencies={"email": "https://ns/email", "city": "address.city", "off": "flag", "none": "missing"},
        session_state={"name": "name", "tags": "tags", "null": "null"},
    )
    found = principal(
        mapping,
        sub="ada",
        **{"https://ns/email": "ada@example.com"},
        address={"city": "London"},
        flag=False,
        name="Ada",
        tags=["a", {"b": ["c"]}],
        null=None,
    )
    assert found.dependencies == {"email": "ada@example.com", "city": "London", "off": False}
    assert found.session_state == {"name": "Ada", "tags": ("a", {"b": ("c",)})}
    for target in (found.dependencies, found.session_state, found.session_state["tags"][1]):
        with pytest.raises(TypeError):
            target["x"] = 1  # type: ignore[index]


def test_roles_and_their_like_are_found_where_the_provider_keeps_them() -> None:
    mapping = replace(KEYCLOAK, dependencies={name: name for name in ("roles", "scopes", "groups", "permissions")})
    found = principal(mapping, sub="ada", realm_access={"roles": ["analyst"]}, scope="a b", groups=["g"])
    assert found.dependencies == {"roles": ("analyst",), "scopes": ("a", "b"), "groups": ("g",)}
    own = principal(mapping, sub="ada", roles="as the token says", realm_access={"roles": ["analyst"]})
    assert own.dependencies["roles"] == "as the token says"


def test_unverified_fields_are_read_without_any_rule_and_hold_no_rights() -> None:
    mapping = replace(KEYCLOAK, user_id=("email", "sub"), dependencies={"name": "name", "roles": "roles"})
    claims = parsed({"email": "a@b", "sid": "s", "name": "Ada", "realm_access": {"roles": ["admin"]}})
    assert insecure_unverified_fields(claims, mapping) == ("a@b", "s", {"name": "Ada"}, {})
    assert insecure_unverified_fields(parsed({}), mapping) == (None, None, {}, {})
