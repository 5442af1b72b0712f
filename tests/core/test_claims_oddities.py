"""Claims of a wrong type are skipped and told of; placeholders within names, and lists of objects."""

from __future__ import annotations

from typing import Any

import pytest

from oidcbridge.core.claims import read_each_client, read_names, read_string


class Told:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.values: list[object] = []
        self.groups = 0

    def skipped(self, path: str, value: object) -> None:
        self.paths.append(path)
        self.values.append(value)

    def groups_left_out(self) -> None:
        self.groups += 1


@pytest.mark.parametrize("value", [5, 1.5, True, [], ["s"], {}, {"s": 1}])
def test_what_is_no_text_is_skipped_and_told_of(value: object) -> None:
    told = Told()
    assert read_string({"oid": value, "sub": "u"}, ("oid", "sub"), told) == "u"
    assert (told.paths, told.values) == (["oid"], [value])
    assert read_string({"oid": value, "sub": "u"}, ("oid", "sub")) == "u"


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_not_there_is_nothing_odd(value: object) -> None:
    told = Told()
    assert read_string({"oid": value}, ("oid", "other"), told) is None
    assert read_names({"scp": value}, ("scp", "other"), told) == ()
    assert told.paths == []


@pytest.mark.parametrize(("value", "names"), [(5, ()), (True, ()), (["a", 5], ("a",)), ([None], ()), ([["a"]], ())])
def test_what_is_no_list_of_names_is_told_of_and_its_names_count_all_the_same(value: object, names: Any) -> None:
    told = Told()
    assert read_names({"roles": value}, ("roles",), told) == names
    assert (told.paths, told.values) == (["roles"], [value])
    assert read_names({"roles": value}, ("roles",)) == names


@pytest.mark.parametrize("value", ["a b", ["a"], ("a",), [], {"a": {}}, {"a": False}])
def test_every_shape_that_names_have_is_nothing_odd(value: object) -> None:
    told = Told()
    read_names({"roles": value}, ("roles",), told)
    assert told.paths == []


ZITADEL = "urn:zitadel:iam:org:project:{client}:roles"


def test_a_placeholder_within_a_name_stands_for_a_part_of_it() -> None:
    role = {"org": "domain"}
    claims = {
        "urn:zitadel:iam:org:project:1:roles": {"reader": role},
        "urn:zitadel:iam:org:project:2:x:roles": {"writer": role},
        "urn:zitadel:iam:org:project:roles": {"none": role},
        "urn:zitadel:iam:org:project::roles": {"none": role},
        "urn:zitadel:iam:org:project:3:role": {"none": role},
        "xurn:zitadel:iam:org:project:4:roles": {"none": role},
    }
    assert dict(read_each_client(claims, ZITADEL)) == {"1": ("reader",), "2:x": ("writer",)}
    assert dict(read_each_client({"roles_of_api": "a b"}, "roles_of_{client}")) == {"api": ("a", "b")}


def test_what_is_odd_at_a_placeholder_is_told_of() -> None:
    told = Told()
    access = {"good": {"roles": ["a"]}, "list": ["b"], "none": {}}
    path = "resource_access.{client}.roles"
    assert dict(read_each_client({"resource_access": access}, path, told)) == {"good": ("a",), "none": ()}
    assert (told.paths, told.values) == ([path], [["b"]])
    assert list(read_each_client({}, path, told)) == []
    assert told.paths == [path]
    assert list(read_each_client({"resource_access": 5}, path, told)) == []
    assert (told.paths, told.values) == ([path, path], [["b"], 5])
    assert dict(read_each_client({"urn:zitadel:iam:org:project:1:roles": 5}, ZITADEL, told)) == {"1": ()}
    assert dict(read_each_client({"flat": {"api": 5}}, "flat.{client}", told)) == {"api": ()}
    assert told.paths == [path, path, ZITADEL, "flat.{client}"]


PERMISSIONS = "authorization.permissions[rsname#scopes]"


def test_a_list_of_objects_is_read_by_a_name_and_its_parts() -> None:
    told = Told()
    listed: list[object] = [
        {"rsid": "1", "rsname": "docs", "scopes": ["read", "write"]},
        {"rsname": "tools"},
        {"rsname": "empty", "scopes": []},
    ]
    claims = {"authorization": {"permissions": listed}}
    assert read_names(claims, (PERMISSIONS,), told) == ("docs#read", "docs#write", "tools", "empty")
    assert told.paths == []
    assert read_names({"p": [{"name": "a"}]}, ("p[name]",)) == ("a",)


@pytest.mark.parametrize("odd", [5, "docs", {"rsid": "1"}, {"rsname": 5}, {"rsname": ""}, None, ["docs"]])
def test_an_object_without_a_name_is_skipped_and_told_of(odd: object) -> None:
    told = Told()
    claims = {"authorization": {"permissions": [odd, {"rsname": "docs"}]}}
    assert read_names(claims, (PERMISSIONS,), told) == ("docs",)
    assert (told.paths, told.values) == ([PERMISSIONS], [[odd, {"rsname": "docs"}]])
    assert read_names(claims, (PERMISSIONS,)) == ("docs",)


@pytest.mark.parametrize("listed", [5, "docs", {"rsname": "docs"}])
def test_where_no_list_is_there_are_no_objects(listed: object) -> None:
    told = Told()
    claims = {"authorization": {"permissions": listed}, "permissions": ["p"]}
    assert read_names(claims, (PERMISSIONS, "permissions"), told) == ("p",)
    assert (told.paths, told.values) == ([PERMISSIONS], [listed])
    assert read_names(claims, (PERMISSIONS,)) == ()
    assert read_names({"permissions": ["p"]}, (PERMISSIONS, "permissions"), told) == ("p",)
    assert told.paths == [PERMISSIONS]


def test_a_claim_whose_name_ends_in_a_bracket_is_an_ordinary_one() -> None:
    assert read_names({"a[b]": ["x"], "a": [{"b": "y"}]}, ("a[b]",)) == ("x",)


def test_the_last_bracket_is_the_one_that_opens_the_members() -> None:
    assert read_names({"a[0]": [{"name": "x"}]}, ("a[0][name]",)) == ("x",)


def test_a_claim_without_a_name_stands_for_no_other() -> None:
    assert read_names({"": [{"roles": "admin"}]}, ("roles",)) == ()
