"""A tool that would take from the model what it should take from the token is named in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.run import RunContext
from agno.team import Team
from agno.tools import Toolkit, tool
from agno.workflow import Step, Workflow

from oidcbridge.agentos.tools import warn_of_fillable_arguments
from oidcbridge.testing import FakeIssuer
from tests.agentos.kit import StubModel, make_os, secure


def as_the_older_pages_write_it(dependencies: dict[str, Any]) -> str:
    """Read what the model chose."""
    return str(dependencies)


def with_state(session_state: dict[str, Any]) -> str:
    """Read what the model chose."""
    return str(session_state)


def as_it_is_right(run_context: RunContext, city: str) -> str:
    """Read what the token says."""
    return f"{run_context.user_id} {city}"


def warnings_of(caplog: pytest.LogCaptureFixture, *components: object) -> list[str]:
    with caplog.at_level(logging.WARNING, "oidcbridge.agentos"):
        warn_of_fillable_arguments(components)
    return [record.getMessage() for record in caplog.records if record.name == "oidcbridge.agentos"]


def agent(name: str, *tools: Any) -> Agent:
    return Agent(id=name, name=name, model=StubModel(), tools=list(tools), telemetry=False)


@pytest.mark.parametrize(
    "given",
    [
        as_the_older_pages_write_it,
        tool(as_the_older_pages_write_it),
        Toolkit(name="kit", tools=[as_the_older_pages_write_it]),
    ],
)
def test_each_kind_of_tool_is_looked_into(caplog: pytest.LogCaptureFixture, given: Any) -> None:
    lines = warnings_of(caplog, agent("a1", given))
    assert len(lines) == 1
    assert lines[0].startswith("the tool 'as_the_older_pages_write_it' of 'a1' declares 'dependencies'")
    assert "run_context" in lines[0]


def test_members_and_steps_are_looked_into_and_nobody_is_named_twice(caplog: pytest.LogCaptureFixture) -> None:
    inner = agent("inner", with_state)
    team = Team(id="t1", name="t1", model=StubModel(), members=[inner], tools=[as_it_is_right], telemetry=False)
    workflow = Workflow(id="w1", name="w1", steps=[Step(name="s1", agent=inner), Step(name="s2", team=team)])
    assert len(warnings_of(caplog, team, workflow)) == 1


def test_a_tool_that_reads_the_run_context_is_none_of_them(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog, agent("a1", as_it_is_right, {"type": "builtin"})) == []


def test_protect_says_it(tmp_path: Path, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "oidcbridge.agentos"):
        secure(make_os(tmp_path, tool=as_the_older_pages_write_it), issuer)
    assert "as_the_older_pages_write_it" in caplog.text
