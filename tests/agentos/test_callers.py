"""Who may do what over REST: our refusals, agno's decisions on verified claims, and the scopes that rules grant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agno.os.authz import Authorization
from fastapi.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.agentos.scopes import Grants
from oidcbridge.core.principal import Principal
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey, auth_header
from tests.agentos.databases import Database
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, run, secure, serving

RULES = {
    "roles:agent-user": ["agents:read", "agents:run", "sessions:read"],
    "groups:/ops:night": ["agents:a1:run"],
    "permissions:everything": [EVERYTHING],
    "scope:chat": ["agents:run"],
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("callers"))


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    app = secure(probe, issuer, scopes_from=RULES, roles_claim="realm_access.roles", excluded_route_paths=["/public"])

    @app.get("/public")
    async def public() -> str:
        return "for all"

    with serving(app) as client:
        yield client


def test_a_refusal_carries_the_challenge_of_rfc_6750_and_never_says_why(client: TestClient, issuer: FakeIssuer) -> None:
    forged = issuer.mint("ada", scope=EVERYTHING, key=FakeKey.generate("ES256"))
    for token in (forged, issuer.mint("ada", audience="another-api"), "agno-not-a-token", "a.b.c"):
        answer = client.get("/agents", headers=auth_header(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert answer.headers["cache-control"] == "no-store"
    expired = client.get("/agents", headers=auth_header(issuer.mint("ada", expires_in=-600)))
    assert (expired.status_code, expired.json()["code"]) == (401, "token_expired")
    twice = client.get("/agents", headers=[("Authorization", "Bearer a.b.c"), ("Authorization", "Bearer a.b.c")])
    assert (twice.status_code, twice.json()["code"]) == (400, "invalid_request")
    assert client.get("/agents", headers=bearer(issuer, scope=EVERYTHING)).status_code == 200


def test_a_refusal_can_be_read_by_the_pages_that_may_and_by_no_other(client: TestClient) -> None:
    allowed = client.get("/agents", headers={"Origin": "https://os.agno.com"})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (401, "https://os.agno.com")
    assert "Origin" in allowed.headers["vary"]
    foreign = client.get("/agents", headers={"Origin": "https://evil.test"})
    assert foreign.status_code == 401
    assert "access-control-allow-origin" not in foreign.headers


def test_a_preflight_passes_and_another_options_request_does_not(client: TestClient) -> None:
    asked = {"Origin": "https://os.agno.com", "Access-Control-Request-Method": "POST"}
    assert client.options("/agents/a1/runs", headers=asked).status_code == 200
    assert client.options("/agents/a1/runs").status_code == 401


def test_a_login_alone_runs_nothing_and_the_log_says_what_to_write(
    client: TestClient, probe: Probe, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(probe.seen)
    mere_login = bearer(issuer, scope="openid profile", realm_access={"roles": ["intern"]})
    with caplog.at_level(logging.INFO, "oidcbridge.agentos"):
        answer = run(client, "/agents/a1", mere_login)
        assert client.get("/agents", headers=mere_login).status_code == 403
        assert client.get("/config", headers=mere_login).status_code == 403
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="agents:run"'
    assert len(probe.seen) == before
    lines = [record.getMessage() for record in caplog.records if record.name == "oidcbridge.agentos"]
    assert len(lines) == 3
    assert "scopes_from={\"roles:intern\": ['agents:run']}" in lines[0]
    assert "authorization=False" in lines[0]


@pytest.mark.parametrize(
    ("claims", "scope", "statuses"),
    [
        ({"realm_access": {"roles": ["agent-user"]}}, "openid", [200, 200]),
        ({"groups": ["/ops:night"]}, "openid", [200, 403]),
        ({"permissions": ["everything"]}, "openid", [200, 200]),
        ({}, "openid chat", [200, 200]),
        ({}, "openid agents:a2:run", [403, 200]),
        ({"realm_access": {"roles": ["other"]}, "groups": ["agent-user"], "permissions": ["chat"]}, "", [403, 403]),
        ({"roles": ["agent-user"]}, "openid", [403, 403]),
    ],
)
def test_roles_groups_permissions_and_scopes_grant_what_the_rules_say_and_no_more(
    client: TestClient, issuer: FakeIssuer, claims: dict[str, object], scope: str, statuses: list[int]
) -> None:
    headers = bearer(issuer, scope=scope, claims=claims)
    assert [run(client, f"/agents/{agent}", headers).status_code for agent in ("a1", "a2")] == statuses


def test_lists_show_what_a_caller_may_see(client: TestClient, issuer: FakeIssuer) -> None:
    one = client.get("/agents", headers=bearer(issuer, scope="agents:a2:read"))
    assert [agent["id"] for agent in one.json()] == ["a2"]
    every = client.get("/agents", headers=bearer(issuer, scope="agents:read"))
    assert {agent["id"] for agent in every.json()} == {"a1", "a2"}


@pytest.mark.parametrize("reserved", ["sa:robot", "__oauth__:client", "__scheduler__"])
def test_a_subject_that_agno_keeps_for_itself_is_refused(
    client: TestClient, probe: Probe, issuer: FakeIssuer, reserved: str
) -> None:
    before = len(probe.seen)
    answer = run(client, "/agents/a1", bearer(issuer, reserved, EVERYTHING))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert len(probe.seen) == before


def test_a_token_that_names_nobody_is_refused(client: TestClient, issuer: FakeIssuer) -> None:
    headers = bearer(issuer, scope=EVERYTHING, claims={"sub": OMIT, "client_id": OMIT})
    assert client.get("/agents", headers=headers).status_code == 401


def test_a_public_path_is_served_without_a_look_at_the_credential(client: TestClient) -> None:
    assert client.get("/public", headers=auth_header("a.b.c")).json() == "for all"


def test_keys_rotate_and_an_outage_is_no_401(tmp_path: Path, frail_issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    with serving(secure(probe, frail_issuer)) as client:
        old = bearer(frail_issuer, scope=EVERYTHING)
        assert client.get("/agents", headers=old).status_code == 200
        frail_issuer.rotate()
        assert client.get("/agents", headers=bearer(frail_issuer, scope=EVERYTHING)).status_code == 200
        frail_issuer.rotate("RS256")
        with frail_issuer.outage():
            assert client.get("/agents", headers=old).status_code == 200
            unknown = auth_header(frail_issuer.mint("ada", scope=EVERYTHING, alg="RS256"))
            assert client.get("/agents", headers=unknown).status_code == 503


def test_authorization_off_lets_every_user_use_everything_but_not_each_others_sessions(
    tmp_path: Path, new_database: Callable[[], Database], issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path, database=new_database())
    with serving(secure(probe, issuer, authorization=False)) as client:
        assert client.get("/agents").status_code == 401
        assert run(client, "/agents/a1", bearer(issuer, "u1", "openid"), session_id="of-u1").status_code == 200
        assert client.get("/sessions/of-u1", headers=bearer(issuer, "u2", "openid")).status_code == 404
        assert client.get("/sessions/of-u1", headers=bearer(issuer, "u1", "openid")).status_code == 200


def test_authorization_cannot_be_off_where_the_agent_os_says_it_is_on(tmp_path: Path, issuer: FakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match="leave one out"):
        secure(make_os(tmp_path, authorization=True), issuer, authorization=False)


def test_isolation_is_never_weaker_than_the_agent_os_says(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path, user_isolation=True)  # type: ignore[arg-type]
    scope = "agents:run sessions:read"
    with serving(secure(probe, issuer, user_isolation=False)) as client:
        assert run(client, "/agents/a1", bearer(issuer, "u1", scope), session_id="of-u1").status_code == 200
        assert client.get("/sessions/of-u1", headers=bearer(issuer, "u2", scope)).status_code == 404


def test_agnos_own_roles_read_those_that_the_provider_nests(tmp_path: Path, issuer: FakeIssuer) -> None:
    rules = Authorization(roles_claim="roles").define_role("runner", ["agents:run"])
    probe = make_os(tmp_path, authorization=rules)
    with serving(secure(probe, issuer, roles_claim="realm_access.roles")) as client:
        runner = bearer(issuer, "u1", "openid", realm_access={"roles": ["runner"]})
        stranger = bearer(issuer, "u2", EVERYTHING, realm_access={"roles": ["stranger"]})
        assert run(client, "/agents/a1", runner).status_code == 200
        assert run(client, "/agents/a1", stranger).status_code == 403


@pytest.mark.parametrize(
    "rules",
    [["agents:run"], {"agent-user": ["agents:run"]}, {"role:x": ["a"]}, {"roles:": ["a"]}, {"roles:x": "agents:run"}],
)
def test_rules_that_could_grant_nothing_are_refused(rules: object) -> None:
    with pytest.raises(ConfigurationError, match="scopes_from"):
        Grants(rules)  # type: ignore[arg-type]


def test_the_tokens_own_scopes_come_first_and_each_stands_once() -> None:
    grants = Grants({"roles:a": ["x", "y"], "roles:b": ["y", "z"], "groups:/ops:day": ["w"]})
    principal = Principal(user_id="ada", scopes=("y", "own"), roles=("b", "a"), groups=("/ops:day",))
    assert grants.of(principal) == ["y", "own", "z", "x", "w"]
    assert Grants(None).of(principal) == ["y", "own"]
