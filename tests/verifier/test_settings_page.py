"""docs/settings.md says what the library reads from the environment, and nothing else."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from oidcbridge.environment import HTTP_VARIABLES, VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError

ROOT = Path(__file__).parent.parent.parent
#: Of each type in the page, a text that is one; and one that is none, where there is one.
TEXTS = {
    "text": ("x", None),
    "list, by comma": ("x, y", None),
    "a number of seconds": ("1.5", "soon"),
    "a whole number": ("7", "1.5"),
    "true or false": ("True", "yes"),
    "header, cookie or both": ("Both", "query"),
}


def tool() -> ModuleType:
    spec = spec_from_file_location("settings_table", ROOT / "tools" / "settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tables_make_of_it() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert text == tool().page(), "run: python tools/settings_table.py"


def test_the_page_has_a_row_for_each_variable_with_a_type_and_a_meaning() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = re.findall(r"^\| `OIDCBRIDGE_(\w+)` \| ([^|]+) \| [^|]* \| [^|]{10,} \|$", text, re.MULTILINE)
    assert [name.lower() for name, _type in rows] == [*VERIFIER_VARIABLES, *HTTP_VARIABLES]
    assert {kind for _name, kind in rows} == TEXTS.keys()


@pytest.mark.parametrize("name", [*VERIFIER_VARIABLES, *HTTP_VARIABLES])
def test_each_variable_takes_what_the_page_says_and_refuses_what_it_does_not(name: str) -> None:
    variables = {**VERIFIER_VARIABLES, **HTTP_VARIABLES}
    good, bad = TEXTS[variables[name].kind.shape]
    variable = f"OIDCBRIDGE_{name.upper()}"
    assert name in read_environment(variables, {variable: good})
    if bad is not None:
        with pytest.raises(ConfigurationError, match=variables[name].kind.shape):
            read_environment(variables, {variable: bad})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("FALSE", False), (" 0 ", False)])
def test_a_yes_or_a_no_is_written_as_people_write_it(text: str, value: bool) -> None:
    assert read_environment(VERIFIER_VARIABLES, {"OIDCBRIDGE_ACCEPT_ID_TOKENS": text}) == {"accept_id_tokens": value}
