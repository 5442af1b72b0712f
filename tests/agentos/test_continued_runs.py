"""A run that waited for a person goes on with the token of who lets it go on, and nothing slipped in meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from agno.run import RunContext
from agno.tools import tool

from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database
from tests.agentos.kit import bearer, make_os, run, secure, serving

EVIL = {
    "dependencies": json.dumps({"email": "mallory@example.com"}),
    "session_state": json.dumps({"tier": "evil"}),
    "metadata": json.dumps({"org": "evil"}),
}


def test_what_the_client_changes_while_a_run_waits_does_not_reach_its_tool(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    seen = []

    @tool(requires_confirmation=True)
    def whoami(run_context: RunContext) -> str:
        """Say who is calling."""
        seen.append((run_context.dependencies, dict(run_context.session_state or {}), run_context.metadata))
        return "ok"

    probe = make_os(tmp_path, tool=whoami, database=new_database())
    named = {"dependencies_claims": ["email"], "session_state_claims": ["tier"], "metadata_claims": ["org"]}
    scope = "agents:run sessions:read sessions:write"
    headers = bearer(issuer, scope=scope, email="ada@example.com", tier="gold", org="acme")
    with serving(secure(probe, issuer, **named)) as client:
        paused = run(client, "/agents/a1", headers, session_id="waiting").json()
        assert (paused["status"], seen) == ("PAUSED", [])
        patch = {"session_state": {"tier": "evil"}, "metadata": {"org": "evil"}}
        assert client.patch("/sessions/waiting?type=agent", json=patch, headers=headers).status_code == 200
        tools = json.dumps([{**one, "confirmed": True} for one in paused["tools"]])
        form = {"tools": tools, "session_id": "waiting", "stream": "false", **EVIL}
        path = f"/agents/a1/runs/{paused['run_id']}/continue"
        assert client.post(path, data=form).status_code == 401
        answer = client.post(path, data=form, headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "COMPLETED")
    dependencies, session_state, metadata = seen[0]
    assert dependencies == {"email": "ada@example.com"}
    assert session_state.get("tier") in (None, "gold")
    assert (metadata or {})["org"] == "acme"
