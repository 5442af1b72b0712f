"""An AgentOS for a test: agents, teams and workflows of a model that calls one tool and repeats what it said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agno.agent import Agent
from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse
from agno.os import AgentOS
from agno.run import RunContext
from agno.team import Team
from agno.tools.function import Function
from agno.workflow import Step, Workflow
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from oidcbridge.agentos import protect
from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.databases import Database, SqliteDatabase

EVERYTHING = "agent_os:admin"
RUNS = "agents:run teams:run workflows:run"


@dataclass
class StubModel(Model):
    """Calls the tool ``whoami`` (with ``arguments``), then says what it answered. No network."""

    id: str = "stub"
    name: str | None = "Stub"
    provider: str | None = "Stub"
    arguments: dict[str, Any] = field(default_factory=dict)

    def _next(self, messages: list[Message]) -> ModelResponse:
        if messages[-1].role == "tool":
            return ModelResponse(role="assistant", content=f"TOOL SAID: {messages[-1].content}")
        function = {"name": "whoami", "arguments": json.dumps(self.arguments)}
        return ModelResponse(role="assistant", tool_calls=[{"id": "c1", "type": "function", "function": function}])

    def invoke(self, messages: list[Message], **_: Any) -> ModelResponse:  # type: ignore[override]
        return self._next(messages)

    async def ainvoke(self, messages: list[Message], **_: Any) -> ModelResponse:  # type: ignore[override]
        return self._next(messages)

    def invoke_stream(self, messages: list[Message], **_: Any) -> Iterator[ModelResponse]:  # type: ignore[override]
        yield self._next(messages)

    async def ainvoke_stream(  # type: ignore[override]
        self, messages: list[Message], **_: Any
    ) -> AsyncIterator[ModelResponse]:
        yield self._next(messages)

    def _parse_provider_response(self, response: Any, **_: Any) -> ModelResponse:
        return response  # type: ignore[no-any-return]

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response  # type: ignore[no-any-return]


@dataclass
class Seen:
    """What a tool found in its run context."""

    user_id: str | None
    session_id: str
    dependencies: dict[str, Any] | None
    session_state: dict[str, Any]
    metadata: dict[str, Any] | None


@dataclass
class Probe:
    """An AgentOS whose tool writes down what it is given."""

    agent_os: AgentOS
    seen: list[Seen]

    @property
    def last(self) -> Seen:
        """What the last run's tool found."""
        return self.seen[-1]


def make_os(
    folder: Path,
    *,
    tool: Callable[..., Any] | Function | None = None,
    database: Database | None = None,
    **arguments: Any,
) -> Probe:
    """An AgentOS with the agents ``a1`` and ``a2``, the team ``t1`` and the workflow ``w1``.

    It stands on ``database``, or on SQLite in ``folder``.
    """
    seen: list[Seen] = []

    def whoami(run_context: RunContext) -> str:
        """Say who is calling."""
        state = {
            name: value
            for name, value in (run_context.session_state or {}).items()
            if not name.startswith("current_")  # agno's own
        }
        seen.append(
            Seen(run_context.user_id, run_context.session_id, run_context.dependencies, state, run_context.metadata)
        )
        return f"ok {run_context.user_id}"

    db = (database or SqliteDatabase(folder / "agents.db")).connect()

    def agent(name: str) -> Agent:
        return Agent(id=name, name=name, model=StubModel(), tools=[tool or whoami], db=db, telemetry=False)

    team = Team(
        id="t1", name="t1", model=StubModel(), members=[agent("member")], tools=[whoami], db=db, telemetry=False
    )
    workflow = Workflow(id="w1", name="w1", steps=[Step(name="step", agent=agent("worker"))], db=db, telemetry=False)
    said = {"id": "os1", "agents": [agent("a1"), agent("a2")], "teams": [team], "workflows": [workflow], "db": db}
    return Probe(AgentOS(**{**said, "telemetry": False, **arguments}), seen)


def secure(probe: Probe, issuer: FakeIssuer, **arguments: Any) -> FastAPI:
    """``protect`` with the issuer and its audience; everything else as a user would write it."""
    said: MiddlewareArguments = {"issuer_url": issuer.issuer_url, "audience": issuer.audience}
    return protect(probe.agent_os, **{**said, **arguments})


@contextmanager
def serving(app: FastAPI, **arguments: Any) -> Iterator[TestClient]:
    """A client of the app, which has started."""
    with TestClient(app, **arguments) as client:
        yield client


def bearer(
    issuer: FakeIssuer,
    sub: str = "ada",
    scope: str = RUNS,
    claims: Mapping[str, object] | None = None,
    **more_claims: object,
) -> dict[str, str]:
    """The header of a fresh token."""
    return auth_header(issuer.mint(sub, scope=scope, claims={**(claims or {}), **more_claims}))


def run(client: TestClient, path: str, headers: dict[str, str], **form: str) -> Response:
    """Start a run and wait for its end, unless ``stream`` or ``background`` says otherwise."""
    return client.post(f"{path}/runs", data={"message": "hi", "stream": "false", **form}, headers=headers)
