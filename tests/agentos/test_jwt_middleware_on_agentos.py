"""`JWTMiddleware` on an AgentOS: what a run is given, and who may what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.jwt_kit import (
    CLAIMS,
    EVIL,
    NAMED,
    OTHER,
    behind,
    having,
    token,
)
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, run, serving

COMPONENTS = ["/agents/a1", "/teams/t1", "/workflows/w1"]


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("jwt"))


@pytest.fixture(scope="module")
def client(probe: Probe) -> Iterator[TestClient]:
    with serving(behind(probe, **NAMED)) as client:
        yield client


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_run_is_given_the_tokens_claims_and_nothing_of_the_clients(
    client: TestClient, probe: Probe, component: str, stream: str
) -> None:
    session = f"{component}{stream}"
    headers = auth_header(token(**{**CLAIMS, "session_id": session}))
    assert run(client, component, headers, **{**EVIL, "stream": stream}).status_code == 200
    assert (probe.last.user_id, probe.last.session_id) == ("ada", session)
    assert probe.last.dependencies == {"name": "Ada", "roles": ["reader"]}
    assert probe.last.session_state == {"tier": "gold"}
    assert (probe.last.metadata or {})["org"] == "acme"


def test_a_claim_that_the_token_lacks_is_none_and_the_session_is_the_clients(client: TestClient, probe: Probe) -> None:
    assert run(client, "/agents/a1", auth_header(token()), **EVIL).status_code == 200
    assert (probe.last.user_id, probe.last.session_id) == ("ada", "theirs")
    assert probe.last.dependencies == {"name": None, "roles": None}
    assert probe.last.session_state == {"tier": None}
    assert (probe.last.metadata or {})["org"] is None


def test_who_has_no_token_runs_nothing(client: TestClient, probe: Probe) -> None:
    count = len(probe.seen)
    for headers in ({}, auth_header(token(key=OTHER)), auth_header("no-token")):
        assert run(client, "/agents/a1", headers, **EVIL).status_code == 401
    assert len(probe.seen) == count
    assert client.get("/health").status_code == 200
    assert client.get("/info").json()["auth_mode"] == "jwt"


# Who may what


def test_without_authorization_every_token_may_and_with_it_its_scopes_say(
    client: TestClient, tmp_path: Path, issuer: FakeIssuer
) -> None:
    assert client.get("/sessions?type=agent", headers=having()).status_code == 200
    with serving(behind(make_os(tmp_path), authorization=True)) as strict:
        denied = strict.get("/sessions?type=agent", headers=having("agents:run"))
        assert (denied.status_code, denied.json()["code"]) == (403, "insufficient_scope")
        assert strict.get("/sessions?type=agent", headers=having("sessions:read")).status_code == 200
        empty = strict.get("/agents", headers=having("sessions:read"))
        challenge = 'Bearer error="insufficient_scope", scope="agents:read"'
        assert (empty.status_code, empty.headers["www-authenticate"]) == (403, challenge)
        assert "www-authenticate" not in strict.get("/agents", headers=having("agents:a1:read")).headers
        assert run(strict, "/agents/a1", having("agents:a1:run")).status_code == 200
        assert run(strict, "/agents/a2", having("agents:a1:run")).status_code == 403
        assert strict.get("/sessions?type=agent", headers=having(EVERYTHING)).status_code == 200


def test_scope_mappings_turn_authorization_on_and_add_to_agnos(tmp_path: Path) -> None:
    mappings = {"GET /config": ["custom:read"], "GET /memory_topics": []}
    app = behind(make_os(tmp_path), scope_mappings=mappings, admin_scope="boss", scopes_claim="rights")
    with serving(app) as client:

        def asked(path: str, *rights: str) -> int:
            return client.get(path, headers=auth_header(token(rights=list(rights), scopes=[EVERYTHING]))).status_code

        assert [asked("/config", "custom:read"), asked("/config", "system:read")] == [200, 403]
        assert [asked("/memory_topics"), asked("/sessions?type=agent")] == [200, 403]
        assert [asked("/config", "boss"), asked("/config", EVERYTHING)] == [200, 403]


def test_with_user_isolation_users_see_their_own_sessions_alone(tmp_path: Path) -> None:
    for number, (ours, theirs) in enumerate([(True, False), (False, True), (False, False)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        probe = make_os(folder, user_isolation=theirs)
        with serving(behind(probe, user_isolation=ours)) as client:
            assert run(client, "/agents/a1", having(sub="ada"), session_id="hers").status_code == 200
            seen = client.get("/sessions/hers?type=agent&user_id=ada", headers=having(sub="bob")).status_code
            assert seen == (404 if ours or theirs else 200)
            assert client.get("/sessions/hers?type=agent", headers=having(sub="ada")).status_code == 200


def test_service_accounts_and_the_scheduler_keep_their_tokens(tmp_path: Path) -> None:
    probe = make_os(tmp_path, internal_service_token="the-schedulers-own-token")
    with serving(behind(probe, authorization=True, dependencies_claims=["name"])) as client:
        said = {"name": "robot", "scopes": [{"scope": "agents:a1:run", "effect": "allow"}]}
        made = client.post("/service-accounts", json=said, headers=having(EVERYTHING))
        assert made.status_code == 201
        robot = auth_header(made.json()["token"])
        assert run(client, "/agents/a1", robot, **EVIL).status_code == 200
        assert (probe.last.user_id, probe.last.dependencies) == ("sa:robot", {"name": None})
        assert run(client, "/agents/a2", robot).status_code == 403
        assert run(client, "/agents/a1", auth_header("agno_pat_unknown")).status_code == 401
        assert run(client, "/agents/a1", auth_header("the-schedulers-own-token")).status_code == 200
        assert run(client, "/agents/a1", auth_header("the-schedulers-own-tokens")).status_code == 401


def test_verify_audience_without_one_means_the_agent_os(tmp_path: Path) -> None:
    with serving(behind(make_os(tmp_path), verify_audience=True)) as client:
        asked = [client.get("/agents", headers=having(aud=aud)).status_code for aud in ("os1", ["os1"], "os2")]
        assert asked == [200, 200, 401]
        assert client.get("/agents", headers=having()).status_code == 401


def test_a_providers_scopes_and_roles_count_where_an_issuer_is_named(tmp_path: Path, issuer: FakeIssuer) -> None:
    said: dict[str, Any] = {"issuer_url": issuer.issuer_url, "audience": issuer.audience, "authorization": True}
    app = behind(make_os(tmp_path), scopes_from={"roles:runner": ["agents:run"]}, **said)
    with serving(app) as client:
        assert run(client, "/agents/a1", bearer(issuer, scope="openid agents:run")).status_code == 200
        assert run(client, "/agents/a1", bearer(issuer, scope="openid", roles=["runner"])).status_code == 200
        assert run(client, "/agents/a1", bearer(issuer, scope="openid", roles=["reader"])).status_code == 403
        assert run(client, "/agents/a1", bearer(issuer, scope="openid", scopes=["agents:run"])).status_code == 200
        assert client.get("/info").json()["auth_mode"] == "jwt"


def test_pages_of_allowed_origins_can_read_a_refusal(tmp_path: Path) -> None:
    app = behind(make_os(tmp_path, cors_allowed_origins=["https://ui.test"]))
    with serving(app) as client:
        for origin, allowed in (("https://ui.test", "https://ui.test"), ("https://evil.test", None)):
            refused = client.get("/agents", headers={"Origin": origin})
            assert refused.status_code == 401
            assert refused.headers.get("access-control-allow-origin") == allowed
        preflight = {"Origin": "https://ui.test", "Access-Control-Request-Method": "GET"}
        assert client.options("/agents", headers=preflight).status_code == 200
        assert client.options("/agents").status_code == 401
