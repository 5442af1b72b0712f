"""What a session has stored never stands over the token, whoever wrote it and however late."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.agent.factory import AgentFactory
from agno.db.in_memory import InMemoryDb
from agno.db.sqlite import AsyncSqliteDb, SqliteDb
from agno.job_queue.config import QueueConfig
from agno.os import AgentOS
from agno.os.interfaces.agui import AGUI
from agno.run import RunContext
from agno.session import WorkflowSession
from agno.tools import tool
from fastapi.testclient import TestClient
from starlette.types import Scope

from oidcbridge.agentos.stored_state import claims_standing
from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import SqliteDatabase
from tests.agentos.jwt_kit import behind, having
from tests.agentos.kit import Probe, StubModel, make_os, run, secure, serving
from tests.agentos.test_continued_everywhere import COMPONENTS, NAMED, NEW, OLD, go_on, holder, pausing_os
from tests.agentos.test_injection_everywhere import Durable, wait_for

IRON = {"tier": "iron", "org": {"id": 7}}
NONE = {"tier": None, "org": None}


def written_over(session: Any) -> Any:
    """As a client's PATCH or a run of an older token would leave the session."""
    session.session_data["session_state"] = {"tier": "evil", "org": {"id": 7, "admin": True}, "kept": 1}
    return session


class Busy(SqliteDb):
    """A database in which somebody has always written a moment ago."""

    is_busy = False

    def get_session(self, *arguments: Any, **more: Any) -> Any:
        session = super().get_session(*arguments, **more)
        if session is None or not self.is_busy:
            return session
        super().upsert_session(written_over(session))
        return super().get_session(*arguments, **more)


class BusyAsync(AsyncSqliteDb):
    """The same for agno's other half."""

    is_busy = False

    async def get_session(self, *arguments: Any, **more: Any) -> Any:
        session = await super().get_session(*arguments, **more)
        if session is None or not self.is_busy:
            return session
        await super().upsert_session(written_over(session))
        return await super().get_session(*arguments, **more)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("kind", [Busy, BusyAsync])
def test_what_is_written_between_our_look_and_agnos_reaches_no_tool(
    tmp_path: Path, issuer: FakeIssuer, kind: type[Busy | BusyAsync], component: str
) -> None:
    database = kind(db_file=str(tmp_path / "agents.db"))
    probe = pausing_os(database)
    with serving(secure(probe, issuer, **NAMED)) as client:
        paused = run(client, component, holder(issuer, OLD)).json()
        database.is_busy = True
        assert go_on(client, component, paused, holder(issuer, NEW)).status_code == 200
    assert {json.dumps(seen.session_state) for seen in probe.seen} == {json.dumps({**IRON, "kept": 1})}


@pytest.mark.parametrize("component", COMPONENTS)
def test_sessions_kept_in_memory_are_no_exception(issuer: FakeIssuer, component: str) -> None:
    probe = pausing_os(InMemoryDb())  # type: ignore[no-untyped-call]
    with serving(secure(probe, issuer, **NAMED)) as client:
        paused = run(client, component, holder(issuer, OLD)).json()
        assert go_on(client, component, paused, holder(issuer, NEW)).status_code == 200
    assert probe.last.session_state == IRON


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_that_overwrites_what_is_stored_has_the_claims_too(
    tmp_path: Path, issuer: FakeIssuer, component: str
) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    agent_os = probe.agent_os
    for one in (*(agent_os.agents or ()), *(agent_os.teams or ()), *(agent_os.workflows or ())):
        one.overwrite_db_session_state = True  # type: ignore[union-attr]
    with serving(secure(probe, issuer, **NAMED)) as client:
        paused = run(client, component, holder(issuer, OLD)).json()
        assert go_on(client, component, paused, holder(issuer, NEW)).status_code == 200
    assert probe.last.session_state == IRON


def test_a_component_may_keep_its_sessions_elsewhere_than_its_factory_says(tmp_path: Path, issuer: FakeIssuer) -> None:
    seen: list[dict[str, Any]] = []

    @tool(requires_confirmation=True)
    def whoami(run_context: RunContext) -> str:
        """Say who is calling."""
        state = run_context.session_state or {}
        seen.append({name: state.get(name) for name in ("tier", "org")})
        return "ok"

    ours, others = (SqliteDb(db_file=str(tmp_path / name)) for name in ("ours.db", "others.db"))

    def build(_context: object) -> Agent:
        return Agent(id="a1", name="a1", model=StubModel(), tools=[whoami], db=others, telemetry=False)

    factory = AgentFactory(id="a1", name="a1", db=ours, factory=build)
    probe = Probe(AgentOS(agents=[factory], db=ours, telemetry=False), [])
    with serving(secure(probe, issuer, **NAMED)) as client:
        paused = run(client, "/agents/a1", holder(issuer, OLD)).json()
        assert go_on(client, "/agents/a1", paused, holder(issuer, NEW)).status_code == 200
    assert seen == [IRON]


@pytest.mark.parametrize("component", ["/agents/a1", "/teams/t1", "/workflows/w1"])
def test_a_queued_run_sees_its_own_token_whichever_was_queued_before_it(
    tmp_path: Path, issuer: FakeIssuer, component: str
) -> None:
    probe = make_os(tmp_path, queue=QueueConfig(durable=True, db=Durable()))
    orgs = [{"id": 7, "admin": True}, {"id": 7}, None, {"id": 8}]
    with serving(secure(probe, issuer, **NAMED)) as client:
        for org in orgs:
            headers = holder(issuer, {**OLD, "org": org})
            assert run(client, component, headers, session_id="queued", background="true").status_code == 202
        wait_for(probe.seen, len(orgs))
    assert [seen.session_state["org"] for seen in probe.seen] == orgs


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("who", ["ada", "nobody"])
def test_a_run_continued_through_a_queue_sees_the_token_that_continues_it(
    tmp_path: Path, issuer: FakeIssuer, component: str, who: str
) -> None:
    database = Busy(db_file=str(tmp_path / "agents.db"))
    probe = pausing_os(database, queue=QueueConfig(durable=True, db=Durable()))
    ada = holder(issuer, OLD)
    excluded = [f"{component}/runs/*/continue"] if who == "nobody" else []
    with serving(secure(probe, issuer, **NAMED, excluded_route_paths=excluded)) as client:
        queued = run(client, component, ada, background="true").json()
        paused = when_paused(client, f"{component}/runs/{queued['run_id']}", queued["session_id"], ada)
        database.is_busy = True
        by = {} if who == "nobody" else holder(issuer, NEW)
        answer = go_on(client, component, paused, by, background="true", user_id="ada")
        assert answer.status_code == 202, answer.text
        wait_for(probe.seen, 1)
    assert probe.last.session_state == {**(NONE if who == "nobody" else IRON), "kept": 1}


def when_paused(client: TestClient, path: str, session_id: str, headers: dict[str, str]) -> Any:
    """The run, once it waits for a person."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = client.get(path, params={"session_id": session_id}, headers=headers)
        if found.status_code == 200 and found.json()["status"] == "PAUSED":
            return found.json()
        time.sleep(0.02)
    raise AssertionError(found.text)


def test_the_scheduler_continues_a_run_with_nobodys_claims(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect(), internal_service_token="the-schedulers")
    with serving(secure(probe, issuer, **NAMED)) as client:
        paused = run(client, "/workflows/w1", holder(issuer, OLD)).json()
        scheduler = {"authorization": "Bearer the-schedulers", "x-schedule-owner": "ada"}
        assert go_on(client, "/workflows/w1", paused, scheduler).status_code == 200
    assert probe.last.session_state == NONE


@pytest.mark.parametrize("charset", ["undefined", "punycode", "a\0b"])
def test_a_form_that_cannot_be_read_is_a_bad_request(tmp_path: Path, issuer: FakeIssuer, charset: str) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="session_id"\r\n\r\n\xff\r\n--x--\r\n'
    kind = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    with serving(secure(probe, issuer, **NAMED)) as client:
        headers = {**holder(issuer, NEW), **kind}
        assert client.post("/agents/a1/runs/r/continue", content=form, headers=headers).status_code == 400


EXCLUDED = ["/agents/*", "/teams/*", "/workflows/*", "/sessions*"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_on_public_routes_no_claim_is_supplied_by_anybody(tmp_path: Path, issuer: FakeIssuer, component: str) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    with serving(secure(probe, issuer, **NAMED, excluded_route_paths=EXCLUDED)) as client:
        paused = run(client, component, {}, user_id="mallory").json()  # a public route takes the client's word for it
        patch = {"session_state": {"tier": "evil", "org": {"admin": True}, "kept": 1}}
        path = f"/sessions/{paused['session_id']}?type={COMPONENTS[component]}"
        assert client.patch(path, json=patch).status_code == 200
        assert go_on(client, component, paused, {}).status_code == 200
    assert probe.last.session_state == {**NONE, "kept": 1}


def test_a_public_chat_is_given_none_of_the_clients_claims(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    probe.agent_os.interfaces.append(AGUI(agent=probe.agent_os.agents[0], prefix="/chat"))  # type: ignore[arg-type, index]
    said = {
        "threadId": "t",
        "runId": "r",
        "messages": [{"id": "1", "role": "user", "content": "hi"}],
        "tools": [],
        "state": {"tier": "evil", "kept": 1},
        "context": [{"description": "email", "value": "mallory@example.com"}],
        "forwardedProps": {},
    }
    with serving(secure(probe, issuer, **NAMED, excluded_route_paths=["/chat/agui", "/sessions*"])) as client:
        assert client.post("/chat/agui", json=said).status_code == 200
        assert probe.last.session_state == {**NONE, "kept": 1}
        assert probe.last.dependencies == {"email": None}
        made = {"session_id": "s", "agent_id": "a1", "session_state": {"tier": "evil", "kept": 1}}
        assert client.post("/sessions?type=agent", json=made).json()["session_state"] == {"kept": 1}
        assert client.post("/chat/agui", content=b"{").status_code == 400


def test_a_run_of_somebody_else_that_is_continued_on_a_public_route_stays_as_it_is(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    with serving(secure(probe, issuer, **NAMED, excluded_route_paths=["/agents/*/continue"])) as client:
        paused = run(client, "/agents/a1", holder(issuer, OLD)).json()
        go_on(client, "/agents/a1", paused, {})
        path = f"/sessions/{paused['session_id']}?type=agent"
        stored = client.get(path, headers=holder(issuer, OLD)).json()["session_state"]
    assert probe.seen == []
    assert (stored["tier"], stored["org"]) == (OLD["tier"], OLD["org"])


def test_behind_jwt_middleware_a_continued_run_sees_the_token_that_continues_it(tmp_path: Path) -> None:
    probe = pausing_os(SqliteDatabase(tmp_path / "agents.db").connect())
    arguments = {"session_state_claims": ["tier", "org"], "authorization": True}
    with serving(behind(probe, **arguments)) as client:
        scopes = ("agents:run", "sessions:read", "sessions:write")
        paused = run(client, "/agents/a1", having(*scopes, **OLD)).json()
        assert go_on(client, "/agents/a1", paused, having(*scopes, **NEW)).status_code == 200
    assert probe.last.session_state == IRON


def test_what_no_claim_is_named_for_is_merged_as_agno_merges_it(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    with serving(secure(probe, issuer, **NAMED)) as client:
        for said in ({"settings": {"a": 1}}, {"settings": {"b": 2}}):
            agent = probe.agent_os.agents[0]  # type: ignore[index]
            agent.run("hi", session_id="own", user_id="ada", session_state=said)  # type: ignore[union-attr]
        assert run(client, "/agents/a1", holder(issuer, NEW), session_id="own").status_code == 200
    assert probe.last.session_state == {**IRON, "settings": {"a": 1, "b": 2}}


CONTINUE: Scope = {"type": "http", "method": "POST", "path": "/workflows/w1/runs/r/continue"}
ADA: dict[str, Any] = {"user_id": "ada", "session_state": {"tier": "iron"}}


@pytest.mark.parametrize(
    ("scope", "user_id", "tier"),
    [
        ({**CONTINUE, "state": ADA}, "ada", "iron"),
        ({**CONTINUE, "state": ADA}, "bob", "gold"),
        ({**CONTINUE, "state": ADA}, None, "gold"),
        ({**CONTINUE, "state": {"user_id": None, "session_state": {"tier": None}}}, "ada", None),
        ({**CONTINUE, "method": "GET", "state": ADA}, "ada", "gold"),
        ({**CONTINUE, "path": "/workflows/w1/runs/r/cancel", "state": ADA}, "ada", "gold"),
        ({**CONTINUE, "state": {**ADA, "session_state": None}}, "ada", "gold"),
    ],
)
def test_claims_stand_for_the_request_and_over_the_callers_sessions_alone(
    issuer: FakeIssuer, tmp_path: Path, scope: Scope, user_id: str | None, tier: str | None
) -> None:
    secure(make_os(tmp_path), issuer, **NAMED).build_middleware_stack()
    stored = {"session_id": "s", "user_id": user_id, "session_data": {"session_state": {"tier": "gold", "kept": 1}}}

    def load(read: Callable[[dict[str, Any]], WorkflowSession | None] = WorkflowSession.from_dict) -> Any:
        session = read(stored)
        assert session is not None
        assert session.session_data is not None
        return session.session_data["session_state"]

    with claims_standing(scope):
        assert load() == {"tier": tier, "kept": 1}
        with claims_standing({**CONTINUE, "path": "/chat/agui"}):  # asked by a tool, say, with another token
            assert load() == {"tier": "gold", "kept": 1}
        assert load() == {"tier": tier, "kept": 1}
    assert load() == {"tier": "gold", "kept": 1}
    assert stored["session_data"] == {"session_state": {"tier": "gold", "kept": 1}}
    assert WorkflowSession.from_dict({}) is None
