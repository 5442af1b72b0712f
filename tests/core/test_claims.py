"""Claims are read by paths that survive dots, colons and URLs; a claim of a wrong type reads as absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from oidcbridge.core.claims import as_names, read_audience, read_each_client, read_names, read_path, read_string
from oidcbridge.core.strict_json import parse_json_object


def claims(**members: object) -> Mapping[str, Any]:
    """Claims as a token brings them: frozen."""
    return parse_json_object(json.dumps(members).encode())


KEYCLOAK = claims(
    sub="u1",
    realm_access={"roles": ["analyst"]},
    resource_access={
        "agent-api": {"roles": ["runner", "writer"]},
        "my.dotted.client": {"roles": ["reader"]},
        "https://api.example/": {"roles": ["owner"]},
        "a:b": {"roles": ["c"]},
        "": {"roles": ["nameless"]},
        "{client}": {"roles": ["braces"]},
        "odd": {"roles": "one two"},
        "empty": {},
        "broken": ["admin"],
        "null": None,
    },
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sub", "u1"),
        ("realm_access.roles", ("analyst",)),
        ("resource_access.agent-api.roles", ("runner", "writer")),
        ("resource_access.my.dotted.client.roles", ("reader",)),
        ("resource_access.https://api.example/.roles", ("owner",)),
        ("resource_access..roles", ("nameless",)),
        ("realm_access", {"roles": ("analyst",)}),
        ("nothing", None),
        ("sub.more", None),
        ("realm_access.roles.0", None),
        ("resource_access.null.roles", None),
        ("resource_access.my.dotted", None),
        ("realm_access.", None),
        (".sub", None),
        ("", None),
        (".", None),
        ("__proto__.roles", None),
        ("__class__", None),
        ("realm_access.__class__", None),
        ("realm_access.keys", None),
    ],
)
def test_a_path_leads_to_its_claim_or_to_nothing(path: str, value: object) -> None:
    assert read_path(KEYCLOAK, path) == value


@pytest.mark.parametrize(
    ("members", "value"),
    [
        ({"a.b": 1, "a": {"b": 2}}, 1),
        ({"a": {"b": 2}}, 2),
        ({"a.b": None, "a": {"b": 2}}, None),
        ({"a": {"b": None}}, None),
        ({"a": {"b": False}}, False),
        ({"a": {"b": 0}}, 0),
    ],
)
def test_the_longest_name_that_exists_wins(members: dict[str, object], value: object) -> None:
    assert read_path(claims(**members), "a.b") is value


def test_a_longer_name_that_leads_nowhere_gives_way_to_a_shorter_one() -> None:
    assert read_path(claims(**{"a.b": {"x": 1}, "a": {"b": {"c": 2}}}), "a.b.c") == 2
    assert read_path(claims(a={"b.c": {"d": 3}, "b": {"c": {"e": 4}}}), "a.b.c.e") == 4
    assert read_path(claims(a={"b.c": {"d": 3}, "b": {"c": {"e": 4}}}), "a.b.c.d") == 3


def test_names_of_providers_with_colons_and_urls_are_ordinary_names() -> None:
    token = claims(**{"cognito:groups": ["g"], "https://acme.example/roles": ["r"], "urn:a.b:roles": {"x": {}}})
    assert read_path(token, "cognito:groups") == ("g",)
    assert read_path(token, "https://acme.example/roles") == ("r",)
    assert read_names(token, ("urn:a.b:roles",)) == ("x",)


def test_names_that_are_special_in_other_languages_are_not_here() -> None:
    token = claims(__proto__={"admin": True}, constructor={"name": "x"}, __class__="y")
    assert read_path(token, "__proto__.admin") is True
    assert read_path(token, "constructor.name") == "x"
    assert read_path(token, "__class__") == "y"


@pytest.mark.parametrize("odd", [None, "", 0, 5, 1.5, True, [], ["u1"], {}, {"sub": "u1"}])
def test_a_string_is_the_first_that_is_one_and_not_empty(odd: object) -> None:
    assert read_string(claims(oid=odd, sub="u1"), ("oid", "sub")) == "u1"
    assert read_string(claims(oid=odd), ("oid", "sub")) is None
    assert read_string(claims(oid="o", sub="u1"), ("oid", "sub")) == "o"
    assert read_string(claims(sub="u1"), ()) is None


def test_a_string_may_stand_at_the_end_of_a_path() -> None:
    token = claims(ext={"user.id": "u1", "empty": ""}, sub="u2")
    for path in ("ext.user.id", "ext.empty", "ext.nothing", "nothing.id"):
        assert read_string(token, (path, "sub")) == ("u1" if path == "ext.user.id" else "u2")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("openid email", ("openid", "email")),
        ("  openid   email ", ("openid", "email")),
        ("one", ("one",)),
        ("", ()),
        (" ", ()),
        ("a\tb", ("a\tb",)),
        ("read\u00a0admin", ("read\u00a0admin",)),
        ("read\nadmin\u2003x\x1cy", ("read\nadmin\u2003x\x1cy",)),
        (["a", "b c", "a"], ("a", "b c", "a")),
        (["a", "", None, 1, True, ["admin"], {"admin": {}}], ("a",)),
        (["a", "", "b"], ("a", "b")),
        ([], ()),
        ({"admin": {"orgid": "acme"}, "reader": {}}, ("admin", "reader")),
        ({"admin": True, "reader": False, "writer": None, "": {}}, ("admin",)),
        ({"admin": 0, "owner": 1, "reader": "no", "writer": [], "editor": "true"}, ()),
        ({}, ()),
        (None, ()),
        (5, ()),
        (1.5, ()),
        (True, ()),
    ],
)
def test_names_come_from_words_lists_and_objects(value: object, names: tuple[str, ...]) -> None:
    assert as_names(claims(value=value)["value"]) == names
    assert as_names(value) == names
    assert read_names(claims(value=value), ("value",)) == names


def test_the_first_path_with_names_wins_and_an_empty_one_gives_way() -> None:
    assert read_names(claims(scope="a b", scp=["c"]), ("scope", "scp")) == ("a", "b")
    nothing: list[object] = ["", [], {}, None, 7, [None]]
    for empty in nothing:
        assert read_names(claims(scope=empty, scp=["c"]), ("scope", "scp")) == ("c",)
    assert read_names(claims(other="a"), ("scope", "scp")) == ()
    assert read_names(claims(scope="a"), ()) == ()


def test_the_client_placeholder_stands_for_every_client() -> None:
    assert dict(read_each_client(KEYCLOAK, "resource_access.{client}.roles")) == {
        "agent-api": ("runner", "writer"),
        "my.dotted.client": ("reader",),
        "https://api.example/": ("owner",),
        "a:b": ("c",),
        "": ("nameless",),
        "{client}": ("braces",),
        "odd": ("one", "two"),
        "empty": (),
    }


def test_the_client_placeholder_may_stand_last_or_lead_through_several_names() -> None:
    token = claims(access={"deep": {"api": {"x": {"roles": ["r"]}}}}, flat={"api": ["a"], "web": "b c", "odd": 5})
    assert dict(read_each_client(token, "flat.{client}")) == {"api": ("a",), "web": ("b", "c"), "odd": ()}
    assert dict(read_each_client(token, "access.deep.{client}.x.roles")) == {"api": ("r",)}


def test_only_the_first_client_placeholder_is_one() -> None:
    token = claims(access={"api": {"{client}": ["r"]}})
    assert dict(read_each_client(token, "access.{client}.{client}")) == {"api": ("r",)}


@pytest.mark.parametrize("access", [None, "text", 5, [], ["agent-api"], True])
def test_the_client_placeholder_leads_nowhere_in_a_claim_of_another_type(access: object) -> None:
    assert list(read_each_client(claims(resource_access=access), "resource_access.{client}.roles")) == []
    assert list(read_each_client(claims(), "resource_access.{client}.roles")) == []


@pytest.mark.parametrize(
    ("aud", "audience"),
    [
        ("agent-api", ("agent-api",)),
        ("agent-api account", ("agent-api account",)),
        (["agent-api", "account"], ("agent-api", "account")),
        ([], ()),
        ("", ("",)),
        (None, ()),
        (5, ()),
        (True, ()),
        ({"agent-api": True}, ()),
        (["agent-api", 5], ()),
        (["agent-api", None], ()),
        (["agent-api", ["account"]], ()),
    ],
)
def test_an_audience_is_a_string_or_a_list_of_strings(aud: object, audience: tuple[str, ...]) -> None:
    assert read_audience(claims(aud=aud)) == audience
    assert read_audience({"aud": aud}) == audience


def test_no_audience_is_an_empty_one() -> None:
    assert read_audience(claims()) == ()
