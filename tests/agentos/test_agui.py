"""AG-UI, whose state and context are the client's: what is named for claims comes from the token all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from oidcbridge.testing import FakeIssuer
from tests.agentos.kit import Probe, bearer, make_os, secure, serving

pytest.importorskip("ag_ui", reason="ag-ui-protocol is not installed")
from agno.os.interfaces.agui import AGUI

CLAIMS = {"email": "ada@example.com", "teams": ["red"], "tier": "gold"}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    probe = make_os(tmp_path_factory.mktemp("agui"))
    agent = probe.agent_os.agents[0]  # type: ignore[index]
    probe.agent_os.interfaces.append(AGUI(agent=agent, prefix="/chat"))  # type: ignore[arg-type]
    return probe


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    app = secure(probe, issuer, dependencies_claims=["email", "teams"], session_state_claims=["tier"])
    with serving(app) as client:
        yield client


def chat(client: TestClient, headers: dict[str, str], **said: object) -> int:
    """Run the agent; the stream is read to its end."""
    body = {
        "threadId": "thread",
        "runId": "run",
        "messages": [{"id": "1", "role": "user", "content": "hi"}],
        "tools": [],
        "state": {},
        "context": [],
        "forwardedProps": {"user_id": "mallory"},
        **said,
    }
    return client.post("/chat/agui", json=body, headers=headers).status_code


EVIL = {
    "state": {"tier": "evil", "kept": 1},
    "context": [
        {"description": "email", "value": "mallory@example.com"},
        {"description": "teams", "value": '["admins"]'},
        {"description": "kept", "value": "1"},
    ],
}


def test_nobody_chats_without_a_token_or_its_scope(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    assert chat(client, {}) == 401
    assert probe.seen == []


def test_claims_stand_over_what_the_client_sends(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    assert chat(client, bearer(issuer, claims=CLAIMS), threadId="claims", **EVIL) == 200
    assert probe.last.user_id == "ada"
    assert probe.last.dependencies == {"email": "ada@example.com", "teams": ["red"], "kept": 1}
    assert probe.last.session_state == {"tier": "gold", "kept": 1}


@pytest.mark.parametrize("sent", [EVIL, {}, {"state": None, "context": []}])
def test_claims_that_the_token_lacks_are_none(
    client: TestClient, probe: Probe, issuer: FakeIssuer, sent: dict[str, object]
) -> None:
    assert chat(client, bearer(issuer), threadId=f"none-{len(sent)}", **sent) == 200
    assert {"email": None, "teams": None}.items() <= (probe.last.dependencies or {}).items()
    assert probe.last.session_state["tier"] is None


def test_an_object_is_refused_where_agno_would_merge_it_with_an_older_one(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    probe.agent_os.interfaces.append(AGUI(agent=probe.agent_os.agents[0], prefix="/chat"))  # type: ignore[arg-type, index]
    with serving(secure(probe, issuer, session_state_claims={"org": "org", "org_id": "org.id"})) as client:
        assert chat(client, bearer(issuer, claims={"org": {"id": "acme", "admin": True}})) == 400
        assert probe.seen == []
        assert chat(client, bearer(issuer, claims={"org": "acme"})) == 200
        assert probe.last.session_state == {"org": "acme", "org_id": None}


@pytest.mark.parametrize("context", [[{"description": ["email"], "value": "x"}], [5], "x"])
def test_an_odd_context_is_no_fault_of_ours(client: TestClient, issuer: FakeIssuer, context: object) -> None:
    assert chat(client, bearer(issuer), threadId="odd", context=context) in (200, 422)


def test_a_body_too_deep_to_be_read_is_refused(client: TestClient, issuer: FakeIssuer) -> None:
    headers = {**bearer(issuer), "content-type": "application/json"}
    assert client.post("/chat/agui", content="[" * 100_000, headers=headers).status_code == 400
