"""agno's own credentials, service accounts' and the scheduler's: agno verifies them, and a run obeys the same rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from oidcbridge import TokenSource
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.databases import Database
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, run, secure, serving

SCHEDULER = "the-schedulers-own-token"
EVIL = {
    "dependencies": json.dumps({"email": "mallory@example.com"}),
    "session_state": json.dumps({"tier": "evil"}),
    "metadata": json.dumps({"org": "evil"}),
}
NAMED = {"dependencies_claims": ["email"], "session_state_claims": ["tier"], "metadata_claims": ["org"]}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]) -> Probe:
    folder = tmp_path_factory.mktemp("own-credentials")
    return make_os(folder, database=new_database(), internal_service_token=SCHEDULER)


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(probe, issuer, **NAMED)) as client:
        yield client


@pytest.fixture(scope="module")
def robot(client: TestClient, issuer: FakeIssuer) -> str:
    """A service account's token, which may run ``a1``."""
    said = {"name": "robot", "scopes": [{"scope": "agents:a1:run", "effect": "allow"}]}
    made = client.post("/service-accounts", json=said, headers=bearer(issuer, "root", EVERYTHING))
    assert made.status_code == 201
    token: str = made.json()["token"]
    return token


def test_a_service_account_runs_what_its_scopes_say(client: TestClient, probe: Probe, robot: str) -> None:
    assert run(client, "/agents/a1", auth_header(robot)).status_code == 200
    assert probe.last.user_id == "sa:robot"
    denied = run(client, "/agents/a2", auth_header(robot))
    assert (denied.status_code, denied.json()["code"]) == (403, "insufficient_scope")
    unknown = run(client, "/agents/a1", auth_header(robot[:-4] + "AAAA"))
    assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_token")
    assert "www-authenticate" in unknown.headers


def test_only_who_may_makes_one(client: TestClient, issuer: FakeIssuer) -> None:
    said = {"name": "other", "scopes": [{"scope": "agents:run", "effect": "allow"}]}
    assert client.post("/service-accounts", json=said).status_code == 401
    assert client.post("/service-accounts", json=said, headers=bearer(issuer)).status_code == 403


def test_the_scheduler_runs_what_it_was_told_for_whom_it_was_told(client: TestClient, probe: Probe) -> None:
    assert run(client, "/agents/a1", auth_header(SCHEDULER), user_id="ada").status_code == 200
    assert probe.last.user_id == "ada"
    assert run(client, "/agents/a1", auth_header(SCHEDULER + "x"), user_id="ada").status_code == 401
    assert client.delete("/sessions/any", headers=auth_header(SCHEDULER)).status_code == 403


@pytest.mark.parametrize("whose", ["robot", "scheduler"])
def test_neither_supplies_what_only_a_token_may(client: TestClient, probe: Probe, robot: str, whose: str) -> None:
    token = robot if whose == "robot" else SCHEDULER
    assert run(client, "/agents/a1", auth_header(token), **EVIL).status_code == 200
    assert probe.last.dependencies == {"email": None}
    assert probe.last.session_state == {"tier": None}
    assert (probe.last.metadata or {})["org"] is None


def test_a_service_account_runs_workflows_over_the_socket_by_its_scopes(
    client: TestClient, probe: Probe, robot: str, issuer: FakeIssuer
) -> None:
    with client.websocket_connect("/workflows/ws") as socket:
        socket.receive_json()
        socket.send_json({"action": "authenticate", "token": robot})
        assert socket.receive_json()["event"] == "authenticated"
        assert socket.receive_json()["user_id"] == "sa:robot"
        socket.send_json({"action": "start-workflow", "workflow_id": "w1", "message": "hi"})
        assert socket.receive_json()["error"] == "Insufficient permissions to run this workflow"


def test_they_come_in_the_usual_header_also_where_ours_is_in_a_cookie(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path_factory.mktemp("cookies"), internal_service_token=SCHEDULER)
    with serving(secure(probe, issuer, token_source=TokenSource.COOKIE)) as client:
        assert run(client, "/agents/a1", auth_header(SCHEDULER), user_id="ada").status_code == 200
        assert run(client, "/agents/a1", {"Cookie": f"access_token={SCHEDULER}"}).status_code in (401, 403)
        assert run(client, "/agents/a1", bearer(issuer)).status_code == 401
        cookie = {"Cookie": f"access_token={issuer.mint('ada', scope='agents:run')}"}
        assert run(client, "/agents/a1", cookie).status_code == 403
        ours = {"Origin": "http://testserver"}
        assert run(client, "/agents/a1", {**cookie, **ours}).status_code == 200
        assert run(client, "/agents/a1", {**cookie, "Origin": "https://evil.test"}).status_code == 403
