"""Every rule has a test of its refusal and one of the good twin, and each of them is there under that name."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.attacks.families import Family
from tests.attacks.rules.claims import CLAIMS
from tests.attacks.rules.http import HTTP
from tests.attacks.rules.keys import KEYS
from tests.attacks.rules.rule import Rule
from tests.attacks.rules.shape import TOKENS

RULES = TOKENS | KEYS | CLAIMS | HTTP
TESTS = Path(__file__).parents[1]
WAYS_OUT = frozenset({"skip", "skipif", "xfail", "importorskip"})


@cache
def named_in(path: Path) -> Mapping[str, frozenset[str]]:
    """The tests of a module, each with the words of its decorators."""
    if not path.is_file():
        return {}
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {
        function.name: frozenset(
            word.attr for mark in function.decorator_list for word in ast.walk(mark) if isinstance(word, ast.Attribute)
        )
        for function in functions
        if function.name.startswith("test_")
    }


def complaints(rules: Mapping[str, Rule], families: Mapping[str, Family]) -> Iterator[str]:
    for number, rule in rules.items():
        for what, places in {"refusal": rule.refused, "twin": rule.twins}.items():
            if not places:
                yield f"{number} has no test of the {what}"
            for place in places:
                yield from (f"{number}, {what}: {wrong}" for wrong in wrong_with(place, what, families))


def wrong_with(place: str, what: str, families: Mapping[str, Family]) -> Iterator[str]:
    module, is_test, name = place.partition("::")
    if is_test:
        found = named_in(TESTS / module)
        if name not in found:
            yield f"there is no {place}"
        elif not WAYS_OUT.isdisjoint(found[name]):
            yield f"{place} may be left out"
        return
    family, _, beginning = place.partition(": ")
    made = families.get(family, Family((), ()))
    tokens = made.attacks if what == "refusal" else made.twins
    if not any(token.name.startswith(beginning) for token in tokens):
        yield f"there is no token {place!r}"


def test_every_rule_is_there_once_and_in_order() -> None:
    assert list(RULES) == [f"R{number}" for number in (*range(1, 43), 75, 76)]
    assert all(rule.says for rule in RULES.values())


def test_every_rule_has_its_refusal_and_its_twin_and_both_are_there(families: dict[str, Family]) -> None:
    assert list(complaints(RULES, families)) == []


GOOD = Rule("x", ("core/test_token.py::test_a_kid_is_opaque_text", "claims: iss "), ("headers: no kid",))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (GOOD._replace(twins=()), "R0 has no test of the twin"),
        (GOOD._replace(refused=("core/test_token.py::test_renamed",)), "there is no core/test_token.py::test_renamed"),
        (GOOD._replace(refused=("core/test_moved.py::test_x",)), "there is no core/test_moved.py::test_x"),
        (GOOD._replace(refused=("claims: no such",)), "there is no token 'claims: no such'"),
        (GOOD._replace(refused=("headers: no kid",)), "there is no token 'headers: no kid'"),
        (GOOD._replace(twins=("no family: x",)), "there is no token 'no family: x'"),
    ],
)
def test_what_is_missing_renamed_or_of_the_other_kind_is_found(
    families: dict[str, Family], rule: Rule, says: str
) -> None:
    assert list(complaints({"R0": GOOD}, families)) == []
    assert any(says in complaint for complaint in complaints({"R0": rule}, families))
