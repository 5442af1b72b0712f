"""What providers' rows need of the mapping: machines, names, permissions, tenants, and what is told of odd claims."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oidcbridge.core.claims import Claims
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.errors import MissingClaimError
from oidcbridge.profiles import PROFILES
from tests.core.test_claims_oddities import Told
from tests.core.test_mapping import GENERIC, KEYCLOAK, principal

MACHINES: list[tuple[str, Claims, bool]] = [
    ("keycloak", {"jti": "trrtcc:1"}, True),
    ("keycloak", {"jti": "trltcc:1"}, True),
    ("keycloak", {"jti": "onrtac:1"}, False),
    ("keycloak", {"jti": "onrtro:1", "client_id": "s", "azp": "s", "preferred_username": "service-account-s"}, False),
    ("keycloak", {"jti": "onrtrt:1", "client_id": "s", "azp": "s", "preferred_username": "service-account-s"}, True),
    ("keycloak", {"jti": "b34080ff", "client_id": "s", "azp": "s", "preferred_username": "service-account-s"}, True),
    ("keycloak", {"client_id": "s", "azp": "s", "preferred_username": "service-account-other"}, False),
    ("keycloak", {"azp": "s", "preferred_username": "service-account-s"}, False),
    ("keycloak", {"jti": 5}, False),
    ("auth0", {"sub": "c@clients", "azp": "c"}, True),
    ("auth0", {"sub": "c@clients", "client_id": "c"}, True),
    ("auth0", {"sub": "c@clients", "azp": "other"}, False),
    ("auth0", {"gty": "client-credentials"}, True),
    ("auth0", {"sub": "auth0|1", "azp": "c"}, False),
    ("cognito", {"client_id": "c"}, True),
    ("cognito", {"username": "alice"}, False),
    ("okta", {"sub": "0oa", "cid": "0oa"}, True),
    ("okta", {"sub": "0oa", "cid": "0oa", "uid": "00u"}, False),
    ("okta", {"sub": "alice", "cid": "0oa"}, False),
    ("okta", {}, False),
    ("entra", {"idtyp": "app", "scp": "x"}, True),
    ("entra", {"idtyp": "user", "roles": ["r"]}, False),
    ("entra", {"roles": ["r"]}, True),
    ("entra", {"roles": ["r"], "scp": "x"}, False),
    ("entra", {"scp": "x"}, False),
    ("google", {"email": "svc@p.iam.gserviceaccount.com"}, True),
    ("google", {"email": "alice@gserviceaccount.com"}, False),
    ("google", {"email": 5}, False),
    ("pingone", {"client_id": "c"}, True),
    ("pingone", {"client_id": "c", "p1.userId": "u"}, False),
    ("pingone", {"client_id": "c", "sub": "u"}, False),
    ("hydra", {"client_id": "c", "sub": "c"}, True),
    ("hydra", {"client_id": "c", "sub": "u"}, False),
]


@pytest.mark.parametrize(("provider", "claims", "machine"), MACHINES)
def test_a_machine_is_told_from_a_user_as_its_provider_tells_them(provider: str, claims: Claims, machine: bool) -> None:
    assert PROFILES[provider].mapping.is_machine(claims) is machine


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_no_row_takes_the_id_of_a_token_for_a_session(name: str) -> None:
    mapping = PROFILES[name].mapping
    assert principal(mapping, sub="ada", jti="j", uti="u", event_id="e", uid="x", oid="o").session_id is None
    assert not {"jti", "uti", "event_id", "uid"} & {*mapping.session_id}


def test_a_roles_path_after_others_counts_where_those_name_none() -> None:
    mapping = replace(GENERIC, roles=("of.{client}.roles", "plain"), own_clients=frozenset({"api"}))
    both = {"of": {"api": {"roles": ["a"]}, "web": {"roles": ["a"]}}, "plain": ["p"]}
    assert principal(mapping, sub="u", **both).roles == ("a", "web:a")
    assert principal(mapping, sub="u", plain=["p"], of={"web": {"roles": []}}).roles == ("p",)
    assert principal(replace(mapping, roles=("one", "two")), sub="u", one=[], two=["t"]).roles == ("t",)


def test_permissions_of_a_machine_may_stand_elsewhere() -> None:
    entra = PROFILES["entra"].mapping
    app = {"oid": "o", "roles": ["Tools.Run"], "azp": "c"}
    assert principal(entra, **app).permissions == ("Tools.Run",)
    assert principal(entra, **app, scp="x").permissions == ()
    assert principal(GENERIC, sub="c", azp="c", roles=["r"]).permissions == ()
    assert principal(GENERIC, sub="c", azp="c", permissions=["p"]).permissions == ("p",)


def test_permissions_are_never_scopes() -> None:
    assert principal(sub="u", permissions=["agents:run"]).scopes == ()


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada Lovelace", "preferred_username": "ada"}, "Ada Lovelace"),
        ({"given_name": "Ada", "family_name": "Lovelace", "preferred_username": "ada"}, "Ada Lovelace"),
        ({"family_name": "Lovelace", "preferred_username": "ada"}, "Lovelace"),
        ({"given_name": 5, "family_name": [], "preferred_username": "ada"}, "ada"),
        ({"preferred_username": ["ada", "x"]}, "ada"),
        ({"preferred_username": ""}, None),
        ({}, None),
    ],
)
def test_a_wanted_name_is_put_together_as_the_provider_has_it(claims: dict[str, object], name: str | None) -> None:
    found = principal(replace(KEYCLOAK, dependencies={"who": "name"}), sub="u", **claims).dependencies
    assert found == ({} if name is None else {"who": name})


def test_a_wanted_email_is_found_where_the_provider_keeps_it() -> None:
    mapping = replace(PROFILES["entra"].mapping, session_state={"mail": "email"})
    assert principal(mapping, sub="u", verified_primary_email=["a@b"]).session_state == {"mail": "a@b"}
    assert principal(mapping, sub="u", email="c@d", verified_primary_email=["a@b"]).session_state == {"mail": "c@d"}
    assert principal(mapping, sub="u", email="", preferred_username="x").session_state == {"mail": ""}


def test_a_lightweight_token_of_keycloak_says_which_setting_makes_it_whole() -> None:
    for jti, told in (("onltro:1", True), ("onltac:1", True), ("onrtro:1", False), ("1", False), (None, False)):
        with pytest.raises(MissingClaimError, match="names no user") as caught:
            principal(KEYCLOAK, **({} if jti is None else {"jti": jti}), azp="ui", username="x", jti2=1)
        assert ("lightweight.claim" in str(caught.value)) is told
    assert principal(KEYCLOAK, jti="onltro:1", sub="ada").user_id == "ada"


def test_another_spelling_of_the_issuer_is_shown_as_the_configured_one() -> None:
    mapping = replace(GENERIC, issuer_spellings={"accounts.google.com": "https://accounts.google.com"})
    assert principal(mapping, sub="u", iss="accounts.google.com").issuer == "https://accounts.google.com"
    assert principal(mapping, sub="u", iss="https://other").issuer == "https://other"
    assert principal(mapping, sub="u").issuer is None


FIELDS = [
    ("session_id", {"sid": 5}, "sid"),
    ("client_id", {"azp": ["x"]}, "azp"),
    ("scopes", {"scope": 5}, "scope"),
    ("roles", {"roles": 7}, "roles"),
    ("groups", {"groups": [{"value": "g"}]}, "groups"),
    ("permissions", {"permissions": True}, "permissions"),
    ("tenant", {"org_id": 5}, "org_id"),
    ("user_id", {"oid": 5}, "oid"),
]


@pytest.mark.parametrize(("field", "claims", "path"), FIELDS)
def test_whoever_wants_to_know_is_told_of_each_claim_of_a_wrong_type(
    field: str, claims: dict[str, Any], path: str
) -> None:
    told = Told()
    mapping = replace(GENERIC, user_id=("oid", "sub"), notices=told)
    getattr(principal(mapping, sub="u", **claims), field)
    assert path in told.paths
    quiet = Told()
    found = principal(replace(mapping, notices=quiet), sub="u", sid="s", azp="c", scope="a", roles=["r"], org_id="o")
    found.as_dict()
    assert (quiet.paths, quiet.groups) == ([], 0)


def test_groups_left_out_are_told_of_when_groups_are_asked_for() -> None:
    for ask in ("groups", "groups_complete"):
        told = Told()
        found = principal(replace(GENERIC, notices=told), sub="u", hasgroups=True)
        assert getattr(found, ask) in ((), False)
        assert told.groups == 1
    told = Told()
    assert principal(replace(GENERIC, notices=told), sub="u", groups=["g"]).groups == ("g",)
    assert told.groups == 0


def test_an_empty_user_id_is_absent_and_nothing_odd() -> None:
    told = Told()
    assert principal(ClaimMapping(user_id=("oid", "sub"), notices=told), oid="", sub="u").user_id == "u"
    assert told.paths == []
