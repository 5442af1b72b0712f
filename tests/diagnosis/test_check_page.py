"""docs/check.md says what the commands take, how they end and what their JSON has, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
import typer

from oidcbridge.cli.app import app
from oidcbridge.diagnosis import report
from tests.cli.check_kit import check, serving, token_of
from tests.diagnosis.mistakes import FOR_KEYCLOAK, KEYCLOAK

PAGE = (Path(__file__).parents[2] / "docs" / "check.md").read_text("utf-8")


@pytest.mark.parametrize("after", ["meaning or goes)", "inspect --json``"])
def test_the_page_shows_the_schema_that_the_report_documents(after: str) -> None:
    assert report.__doc__ is not None
    _, _, rest = report.__doc__.partition(f"{after}::\n\n")
    schema, _, _ = rest.partition("\n\nand of")
    assert schema.startswith("    schema     1")
    assert f"```\n{dedent(schema).rstrip()}\n```" in PAGE


def test_the_page_has_every_option_and_no_other() -> None:
    command = typer.main.get_command(app).commands["check"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    told = set(re.findall(r"`(--[a-z-]+)[ `]", PAGE))
    assert told == options - {"--help"}


def test_the_exit_codes_are_those_of_the_help() -> None:
    command = typer.main.get_command(app).commands["check"]  # type: ignore[attr-defined]
    rows = re.findall(r"^\| (\d) \| ([^|]+?) \|", PAGE, re.MULTILINE)
    assert [code for code, _ in rows] == ["0", "1", "2", "3"]
    for code, said in rows:
        assert f"{code} {said.replace(',', '')}" in " ".join(command.help.split())


def test_every_check_that_is_made_is_on_the_page(environment: pytest.MonkeyPatch) -> None:
    with serving(KEYCLOAK) as issuer:
        ran = check(issuer.issuer_url, *FOR_KEYCLOAK, token=token_of(KEYCLOAK))
    made = {one["check"] for part in ("provider", "token") for one in ran.report[part]}
    assert len(made) > 15
    assert [name for name in made if f"`{name}`" not in PAGE] == []
