"""What a tool finds in its run context comes from the token, whatever the client sends and whether a claim is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agno.run import RunContext
from fastapi import Request
from fastapi.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database
from tests.agentos.kit import EVERYTHING, Probe, Seen, bearer, make_os, run, secure, serving

CLAIMS = {"email": "ada@example.com", "teams": ["red", "blue"], "tier": "gold", "org": {"id": 7}}
EVIL = {
    "user_id": "mallory",
    "dependencies": json.dumps({"email": "mallory@example.com", "teams": ["admins"], "extra": "evil"}),
    "session_state": json.dumps({"tier": "evil", "extra": "evil"}),
    "metadata": json.dumps({"org": {"id": 0, "is_admin": True}, "extra": "evil"}),
}
NAMED = {
    "dependencies_claims": ["email", "teams"],
    "session_state_claims": ["tier"],
    "metadata_claims": {"org": "org"},
}
COMPONENTS = ["/agents/a1", "/teams/t1", "/workflows/w1"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], Database]) -> Probe:
    return make_os(tmp_path_factory.mktemp("injection"), database=new_database())


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    with serving(secure(probe, issuer, **NAMED)) as client:
        yield client


def wait_for(probe: Probe, count: int) -> Seen:
    """What the run that was started in the background has seen."""
    deadline = time.monotonic() + 20
    while len(probe.seen) <= count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(probe.seen) > count
    return probe.last


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize(
    "how", [{}, {"stream": "true"}, {"background": "true"}, {"background": "true", "stream": "true"}]
)
def test_a_run_sees_the_tokens_claims_and_nothing_that_the_client_sent_for_them(
    client: TestClient, probe: Probe, issuer: FakeIssuer, component: str, how: dict[str, str]
) -> None:
    count = len(probe.seen)
    answer = run(client, component, bearer(issuer, claims=CLAIMS), **EVIL, **how)
    assert answer.status_code in (200, 202)
    seen = wait_for(probe, count)
    assert seen.user_id == "ada"
    assert seen.dependencies == {"email": "ada@example.com", "teams": ["red", "blue"]}
    assert seen.session_state == {"tier": "gold"}
    if component == "/workflows/w1" and len(how) == 2:
        assert seen.metadata in (
            None,
            {"org": {"id": 7}},
        )  # agno gives none to a workflow that streams in the background
    else:
        assert seen.metadata is not None
        assert seen.metadata["org"] == {"id": 7}
        assert "extra" not in seen.metadata


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_claim_that_the_token_lacks_is_none_and_not_the_clients(
    client: TestClient, probe: Probe, issuer: FakeIssuer, component: str
) -> None:
    assert run(client, component, bearer(issuer), **EVIL).status_code == 200
    assert probe.last.dependencies == {"email": None, "teams": None}
    assert probe.last.session_state == {"tier": None}
    assert (probe.last.metadata or {})["org"] is None


def test_a_session_that_the_client_made_or_patched_supplies_nothing(
    client: TestClient, probe: Probe, issuer: FakeIssuer
) -> None:
    scope = "agents:run sessions:read sessions:write"
    headers = bearer(issuer, scope=scope)
    evil = {"session_state": {"tier": "evil", "kept": 1}, "metadata": {"org": {"is_admin": True}, "kept": 1}}
    made = client.post("/sessions?type=agent", json={"session_id": "made", "agent_id": "a1", **evil}, headers=headers)
    assert made.status_code == 201
    assert made.json()["session_state"] == {"kept": 1}
    assert run(client, "/agents/a1", headers, session_id="made").status_code == 200
    assert probe.last.session_state == {"tier": None, "kept": 1}
    patched = client.patch("/sessions/made?type=agent", json=evil, headers=headers)
    assert patched.status_code == 200
    assert "tier" not in client.get("/sessions/made?type=agent", headers=headers).json()["session_state"]
    assert run(client, "/agents/a1", bearer(issuer, scope=scope, claims=CLAIMS), session_id="made").status_code == 200
    assert probe.last.session_state == {"tier": "gold", "kept": 1}
    assert probe.last.metadata == {"org": {"id": 7}, "kept": 1}


def test_a_session_body_that_cannot_be_read_is_refused(client: TestClient, issuer: FakeIssuer) -> None:
    headers = {**bearer(issuer, scope=EVERYTHING), "Content-Type": "application/json"}
    assert client.post("/sessions", content=b'{"session_state": {"tier": "evil"}', headers=headers).status_code == 400
    assert client.post("/sessions", content=b'{"session_state": {}}', headers=headers).status_code == 201


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_a_token_no_longer_says_does_not_live_on_in_the_session(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer, component: str
) -> None:
    probe = make_os(tmp_path, database=new_database())
    with serving(secure(probe, issuer, session_state_claims=["org"])) as client:
        for org in ({"id": 7, "is_admin": True}, {"id": 7}):
            assert run(client, component, bearer(issuer, org=org), session_id="nested").status_code == 200
            assert probe.last.session_state == {"org": org}


def test_two_conversations_stay_two_whatever_login_session_the_token_names(
    client: TestClient, probe: Probe, issuer: FakeIssuer
) -> None:
    for chat in ("chat-1", "chat-2"):
        assert run(client, "/agents/a1", bearer(issuer, sid="the-login"), session_id=chat).status_code == 200
        assert probe.last.session_id == chat


def test_the_tokens_session_counts_where_its_claim_is_written(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path, database=new_database())
    with serving(secure(probe, issuer, session_id_claim="chat")) as client:
        for component in COMPONENTS:
            headers = bearer(issuer, chat=f"of-the-token{component}")
            assert run(client, component, headers, session_id="of-the-client").status_code == 200
            assert probe.last.session_id == f"of-the-token{component}"
        assert run(client, "/agents/a1", bearer(issuer), session_id="of-the-client").status_code == 200
        assert probe.last.session_id == "of-the-client"


def test_where_no_claim_is_named_dependencies_are_empty_and_the_clients_state_is_its_own(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path_factory.mktemp("unnamed"))
    with serving(secure(probe, issuer)) as client:
        assert run(client, "/agents/a1", bearer(issuer, claims=CLAIMS), **EVIL).status_code == 200
    assert probe.last.dependencies == {}
    assert probe.last.session_state == {"tier": "evil", "extra": "evil"}
    assert probe.last.user_id == "ada"


def test_what_a_run_writes_into_its_dependencies_no_other_run_sees(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    def whoami(run_context: RunContext) -> str:
        """Write into everything."""
        assert run_context.dependencies is not None
        assert run_context.session_state is not None
        run_context.dependencies["teams"].append("admins")
        run_context.session_state["tier"] = "evil"
        return "spoilt"

    probe = make_os(tmp_path_factory.mktemp("spoilt"), tool=whoami)
    headers = bearer(issuer, claims=CLAIMS)
    app = secure(probe, issuer, **NAMED)
    taken = []

    @app.get("/mine")
    async def mine(request: Request) -> dict[str, object]:
        return {"dependencies": request.state.dependencies, "session_state": request.state.session_state}

    with serving(app) as client:
        for _ in range(2):
            assert run(client, "/agents/a1", headers).status_code == 200
            taken.append(client.get("/mine", headers=headers).json())
    assert (
        taken
        == [{"dependencies": {"email": "ada@example.com", "teams": ["red", "blue"]}, "session_state": {"tier": "gold"}}]
        * 2
    )


def test_a_claim_named_wrongly_is_refused_on_the_line(
    tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer
) -> None:
    with pytest.raises(ConfigurationError, match="metadata_claims"):
        secure(make_os(tmp_path_factory.mktemp("wrong")), issuer, metadata_claims="org")
