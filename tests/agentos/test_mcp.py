"""MCP as AgentOS serves it: behind our layer, or with a provider of its own beside which our tokens go on working."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from oidcbridge import ConfigurationError, Verifier
from oidcbridge.testing import FakeIssuer, FakeKey, auth_header
from tests.agentos.control_plane import PEM, control_plane_token
from tests.agentos.kit import EVERYTHING, Probe, bearer, make_os, secure, serving

pytest.importorskip("fastmcp", reason="fastmcp is not installed")
from oidcbridge.mcp import OIDCTokenVerifier

PUBLIC = "https://agents.example.com"
METADATA = f"{PUBLIC}/.well-known/oauth-protected-resource/mcp"


def call(client: TestClient, headers: dict[str, str], method: str = "initialize", **params: object) -> Response:
    """One request to the MCP endpoint, by default for a session."""
    if method == "initialize":
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    accepted = {"Accept": "application/json, text/event-stream", **headers}
    return client.post("/mcp", json=body, headers=accepted)


def run_agent(client: TestClient, headers: dict[str, str], agent: str = "a1") -> str:
    """What comes of running an agent over MCP."""
    begun = call(client, headers)
    session = {name: begun.headers[name] for name in ("mcp-session-id",) if name in begun.headers}
    arguments = {"agent_id": agent, "message": "hi"}
    answer = call(client, {**headers, **session}, "tools/call", name="run_agent", arguments=arguments)
    assert answer.status_code == 200, answer.text
    text: str = answer.text
    return text


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return make_os(tmp_path_factory.mktemp("mcp"), mcp=True)


@pytest.fixture(scope="module")
def client(probe: Probe, issuer: FakeIssuer) -> Iterator[TestClient]:
    app = secure(probe, issuer, public_url=PUBLIC)
    with serving(app, base_url=PUBLIC) as client:
        yield client


def test_nobody_gets_in_without_a_token_and_the_challenge_says_where_to_get_one(client: TestClient) -> None:
    refused = call(client, {})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{METADATA}"'
    wrong = call(client, auth_header("a.b.c"))
    assert f'resource_metadata="{METADATA}"' in wrong.headers["www-authenticate"]
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    assert "resource_metadata" not in client.get("/agents").headers["www-authenticate"]


def test_the_metadata_names_the_endpoint_and_its_issuers(client: TestClient, issuer: FakeIssuer) -> None:
    document = client.get("/.well-known/oauth-protected-resource/mcp").json()
    assert document["resource"] == f"{PUBLIC}/mcp"
    assert document["authorization_servers"] == [issuer.issuer_url]


def test_the_server_card_is_public(client: TestClient) -> None:
    assert client.get("/mcp/server-card").status_code == 200


def test_an_agent_runs_as_the_caller_if_its_scopes_say_so(client: TestClient, probe: Probe, issuer: FakeIssuer) -> None:
    before = len(probe.seen)
    assert "TOOL SAID: ok ada" in run_agent(client, bearer(issuer, scope="agents:a1:run"))
    assert probe.last.user_id == "ada"
    denied = run_agent(client, bearer(issuer, scope="agents:a1:run"), "a2")
    assert '"isError":true' in denied
    assert len(probe.seen) == before + 1


def test_an_outage_is_a_503_and_no_reason_to_drop_a_token(tmp_path: Path, frail_issuer: FakeIssuer) -> None:
    app = secure(make_os(tmp_path, mcp=True), frail_issuer)
    frail_issuer.down = True
    with serving(app) as client:
        assert call(client, bearer(frail_issuer)).status_code == 503


def test_control_plane_tokens_are_accepted_here_too(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path, mcp=True)
    with serving(secure(probe, issuer, control_plane_key=PEM)) as client:
        assert "TOOL SAID: ok operator" in run_agent(client, auth_header(control_plane_token(issuer)))
        assert call(client, auth_header(control_plane_token(issuer, aud="another-os"))).status_code == 401


def with_provider(tmp_path: Path, issuer: FakeIssuer) -> Probe:
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=f"{PUBLIC}/mcp")
    return make_os(tmp_path, mcp=True, mcp_auth=OIDCTokenVerifier(verifier, base_url=PUBLIC))


def test_with_a_provider_of_its_own_it_takes_that_ones_tokens_and_rests(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = with_provider(tmp_path, issuer)
    forged = issuer.mint("ada", scope=EVERYTHING, key=FakeKey.generate("ES256"))
    with serving(secure(probe, issuer), base_url=PUBLIC) as client:
        refused = call(client, {})
        assert (refused.status_code, METADATA in refused.headers["www-authenticate"]) == (401, True)
        assert client.get("/.well-known/oauth-protected-resource/mcp").json()["resource"] == f"{PUBLIC}/mcp"
        assert call(client, auth_header(forged)).status_code == 401
        its_own = issuer.mint("ada", scope="agents:run", audience=f"{PUBLIC}/mcp")
        assert "TOOL SAID: ok ada" in run_agent(client, auth_header(its_own))
        assert client.get("/agents", headers=auth_header(its_own)).status_code == 401
        assert "TOOL SAID: ok bob" in run_agent(client, bearer(issuer, "bob"))
        assert '"isError":true' in run_agent(client, bearer(issuer, "bob", "openid"))


def test_with_a_provider_of_its_own_an_outage_is_a_503_too(tmp_path: Path, frail_issuer: FakeIssuer) -> None:
    app = secure(with_provider(tmp_path, frail_issuer), frail_issuer)
    frail_issuer.down = True
    with serving(app, base_url=PUBLIC) as client:
        assert call(client, bearer(frail_issuer)).status_code == 503


@pytest.mark.parametrize("variable", ["JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"])
def test_a_key_in_the_environment_would_open_a_provider_of_its_own(
    tmp_path: Path, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "a key")
    with pytest.raises(ConfigurationError, match=variable):
        secure(with_provider(tmp_path, issuer), issuer)


def test_the_control_planes_key_may_stand_in_the_environment_and_is_held_to_our_rules(
    tmp_path: Path, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_VERIFICATION_KEY", PEM)
    probe = with_provider(tmp_path, issuer)
    with serving(secure(probe, issuer, control_plane_key=PEM), base_url=PUBLIC) as client:
        assert "TOOL SAID: ok operator" in run_agent(client, auth_header(control_plane_token(issuer)))
        assert call(client, auth_header(control_plane_token(issuer, aud="another-os"))).status_code == 401


def test_a_public_url_without_an_endpoint_of_its_own_is_refused(tmp_path: Path, issuer: FakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match="mcp=True"):
        secure(make_os(tmp_path), issuer, public_url=PUBLIC)
    with pytest.raises(ConfigurationError, match="without the MCP path"):
        secure(make_os(tmp_path, mcp=True), issuer, public_url="agents.example.com")
    with pytest.raises(ConfigurationError, match="base_url"):
        secure(with_provider(tmp_path, issuer), issuer, public_url=PUBLIC)
