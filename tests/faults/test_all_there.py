"""Every scenario has one test, by its name, and none is skipped. Read from the source, so nothing hides by a filter."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.table import scenario

_HERE = Path(__file__).parent
_WAYS_OUT = frozenset({"skip", "skipif", "importorskip", "xfail"})
_GOOD = '@scenario("A1")\ndef test_a1_tells_a_story(): ...\n@scenario("A2")\nasync def test_a2_too(): ...\n'


def complaints(sources: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What is wrong with these modules, if they are all there is for the scenarios ``expected``."""
    trees = [ast.parse(source) for source in sources]
    tests = [test for tree in trees for test in _scenario_tests(tree)]
    told = [name for name, _ in tests]
    return [
        *(f"{name} has {told.count(name)} tests" for name in expected if told.count(name) != 1),
        *(f"{test} is not named after {name}" for name, test in tests if not test.startswith(f"test_{name.lower()}_")),
        *(f"{way} is used" for tree in trees for way in _ways_out(tree)),
    ]


def _scenario_tests(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(scenario, name of the test), for each one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(func=ast.Name("scenario"), args=[ast.Constant(str(name))]):
                    yield name, node.name


def _ways_out(tree: ast.Module) -> list[str]:
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return sorted(names & _WAYS_OUT)


def test_every_scenario_has_one_test_of_its_name_and_none_is_skipped() -> None:
    sources = [path.read_text("utf-8") for path in sorted(_HERE.glob("test_*.py"))]
    assert complaints(sources, SCENARIOS) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("_a2_", "_a3_"), "test_a3_too is not named after A2"),
        (('"A2"', '"A1"'), "A1 has 2 tests"),
        (('@scenario("A2")', ""), "A2 has 0 tests"),
        (("async def", "@pytest.mark.skipif(True)\nasync def"), "skipif is used"),
    ],
)
def test_what_is_missing_twice_misnamed_or_skipped_is_found(change: tuple[str, str], complaint: str) -> None:
    assert complaints([_GOOD], ["A1", "A2"]) == []
    assert complaint in complaints([_GOOD.replace(*change)], ["A1", "A2"])


def test_there_are_88_scenarios_and_no_other_can_be_marked() -> None:
    assert [int(name[1:]) for name in SCENARIOS] == list(range(1, 89))
    with pytest.raises(ValueError, match="K89"):
        scenario("K89")
