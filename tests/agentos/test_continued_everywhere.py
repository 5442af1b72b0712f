"""Whichever way a paused run goes on, its tool sees the token that lets it go on: no older one, and not the client."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.os import AgentOS
from agno.run import RunContext
from agno.team import Team
from agno.tools import tool
from agno.workflow import Step, StepInput, StepOutput, Workflow
from fastapi.testclient import TestClient
from httpx2 import Response

from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database, SqliteDatabase
from tests.agentos.kit import EVERYTHING, Probe, Seen, StubModel, bearer, run, secure, serving

NAMED = {"dependencies_claims": ["email"], "session_state_claims": ["tier", "org"], "metadata_claims": ["team"]}
OLD = {"email": "old@example.com", "tier": "gold", "org": {"id": 7, "admin": True}, "team": "red"}
NEW = {"email": "new@example.com", "tier": "iron", "org": {"id": 7}, "team": "blue"}
NOTHING = {"email": None, "tier": None, "org": None, "team": None}
EVIL = {
    "user_id": "mallory",
    "dependencies": json.dumps({"email": "evil", "more": "evil"}),
    "session_state": json.dumps({"tier": "evil", "more": "evil"}),
    "metadata": json.dumps({"team": "evil", "more": "evil"}),
}
COMPONENTS = {"/agents/a1": "agent", "/teams/t1": "team", "/workflows/w1": "workflow"}


def pausing_os(db: Any, **arguments: Any) -> Probe:
    """An AgentOS whose tool waits for a person; its workflow goes on with a step that is a function."""
    seen: list[Seen] = []

    def note(found: RunContext) -> None:
        state = {name: value for name, value in (found.session_state or {}).items() if name in ("tier", "org", "kept")}
        seen.append(Seen(found.user_id, found.session_id, found.dependencies, state, found.metadata))

    @tool(requires_confirmation=True)
    def whoami(run_context: RunContext) -> str:
        """Say who is calling."""
        note(run_context)
        return "ok"

    def last(_step_input: StepInput, run_context: RunContext) -> StepOutput:
        note(run_context)
        return StepOutput(content="done")

    def agent(name: str) -> Agent:
        return Agent(id=name, name=name, model=StubModel(), tools=[whoami], db=db, telemetry=False)

    team = Team(id="t1", name="t1", model=StubModel(), members=[], tools=[whoami], db=db, telemetry=False)
    steps: list[Any] = [Step(name="first", agent=agent("worker")), Step(name="last", executor=last)]  # type: ignore[arg-type]
    workflow = Workflow(id="w1", name="w1", steps=steps, db=db, telemetry=False)
    agent_os = AgentOS(agents=[agent("a1")], teams=[team], workflows=[workflow], db=db, telemetry=False, **arguments)
    return Probe(agent_os, seen)


@pytest.fixture(scope="module")
def probe(new_database: Callable[[], Database]) -> Probe:
    return pausing_os(new_database().connect())


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(probe, issuer, **NAMED)) as client:
        yield client


def holder(issuer: FakeIssuer, claims: dict[str, Any], sub: str = "ada") -> dict[str, str]:
    """The header of a token with ``claims``, those that are None left out."""
    said = {name: value for name, value in claims.items() if value is not None}
    return bearer(issuer, sub, EVERYTHING, claims=said)


def go_on(client: TestClient, component: str, paused: Any, headers: dict[str, str], **form: str) -> Response:
    """Confirm what the run waits for, and send everything along that a client should not."""
    if component == "/workflows/w1":
        steps = paused["step_requirements"]
        for requirement in [one for step in steps for one in step["executor_requirements"]]:
            requirement["confirmation"] = requirement["tool_execution"]["confirmed"] = True
        answers = {"step_requirements": json.dumps(steps)}
    else:
        tools = [{**one, "confirmed": True} for one in paused["tools"]]
        needs = [{**one, "confirmation": True, "tool_execution": tools[0]} for one in paused["requirements"]]
        answers = {"tools": json.dumps(tools)} if component == "/agents/a1" else {"requirements": json.dumps(needs)}
    data = {"session_id": paused["session_id"], "stream": "false", **answers, **EVIL, **form}
    return client.post(f"{component}/runs/{paused['run_id']}/continue", data=data, headers=headers)


def wait(probe: Probe, count: int) -> list[Seen]:
    """What tools have seen since there were ``count`` of them."""
    deadline = time.monotonic() + 20
    while len(probe.seen) <= count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(probe.seen) > count
    return probe.seen[count:]


@pytest.mark.parametrize("claims", [NEW, NOTHING])
@pytest.mark.parametrize("how", [{}, {"stream": "true"}, {"stream": "true", "background": "true"}])
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_continued_run_sees_the_token_that_continues_it(
    client: TestClient, probe: Probe, issuer: FakeIssuer, component: str, how: dict[str, str], claims: dict[str, Any]
) -> None:
    before, now, count = holder(issuer, OLD), holder(issuer, claims), len(probe.seen)
    paused = run(client, component, before).json()
    assert (paused["status"], len(probe.seen)) == ("PAUSED", count)
    patch = {"session_state": {"tier": "evil", "kept": 1}, "metadata": {"team": "evil", "kept": 1}}
    path = f"/sessions/{paused['session_id']}?type={COMPONENTS[component]}"
    assert client.patch(path, json=patch, headers=before).status_code == 200
    answer = go_on(client, component, paused, now, **how)
    if component == "/workflows/w1" and "background" in how:
        assert answer.status_code == 409  # agno's own: it continues those from a durable queue alone
        assert len(probe.seen) == count
        return
    assert answer.status_code == 200
    for seen in wait(probe, count):
        assert (seen.user_id, seen.session_id) == ("ada", paused["session_id"])
        assert seen.session_state == {"tier": claims["tier"], "org": claims["org"], "kept": 1}
        if component == "/workflows/w1":  # agno gives these neither
            assert seen.dependencies is None
            assert seen.metadata in (None, {"kept": 1})
        else:
            assert seen.dependencies == {"email": claims["email"]}
            assert seen.metadata == {"team": claims["team"], "kept": 1}


@pytest.mark.parametrize("form", [{"input": "and now?"}, {"fork": "true", "input": "again"}])
def test_a_run_that_is_taken_up_again_sees_the_token_that_does(
    client: TestClient, probe: Probe, issuer: FakeIssuer, form: dict[str, str]
) -> None:
    paused = run(client, "/agents/a1", holder(issuer, OLD)).json()
    assert go_on(client, "/agents/a1", paused, holder(issuer, OLD)).json()["status"] == "COMPLETED"
    assert probe.last.session_state == {"tier": "gold", "org": {"id": 7, "admin": True}}
    data = {"session_id": paused["session_id"], "stream": "false", **EVIL, **form}
    path = f"/agents/a1/runs/{paused['run_id']}/continue"
    again = client.post(path, data=data, headers=holder(issuer, NEW)).json()
    assert again["status"] == "PAUSED"
    assert go_on(client, "/agents/a1", again, holder(issuer, NEW)).json()["status"] == "COMPLETED"
    assert probe.last.session_state == {"tier": "iron", "org": {"id": 7}}
    assert probe.last.dependencies == {"email": "new@example.com"}


def test_a_fork_of_a_session_takes_no_older_claims_along(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    paused = run(client, "/agents/a1", holder(issuer, OLD)).json()
    assert go_on(client, "/agents/a1", paused, holder(issuer, OLD)).status_code == 200
    path = f"/agents/a1/sessions/{paused['session_id']}/fork"
    forked = client.post(path, json={}, headers=holder(issuer, NEW))
    assert forked.status_code in (200, 201), forked.text
    session = forked.json()["session_id"]
    again = run(client, "/agents/a1", holder(issuer, NEW), session_id=session).json()
    assert go_on(client, "/agents/a1", again, holder(issuer, NEW)).status_code == 200
    assert probe.last.session_id == session != paused["session_id"]
    assert probe.last.session_state == {"tier": "iron", "org": {"id": 7}}


def test_nobody_writes_into_the_session_of_another(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    ada, bob = holder(issuer, OLD), bearer(issuer, "bob", "agents:run sessions:read", tier="evil", org="evil")
    paused, count = run(client, "/agents/a1", ada).json(), len(probe.seen)
    assert go_on(client, "/agents/a1", paused, bob).status_code == 404
    stored = client.get(f"/sessions/{paused['session_id']}?type=agent", headers=ada).json()["session_state"]
    assert (stored["tier"], stored["org"]) == ("gold", {"id": 7, "admin": True})
    assert len(probe.seen) == count
    assert go_on(client, "/agents/a1", paused, ada).status_code == 200


def test_a_body_that_is_no_form_continues_nothing(client: TestClient, issuer: FakeIssuer) -> None:
    headers = {**holder(issuer, NEW), "content-type": "multipart/form-data"}  # and no boundary
    answer = client.post("/agents/a1/runs/r/continue", content=b"--x", headers=headers)
    assert answer.status_code == 400
    answer = client.post("/agents/a1/runs/r/continue", data={}, headers=holder(issuer, NEW))
    assert answer.status_code == 400
    assert "session_id" in answer.text


def test_the_tokens_own_session_is_the_one_that_is_brought_up_to_date(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    with serving(secure(probe, issuer, **NAMED, session_id_claim="chat")) as client:
        paused = run(client, "/agents/a1", holder(issuer, {**OLD, "chat": "mine"}), session_id="other").json()
        answer = go_on(client, "/agents/a1", paused, holder(issuer, {**NEW, "chat": "mine"}), session_id="other")
        assert answer.status_code == 200
    assert probe.last.session_id == "mine"
    assert probe.last.session_state == {"tier": "iron", "org": {"id": 7}}
