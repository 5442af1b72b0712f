"""A principal is shared between requests: frozen, read-only all the way down, and quiet in logs."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
from pydantic import TypeAdapter

from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import freeze

ADA = Principal(
    user_id="ada",
    scopes=("agents:run",),
    dependencies=freeze({"email": "ada@example.com"}),
    session_state=freeze({"theme": "dark"}),
    name="Ada Lovelace",
    email="lovelace@example.com",
    claims=freeze({"sub": "ada", "address": {"city": "London"}}),
)


def test_a_principal_needs_a_user_id_and_nothing_else() -> None:
    bare = Principal(user_id="ada")
    assert (bare.kind, bare.groups_complete, bare.session_id, bare.tenant) == ("user", True, None, None)
    assert bare.dependencies == bare.session_state == bare.claims == {}
    assert bare.expires_at == 0.0
    assert bare.scopes == bare.roles == bare.groups == bare.permissions == ()
    with pytest.raises(TypeError):
        Principal()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Principal("ada")  # type: ignore[call-arg]


def test_nothing_in_it_can_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ADA.user_id = "root"  # type: ignore[misc]
    for target in (
        ADA.dependencies,
        ADA.session_state,
        ADA.claims,
        ADA.claims["address"],
        Principal(user_id="x").claims,
    ):
        with pytest.raises(TypeError):
            target["admin"] = True  # type: ignore[index]


def test_its_repr_says_who_it_is_and_shows_no_claims() -> None:
    assert "user_id='ada'" in repr(ADA)
    assert "agents:run" in repr(ADA)
    for private in ("ada@example.com", "dark", "Lovelace", "lovelace@example.com", "London", "expires_at"):
        assert private not in repr(ADA)


def test_equal_principals_are_equal_and_may_stand_in_sets_and_as_keys() -> None:
    twin = replace(ADA)
    assert twin == ADA
    assert {ADA, twin, replace(ADA, user_id="bob")} == {ADA, replace(ADA, user_id="bob")}
    assert replace(ADA, claims=freeze({"sub": "bob"})) != ADA


def test_it_can_be_copied_pickled_and_taken_apart() -> None:
    principal = Principal(user_id="ada", scopes=("a",), claims=freeze({"groups": ["x", {"deep": [1]}]}))
    for twin in (copy.deepcopy(principal), pickle.loads(pickle.dumps(principal))):
        assert twin == principal
        with pytest.raises(TypeError):
            twin.claims["groups"] = ()  # type: ignore[index]
    assert dataclasses.asdict(principal)["user_id"] == "ada"


def test_as_dict_is_plain_json_that_may_be_written_into() -> None:
    principal = Principal(user_id="ada", scopes=("a",), claims=freeze({"groups": ["x", {"deep": [1]}]}))
    plain = principal.as_dict()
    assert json.loads(json.dumps(plain))["claims"] == {"groups": ["x", {"deep": [1]}]}
    plain["claims"]["groups"].append("y")
    assert principal.claims["groups"] == ("x", {"deep": (1,)})


CLAIMS = {
    "sub": "ada",
    "scope": "a b",
    "login": "s1",
    "roles": ["x"],
    "email": "ada@example.com",
    "address": {"lines": ["1"]},
}


def unread() -> Principal:
    """A principal as verification makes it: most of it still in the claims."""
    mapping = ClaimMapping(
        session_id=("login",), dependencies={"email": "email", "may": "scopes"}, session_state={"roles": "roles"}
    )
    return Principal.read_by(mapping, copy.deepcopy(CLAIMS), "ada", 5.0)


READ = Principal(
    user_id="ada",
    scopes=("a", "b"),
    roles=("x",),
    email="ada@example.com",
    session_id="s1",
    dependencies={"email": "ada@example.com", "may": ("a", "b")},
    session_state={"roles": ("x",)},
    claims=freeze(CLAIMS),
    expires_at=5.0,
)


def test_what_is_read_late_is_no_other_than_what_is_read_at_once() -> None:
    assert unread() == READ
    assert hash(unread()) == hash(READ)
    assert repr(unread()) == repr(READ)
    assert unread().as_dict() == READ.as_dict()
    assert replace(unread(), user_id="bob") == replace(READ, user_id="bob")
    for twin in (copy.copy(unread()), copy.deepcopy(unread()), pickle.loads(pickle.dumps(unread()))):
        assert twin == READ


def test_what_is_read_late_is_read_once_and_read_only() -> None:
    principal = unread()
    assert principal.claims is principal.claims
    assert principal.scopes is principal.scopes
    for target in (principal.claims, principal.claims["address"], principal.dependencies):
        with pytest.raises(TypeError):
            target["admin"] = True  # type: ignore[index]
    assert principal.claims["address"]["lines"] == ("1",)
    with pytest.raises(FrozenInstanceError):
        principal.roles = ("admin",)  # type: ignore[misc]


FOR_A_REQUEST = {"scopes", "session_id", "dependencies", "session_state"}


def test_what_is_read_for_a_request_is_what_is_read_when_asked_for_and_stays() -> None:
    principal = unread()
    principal.read_for_request()
    assert vars(principal).keys() >= FOR_A_REQUEST
    assert {name: getattr(principal, name) for name in FOR_A_REQUEST} == {
        name: getattr(READ, name) for name in FOR_A_REQUEST
    }
    before = {name: vars(principal)[name] for name in FOR_A_REQUEST}
    principal.read_for_request()
    assert all(vars(principal)[name] is before[name] for name in FOR_A_REQUEST)
    assert principal.dependencies["email"] == "ada@example.com"


def test_what_is_odd_about_what_a_request_is_handed_is_told() -> None:
    told = {}

    class Notices:
        def skipped(self, path: str, value: object) -> None:
            told[path] = value

        def groups_left_out(self) -> None:
            raise AssertionError("nobody asked for groups")

    claims = {"sub": "ada", "scope": 5, "sid": 7}
    principal = Principal.read_by(ClaimMapping(notices=Notices()), claims, "ada", 5.0)
    principal.read_for_request()
    assert (principal.scopes, principal.session_id) == ((), None)
    assert told == {"scope": 5, "sid": 7}


def test_what_nobody_has_to_read_for_a_request_is_left_unread() -> None:
    principal = Principal.read_by(ClaimMapping(), {"sub": "ada", "roles": ["x"]}, "ada", 5.0)
    principal.read_for_request()
    assert not vars(principal).keys() & {"claims", "roles", "name", "kind"}


def test_a_principal_that_somebody_made_has_been_read() -> None:
    before = dict(vars(READ))
    READ.read_for_request()
    assert vars(READ) == before


@pytest.mark.parametrize("principal", [unread(), READ], ids=["unread", "read"])
def test_there_is_no_attribute_but_those_that_are_documented(principal: Principal) -> None:
    assert not hasattr(principal, "role")
    with pytest.raises(AttributeError, match="'Principal' object has no attribute 'is_admin'") as caught:
        principal.is_admin  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("is_admin", principal)


def test_a_mapping_reads_the_fields_of_a_principal_alone() -> None:
    with pytest.raises(AttributeError, match="is_admin"):
        ClaimMapping().read_field("is_admin", {}, READ)


@pytest.mark.parametrize("principal", [unread(), READ], ids=["unread", "read"])
def test_a_response_model_writes_all_of_a_principal(principal: Principal) -> None:
    adapter = TypeAdapter(Principal)
    assert json.loads(adapter.dump_json(adapter.validate_python(principal))) == json.loads(
        json.dumps(principal.as_dict())
    )
    assert adapter.json_schema(mode="serialization") == {"type": "object", "additionalProperties": True}
