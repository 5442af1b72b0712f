"""What recurs in an issuer's tokens is kept once, and no token ever gets a value of another one."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from oidcbridge.core.alike import Alike
from oidcbridge.core.strict_json import freeze, parse_json


def claims_of(**members: Any) -> dict[str, Any]:
    return parse_json(json.dumps(members).encode())


def test_names_and_values_that_recur_are_one_object() -> None:
    alike = Alike()
    said: dict[str, Any] = {"iss": "https://idp.test", "aud": ["api", "account"], "realm_access": {"roles": ["user"]}}
    first, second = (alike.freeze(claims_of(**said, sub=sub)) for sub in ("ada", "bob"))
    for name in said:
        assert first[name] is second[name]
    assert {id(name) for name in first} == {id(name) for name in second}
    assert (first["sub"], second["sub"]) == ("ada", "bob")


def test_what_it_gives_is_what_the_token_says_read_only() -> None:
    alike = Alike()
    for sub, roles in (("ada", ["a", ["b"]]), ("bob", ["a"]), ("ada", ["a", ["b"]]), ("bob", [])):
        claims = claims_of(sub=sub, nested={"roles": roles}, count=1, none=None)
        frozen = alike.freeze(claims)
        assert frozen == freeze(claims)
        assert type(frozen["nested"]["roles"]) is tuple
        with pytest.raises(TypeError):
            frozen["nested"]["roles"] = ()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (True, 1),
        (1, True),
        (0, False),
        (1, 1.0),
        ([1], [True]),
        ({"a": 1}, {"a": True}),
        ({"a": ["b", 1.0]}, {"a": ["b", 1]}),
    ],
)
def test_values_that_python_calls_equal_but_json_does_not_are_never_exchanged(before: Any, now: Any) -> None:
    alike = Alike()
    alike.freeze(claims_of(admin=before))
    frozen = alike.freeze(claims_of(admin=now))
    assert json.dumps(now) == json.dumps(dict(frozen)["admin"], default=dict)


def test_made_up_names_cannot_fill_the_memory() -> None:
    alike = Alike()
    size = sys.getsizeof(alike._seen)
    for number in range(10_000):
        assert alike.freeze({f"claim {number}": "x"}) == {f"claim {number}": "x"}
        assert len(alike._seen) <= 64
    assert sys.getsizeof(alike._seen) < size + 8_192
    first, second = (alike.freeze(claims_of(iss="https://idp.test")) for _ in range(2))
    assert first["iss"] is second["iss"]


def test_a_token_of_64_claims_is_one_with_the_next_in_all_of_them() -> None:
    alike = Alike()
    said = {f"claim {number}": f"value {number}" for number in range(64)}
    first, second = (alike.freeze(claims_of(**said)) for _ in range(2))
    assert all(first[name] is second[name] for name in said)
