"""A token that a real Keycloak signed opens an agent endpoint; every other kind of its tokens does not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    OIDCBridgeError,
    TokenTypeError,
    UnknownIssuerError,
)
from tests.e2e.agent_server import AgentServer
from tests.e2e.keycloak_server import KeycloakServer

RUN = "/agents/a1/runs"


@pytest.fixture(scope="module")
def agent(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentServer]:
    with AgentServer(keycloak.issuer_url, tmp_path_factory.mktemp("agent") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def verifier(keycloak: KeycloakServer) -> Verifier:
    return Verifier(issuer_url=keycloak.issuer_url, audience="agent-api")


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def header_of(token: str) -> dict[str, Any]:
    return claims_of(f".{token.split('.', maxsplit=1)[0]}.")


def verified(verifier: Verifier, token: str) -> Principal:
    return asyncio.run(verifier.verify(token))


def assert_refused(agent: AgentServer, verifier: Verifier, token: str, reason: type[OIDCBridgeError]) -> None:
    """The endpoint answers 401 with the body that all refused tokens get, and the reason is the one expected."""
    answer = agent.get("/whoami", token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert answer.json() == {"detail": "The token is not valid", "error": "invalid_token", "code": "invalid_token"}
    with pytest.raises(reason):
        verified(verifier, token)


def test_no_token_is_answered_with_a_bare_challenge(agent: AgentServer) -> None:
    answer = agent.get("/whoami")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_user_who_logged_in_with_pkce_is_known_with_all_rights(keycloak: KeycloakServer, agent: AgentServer) -> None:
    tokens = keycloak.login_with_pkce("agent-ui", "ada", "ada-pw", scope="openid agents:run agents:read")
    claims = claims_of(tokens["access_token"])
    known = agent.get("/whoami", tokens["access_token"]).raise_for_status().json()
    assert known["user_id"] == claims["sub"]
    assert known["kind"] == "user"
    assert known["session_id"] == claims["sid"]
    assert known["tenant"] == "acme"
    assert known["session_state"] == {"tenant": "acme"}
    assert {"agents:run", "agents:read", "openid"} <= set(known["scopes"])
    assert {"agent-user", "agent-admin", "runner", "agent-ui:editor"} <= set(known["roles"])
    assert "editor" not in known["roles"], "another client's role is not ours"
    assert known["groups"] == ["/engineering/platform"]
    assert known["dependencies"] == {
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "roles": known["roles"],
        "groups": known["groups"],
    }
    assert agent.request("POST", RUN, tokens["access_token"]).json() == {"agent": "a1", "started_by": claims["sub"]}
    assert agent.request("DELETE", "/agents/a1", tokens["access_token"]).json() == {"deleted": "a1"}


def test_a_refreshed_token_is_of_the_same_session(keycloak: KeycloakServer, agent: AgentServer) -> None:
    tokens = keycloak.password_token("agent-ui", "ada", "ada-pw")
    again = keycloak.refresh("agent-ui", tokens["refresh_token"])
    first, second = (agent.get("/whoami", answer["access_token"]).json() for answer in (tokens, again))
    assert tokens["access_token"] != again["access_token"]
    assert first["session_id"] == second["session_id"] is not None


def test_an_es256_token_passes_at_its_first_use(keycloak: KeycloakServer, agent: AgentServer) -> None:
    # Keycloak makes this key when the first ES256 token is asked for: nobody can have fetched its kid before.
    keycloak.remove_keys("ES256")  # other tests may have asked
    agent.get("/whoami", keycloak.password_token("agent-ui", "ada", "ada-pw")["access_token"]).raise_for_status()
    before = {key["kid"] for key in keycloak.jwks()["keys"]}
    token = keycloak.password_token("agent-es", "ada", "ada-pw")["access_token"]
    assert header_of(token)["alg"] == "ES256"
    assert header_of(token)["kid"] not in before
    assert agent.get("/whoami", token).status_code == 200


def test_a_service_account_is_a_machine_without_a_session(keycloak: KeycloakServer, agent: AgentServer) -> None:
    token = keycloak.client_credentials_token("agent-svc", "svc-secret", scope="agents:run")["access_token"]
    known = agent.get("/whoami", token).raise_for_status().json()
    assert (known["kind"], known["session_id"], known["user_id"]) == ("machine", None, claims_of(token)["sub"])
    assert agent.request("POST", RUN, token).status_code == 200


def test_a_token_with_the_rfc_9068_header_type_passes_and_can_be_insisted_on(
    keycloak: KeycloakServer, agent: AgentServer
) -> None:
    strict = Verifier(issuer_url=keycloak.issuer_url, audience="agent-api", token_type="at+jwt")
    plain = keycloak.client_credentials_token("agent-svc", "svc-secret")["access_token"]
    with pytest.raises(TokenTypeError):
        verified(strict, plain)
    keycloak.update_client("agent-svc", {"access.token.header.type.rfc9068": "true"})
    try:
        typed = keycloak.client_credentials_token("agent-svc", "svc-secret")["access_token"]
        assert header_of(typed)["typ"] == "at+jwt"
        assert agent.get("/whoami", typed).status_code == 200
        assert verified(strict, typed).kind == "machine"
    finally:
        keycloak.update_client("agent-svc", {"access.token.header.type.rfc9068": "false"})


def test_a_user_without_the_right_gets_403_with_the_scope_named(keycloak: KeycloakServer, agent: AgentServer) -> None:
    token = keycloak.password_token("agent-ui", "bob", "bob-pw", scope="openid agents:run")["access_token"]
    claims = claims_of(token)
    assert "agent-api" in claims["aud"]
    assert "agents:run" not in claims["scope"].split(), "the role behind this scope is not bob's"
    assert "agent-admin" not in claims.get("realm_access", {}).get("roles", ())
    assert agent.get("/whoami", token).status_code == 200, "he is known all the same"
    refused = agent.request("POST", RUN, token)
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="agents:run"'
    assert agent.request("DELETE", "/agents/a1", token).status_code == 403


def test_a_token_for_another_audience_is_refused(
    keycloak: KeycloakServer, agent: AgentServer, verifier: Verifier
) -> None:
    token = keycloak.password_token("agent-other", "ada", "ada-pw")["access_token"]
    claims = claims_of(token)
    assert "agent-api" not in claims.get("aud", ())
    assert (claims["iss"], claims["typ"]) == (keycloak.issuer_url, "Bearer")
    assert_refused(agent, verifier, token, AudienceMismatchError)


def test_id_and_refresh_tokens_are_refused(keycloak: KeycloakServer, agent: AgentServer, verifier: Verifier) -> None:
    tokens = keycloak.login_with_pkce("agent-ui", "ada", "ada-pw")
    assert claims_of(tokens["id_token"])["typ"] == "ID"
    assert_refused(agent, verifier, tokens["id_token"], TokenTypeError)
    assert claims_of(tokens["refresh_token"])["typ"] == "Refresh"
    assert_refused(agent, verifier, tokens["refresh_token"], AlgorithmNotAllowedError)


def test_an_id_token_is_refused_even_where_its_client_is_an_audience(keycloak: KeycloakServer) -> None:
    careless = Verifier(issuer_url=keycloak.issuer_url, audience=["agent-api", "agent-ui"])
    tokens = keycloak.password_token("agent-ui", "ada", "ada-pw")
    assert verified(careless, tokens["access_token"]).kind == "user"
    with pytest.raises(TokenTypeError):
        verified(careless, tokens["id_token"])


def test_a_lightweight_token_is_refused(keycloak: KeycloakServer, agent: AgentServer, verifier: Verifier) -> None:
    token = keycloak.password_token("agent-light", "ada", "ada-pw")["access_token"]
    claims = claims_of(token)
    assert claims["jti"].startswith("onlt")
    assert "sub" not in claims
    assert_refused(agent, verifier, token, AudienceMismatchError)


def test_a_token_of_another_realm_is_refused(keycloak: KeycloakServer, agent: AgentServer, verifier: Verifier) -> None:
    token = keycloak.password_token("agent-ui", "eve", "eve-pw", realm="other")["access_token"]
    assert "agent-api" in claims_of(token)["aud"]
    assert claims_of(token)["iss"] == keycloak.issuer_url_of("other")
    assert_refused(agent, verifier, token, UnknownIssuerError)
    its_own = Verifier(issuer_url=keycloak.issuer_url_of("other"), audience="agent-api")
    assert verified(its_own, token).kind == "user"
