"""A mapping's defaults, what of it may be changed, and what is said of a token that fits none of it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from oidcbridge.core.mapping import ClaimMapping, insecure_unverified_fields, sub_is_client
from oidcbridge.errors import ClaimError, MissingClaimError
from tests.core.test_claims_oddities import Told
from tests.core.test_mapping import GENERIC, KEYCLOAK, principal


def test_the_defaults_are_those_that_the_documentation_promises() -> None:
    assert {item.name: getattr(GENERIC, item.name) for item in fields(GENERIC) if item.init} == {
        "user_id": ("sub",),
        "session_id": ("sid",),
        "scopes": ("scope", "scp"),
        "roles": ("roles",),
        "groups": ("groups",),
        "permissions": ("permissions",),
        "machine_permissions": (),
        "tenant": ("org_id", "tid", "tenant"),
        "client_id": ("client_id", "azp", "cid", "appid"),
        "dependencies": {},
        "session_state": {},
        "name": ("name", "given_name+family_name", "preferred_username", "nickname"),
        "email": ("email",),
        "is_machine": sub_is_client,
        "own_clients": frozenset(),
        "tenants": frozenset(),
        "user_id_prefix": "",
        "issuer_spellings": {},
        "hint": None,
        "notices": None,
    }


def test_a_mapping_is_written_by_name() -> None:
    with pytest.raises(TypeError):
        ClaimMapping(("sub",))  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ClaimMapping(known=())  # type: ignore[call-arg]


def test_who_is_told_is_no_part_of_what_a_mapping_says() -> None:
    told = ClaimMapping(notices=Told())
    assert told == GENERIC
    assert repr(told) == repr(GENERIC)
    assert not [name for name in ("notices", "known", "_reader") if name in repr(told)]
    assert ClaimMapping(roles=("r",)) != GENERIC


@pytest.mark.parametrize("name", ["dependencies", "session_state", "issuer_spellings"])
def test_what_every_principal_reaches_cannot_be_changed_afterwards(name: str) -> None:
    written = {"email": "mail"}
    arguments: dict[str, Any] = {name: written}
    mapping = ClaimMapping(**arguments)
    written["password"] = "password"
    assert getattr(mapping, name) == {"email": "mail"}
    with pytest.raises(TypeError):
        getattr(mapping, name)["password"] = "password"


def test_a_field_that_no_principal_has_is_an_ordinary_missing_attribute() -> None:
    who = principal(sub="ada")
    with pytest.raises(AttributeError, match="'Principal' object has no attribute 'nothing'") as caught:
        GENERIC.read_field("nothing", {}, who)
    assert caught.value.name == "nothing"
    assert caught.value.obj is who


def test_unverified_fields_are_those_that_are_wanted() -> None:
    mapping = ClaimMapping(dependencies={"mail": "email"}, session_state={"theme": "ui.theme"})
    claims = {"sub": "ada", "sid": "s", "email": "ada@example.com", "ui": {"theme": "dark"}}
    assert insecure_unverified_fields(claims, mapping) == (
        "ada",
        "s",
        {"mail": "ada@example.com"},
        {"theme": "dark"},
    )


def test_a_user_id_of_a_wrong_type_is_told_of_with_its_value() -> None:
    told = Told()
    assert principal(ClaimMapping(user_id=("uid", "sub"), notices=told), uid=5, sub="ada").user_id == "ada"
    assert (told.paths, told.values) == (["uid"], [5])


def test_a_refusal_names_the_first_claim_that_was_looked_for() -> None:
    for paths, claim in ((("uid", "sub"), "uid"), ((), "sub")):
        with pytest.raises(MissingClaimError) as missing:
            principal(ClaimMapping(user_id=paths))
        assert missing.value.claim == claim
    for paths, claim in ((("org", "tid"), "org"), ((), "tenant")):
        with pytest.raises(ClaimError) as foreign:
            principal(ClaimMapping(tenant=paths, tenants=frozenset({"acme"})), sub="ada")
        assert foreign.value.claim == claim
    with pytest.raises(ClaimError, match="may not begin with 'client:'") as forged:
        principal(ClaimMapping(user_id=("uid", "sub")), sub="client:agent")
    assert forged.value.claim == "sub"


def test_roles_of_an_odd_client_are_told_of_when_roles_are_asked_for() -> None:
    told = Told()
    who = principal(replace(KEYCLOAK, notices=told), sub="ada", resource_access={"agent-api": 5})
    assert told.paths == []
    assert who.roles == ()
    assert told.values == [5]


def test_groups_that_are_there_are_not_said_to_be_left_out() -> None:
    told = Told()
    mapping = ClaimMapping(notices=told)
    assert principal(mapping, sub="ada", groups=["lab"], hasgroups=True).groups == ("lab",)
    assert told.groups == 0
    assert principal(mapping, sub="ada", hasgroups=True).groups == ()
    assert told.groups == 1


def test_permissions_of_a_machine_of_a_wrong_type_are_told_of_too() -> None:
    told = Told()
    mapping = ClaimMapping(machine_permissions=("roles",), is_machine=lambda _claims: True, notices=told)
    assert principal(mapping, sub="agent", azp="agent", roles=5).permissions == ()
    assert (told.paths, told.values) == (["roles"], [5])


@pytest.mark.parametrize("name", ["scopes", "roles", "groups", "permissions"])
def test_a_wanted_list_is_found_where_the_provider_keeps_it(name: str) -> None:
    arguments: dict[str, Any] = {name: ("https://acme.example/list",), "dependencies": {"wanted": name}}
    who = principal(ClaimMapping(**arguments), **{"sub": "ada", "https://acme.example/list": ["a", "b"]})
    assert who.dependencies == {"wanted": ("a", "b")}
    assert principal(ClaimMapping(**arguments), sub="ada").dependencies == {}


def test_a_wanted_claim_that_is_not_there_is_left_out_and_no_other_stands_for_it() -> None:
    mapping = ClaimMapping(dependencies={"phone": "phone_number", "mail": "email"})
    assert principal(mapping, sub="ada", email="ada@example.com", name="Ada").dependencies == {
        "mail": "ada@example.com"
    }
