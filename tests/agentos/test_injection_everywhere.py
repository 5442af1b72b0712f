"""What a tool is given on AgentOS's other ways to start a run, where a client has one more place to write into."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.job_queue.config import QueueConfig
from agno.job_queue.store import InMemoryQueueStore
from agno.models.message import Message
from agno.models.response import ModelResponse
from agno.os import AgentOS
from agno.run import RunContext
from agno.team import Team
from fastapi import WebSocket
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database, SqliteDatabase
from tests.agentos.kit import EVERYTHING, Probe, StubModel, bearer, make_os, run, secure, serving

CLAIMS = {"email": "ada@example.com", "tier": "gold", "org": {"id": 7}}
NAMED = {"dependencies_claims": ["email"], "session_state_claims": ["tier"], "metadata_claims": ["org"]}
EVIL = {
    "user_id": "mallory",
    "dependencies": json.dumps({"email": "evil", "more": "evil"}),
    "session_state": json.dumps({"tier": "evil", "more": "evil"}),
    "metadata": json.dumps({"org": {"id": 0}, "more": "evil"}),
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("everywhere"))


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(probe, issuer, **NAMED)) as client:
        yield client


def wait_for(seen: list[Any], count: int) -> None:
    """Until ``count`` tools have looked."""
    deadline = time.monotonic() + 20
    while len(seen) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(seen) >= count


@pytest.mark.parametrize("claims", [CLAIMS, {}])
def test_a_workflow_that_streams_in_the_background_has_no_metadata_and_all_else_from_the_token(
    client: TestClient, probe: Probe, issuer: FakeIssuer, claims: dict[str, object]
) -> None:
    count = len(probe.seen)
    answer = run(client, "/workflows/w1", bearer(issuer, claims=claims), **EVIL, stream="true", background="true")
    assert answer.status_code == 200
    wait_for(probe.seen, count + 1)
    assert probe.last.user_id == "ada"
    assert probe.last.dependencies == {"email": claims.get("email")}
    assert probe.last.session_state == {"tier": claims.get("tier")}
    assert probe.last.metadata is None


@pytest.mark.parametrize("target", [{"agent_id": "a1"}, {"team_id": "t1"}])
def test_an_evaluation_runs_for_nobody(
    client: TestClient, probe: Probe, issuer: FakeIssuer, target: dict[str, str]
) -> None:
    count = len(probe.seen)
    body = {"eval_type": "reliability", "input": "hi", "expected_tool_calls": ["whoami"], **target}
    sent = {**body, **{name: value if name == "user_id" else json.loads(value) for name, value in EVIL.items()}}
    assert client.post("/eval-runs", json=sent, headers=bearer(issuer, claims=CLAIMS)).status_code == 403
    answer = client.post("/eval-runs", json=sent, headers=bearer(issuer, scope=EVERYTHING, claims=CLAIMS))
    assert answer.status_code == 200, answer.text
    assert len(probe.seen) == count + 1
    assert (probe.last.user_id, probe.last.dependencies, probe.last.metadata) == (None, None, None)
    assert probe.last.session_state == {}


@pytest.mark.parametrize("path", ["/sessions/", "/sessions/slash/"])
def test_a_slash_at_the_end_lets_nothing_more_in(
    client: TestClient, probe: Probe, issuer: FakeIssuer, path: str
) -> None:
    headers = bearer(issuer, scope=f"{EVERYTHING}")
    client.post("/sessions?type=agent", json={"session_id": "slash", "agent_id": "a1"}, headers=headers)
    session = "posted" if path == "/sessions/" else "slash"
    evil = {"session_state": {"tier": "evil", "kept": 1}, "metadata": {"org": {"id": 0}, "kept": 1}}
    send = client.post if path == "/sessions/" else client.patch
    answer = send(f"{path}?type=agent", json={"session_id": session, "agent_id": "a1", **evil}, headers=headers)
    assert answer.status_code in (200, 201)
    assert answer.json()["session_state"] == {"kept": 1}
    assert run(client, "/agents/a1", headers, session_id=session).status_code == 200
    assert probe.last.session_state == {"tier": None, "kept": 1}
    assert probe.last.metadata == {"org": None, "kept": 1}


def test_a_member_of_a_team_is_given_what_its_team_is(tmp_path: Path, issuer: FakeIssuer) -> None:
    @dataclass
    class Leader(StubModel):
        """Hands the task to the member."""

        def _next(self, messages: list[Message]) -> ModelResponse:
            if messages[-1].role == "tool":
                return ModelResponse(role="assistant", content="done")
            said = json.dumps({"member_id": "member", "task": "say who calls"})
            function = {"name": "delegate_task_to_member", "arguments": said}
            return ModelResponse(role="assistant", tool_calls=[{"id": "c1", "type": "function", "function": function}])

    seen: list[RunContext] = []

    def whoami(run_context: RunContext) -> str:
        """Say who is calling."""
        seen.append(run_context)
        return "ok"

    db = SqliteDatabase(tmp_path / "agents.db").connect()
    member = Agent(id="member", name="member", model=StubModel(), tools=[whoami], telemetry=False)
    team = Team(id="t1", name="t1", model=Leader(), members=[member], db=db, telemetry=False)
    agent_os = AgentOS(teams=[team], db=db, telemetry=False)
    with serving(secure(Probe(agent_os, []), issuer, **NAMED)) as client:
        for claims in (CLAIMS, {}):
            assert run(client, "/teams/t1", bearer(issuer, claims=claims), **EVIL).status_code == 200
            assert seen[-1].user_id == "ada"
            assert seen[-1].dependencies == {"email": claims.get("email")}
            assert (seen[-1].session_state or {})["tier"] == claims.get("tier")
            assert (seen[-1].metadata or {})["org"] == claims.get("org")


class Saying:
    """Stands before the app, where agno's company calls the run routes in process with metadata of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"] = {**scope.get("state", {}), "metadata": {"repository": {"commit": "c0ffee"}, "org": "x"}}
        await self.app(scope, receive, send)


@pytest.mark.parametrize(
    ("named", "metadata"),
    [({}, {"org": "x"}), (NAMED, {"org": {"id": 7}})],
)
def test_metadata_that_agno_sets_in_process_stays_where_no_claim_is_named_for_it(
    tmp_path: Path, issuer: FakeIssuer, named: dict[str, Any], metadata: dict[str, Any]
) -> None:
    probe = make_os(tmp_path)
    with TestClient(Saying(secure(probe, issuer, **named))) as client:
        assert run(client, "/agents/a1", bearer(issuer, claims=CLAIMS), **EVIL).status_code == 200
    assert probe.last.metadata == {"repository": {"commit": "c0ffee"}, **metadata}


class Durable(InMemoryQueueStore):
    """A queue that, like PostgreSQL and Redis, keeps a job as JSON."""

    async def enqueue_job(self, job: dict[str, Any], max_depth: int = 0) -> dict[str, Any]:
        queued: dict[str, Any] = await super().enqueue_job(json.loads(json.dumps(job)), max_depth)
        return queued


@pytest.mark.parametrize("component", ["/agents/a1", "/teams/t1", "/workflows/w1"])
def test_over_a_durable_queue_a_run_sees_its_token_alone(tmp_path: Path, issuer: FakeIssuer, component: str) -> None:
    probe = make_os(tmp_path, queue=QueueConfig(durable=True, db=Durable()))
    named = {**NAMED, "session_state_claims": ["tier", "org"]}
    with serving(secure(probe, issuer, **named)) as client:
        for count, org in enumerate(({"id": 7, "admin": True}, {"id": 7}, None)):
            headers = bearer(issuer, claims={"email": "ada@example.com", **({"org": org} if org else {})})
            answer = run(client, component, headers, session_id="queued", **EVIL, background="true")
            assert answer.status_code == 202
            wait_for(probe.seen, count + 1)
            assert probe.last.user_id == "ada"
            assert probe.last.dependencies == {"email": "ada@example.com"}
            assert probe.last.session_state == {"tier": None, "org": org}
            assert probe.last.metadata == {"org": org}


def test_whom_the_directory_has_switched_off_opens_no_socket(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    app = secure(make_os(tmp_path, database=new_database(), user_directory=True), issuer)

    @app.websocket("/mine")
    async def mine(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.user_id)
        await socket.close()

    admin, ada = bearer(issuer, "root", EVERYTHING), bearer(issuer, "ada", "openid")
    with serving(app) as client:
        client.get("/agents", headers=ada)  # and the directory knows her
        for disabled in (False, True, False):
            assert client.patch("/users/ada", json={"disabled": disabled}, headers=admin).status_code == 200
            if disabled:
                with pytest.raises(WebSocketDisconnect), client.websocket_connect("/mine", headers=ada):
                    pytest.fail("she was let in")
            else:
                with client.websocket_connect("/mine", headers=ada) as socket:
                    assert socket.receive_text() == "ada"
