"""What an AgentOS stores is its user's alone, holds nothing that a client smuggled in, and is read again as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oidcbridge.testing import FakeIssuer
from tests.agentos.databases import Database
from tests.agentos.kit import EVERYTHING, bearer, make_os, run, secure, serving

NAMED = {"dependencies_claims": ["email"], "session_state_claims": ["tier"], "metadata_claims": ["org"]}
SMUGGLED = {
    "user_id": "mallory",
    "dependencies": json.dumps({"email": "mallory@example.com"}),
    "session_state": json.dumps({"tier": "mallory's tier"}),
    "metadata": json.dumps({"org": "mallory's org"}),
}
PATCH = {
    "session_state": {"tier": "mallory's tier", "draft": "her own"},
    "metadata": {"org": "mallory's org", "label": "her own"},
}
SCOPE = "agents:run teams:run workflows:run sessions:read sessions:write sessions:delete"
KINDS = [("agent", "/agents/a1"), ("team", "/teams/t1"), ("workflow", "/workflows/w1")]


@pytest.mark.parametrize(("kind", "component"), KINDS)
def test_nothing_that_a_client_sent_for_a_claim_is_stored_anywhere(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer, kind: str, component: str
) -> None:
    database = new_database()
    probe = make_os(tmp_path, database=database)
    ada = bearer(issuer, "ada", SCOPE, email="ada@example.com", tier="gold", org="acme")
    with serving(secure(probe, issuer, **NAMED)) as client:
        assert run(client, component, ada, session_id="hers", **SMUGGLED).status_code == 200
        assert client.patch(f"/sessions/hers?type={kind}", json=PATCH, headers=ada).status_code == 200
    stored = database.dump()
    assert "mallory" not in stored
    assert all(word in stored for word in ("hers", "ok ada", "draft", "label", "her own"))


@pytest.mark.parametrize(("kind", "component"), KINDS)
def test_another_server_on_the_database_goes_on_with_the_session_and_with_its_own_token(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer, kind: str, component: str
) -> None:
    database = new_database()
    then = bearer(issuer, "ada", SCOPE, email="ada@example.com", tier="gold", org="acme")
    with serving(secure(make_os(tmp_path, database=database), issuer, **NAMED)) as client:
        assert run(client, component, then, session_id="hers", **SMUGGLED).status_code == 200
        assert client.patch(f"/sessions/hers?type={kind}", json=PATCH, headers=then).status_code == 200
        assert run(client, component, then, session_id="hers").status_code == 200
    assert "gold" in database.dump()

    probe = make_os(tmp_path, database=database)
    now = bearer(issuer, "ada", SCOPE, email="ada@new.example.com", org="new")
    with serving(secure(probe, issuer, **NAMED)) as client:
        reread = client.get(f"/sessions/hers?type={kind}", headers=now)
        assert (reread.status_code, reread.json()["session_state"]["tier"]) == (200, "gold")
        assert run(client, component, now, session_id="hers").status_code == 200
        runs = client.get(f"/sessions/hers/runs?type={kind}", headers=now).json()
    assert len(runs) == 3
    assert probe.last.user_id == "ada"
    assert probe.last.dependencies == {"email": "ada@new.example.com"}
    assert probe.last.session_state == {"tier": None, "draft": "her own"}
    assert (probe.last.metadata or {})["org"] == "new"


def test_users_see_their_own_sessions_alone_and_an_admin_sees_all(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    u1, u2 = bearer(issuer, "u1", SCOPE), bearer(issuer, "u2", SCOPE)
    with serving(secure(make_os(tmp_path, database=new_database()), issuer)) as client:
        assert run(client, "/agents/a1", u1, session_id="of-u1").status_code == 200
        assert run(client, "/agents/a1", u2, session_id="of-u2").status_code == 200

        def sessions(headers: dict[str, str]) -> set[str]:
            return {one["session_id"] for one in client.get("/sessions", headers=headers).json()["data"]}

        assert sessions(u1) == {"of-u1"}
        assert sessions(bearer(issuer, "root", EVERYTHING)) == {"of-u1", "of-u2"}
        assert client.get("/sessions/of-u1", headers=u2).status_code == 404
        assert run(client, "/agents/a1", u2, session_id="of-u1").status_code in (403, 404)
        client.delete("/sessions/of-u1", headers=u2)
        assert sessions(u1) == {"of-u1"}
        assert client.delete("/sessions/of-u1", headers=u1).status_code == 204
        assert sessions(u1) == set()
