"""The realm file is strict where a real one should be, and the admin helpers do what their names say.

What each client's tokens hold is asserted beside the endpoint that takes or refuses them (test_tokens.py).
"""

from __future__ import annotations

from urllib.parse import urlencode

import httpx2
import pytest

from tests.e2e.keycloak_browser import Browser
from tests.e2e.keycloak_server import CALLBACK, KeycloakServer

RUN_AND_READ = "openid agents:run agents:read"


def listed_kids(server: KeycloakServer) -> set[str]:
    return {key["kid"] for key in server.jwks()["keys"] if key["use"] == "sig"}


def signing_kid(server: KeycloakServer) -> str:
    return str(server.admin("GET", "/keys").json()["active"]["RS256"])


def test_a_scope_bound_to_a_role_is_not_had_by_asking(keycloak: KeycloakServer) -> None:
    ada = keycloak.password_token("agent-ui", "ada", "ada-pw", scope=RUN_AND_READ)
    bob = keycloak.password_token("agent-ui", "bob", "bob-pw", scope=RUN_AND_READ)
    assert {"agents:run", "agents:read"} <= set(ada["scope"].split())
    assert {"agents:run", "agents:read"} & set(bob["scope"].split()) == {"agents:read"}


def test_a_code_without_pkce_is_refused(keycloak: KeycloakServer) -> None:
    question = {"response_type": "code", "client_id": "agent-ui", "redirect_uri": CALLBACK, "scope": "openid"}
    browser = Browser(keycloak.base_url)
    browser.open(f"{keycloak.issuer_url}/protocol/openid-connect/auth?{urlencode(question)}")
    assert browser.sent_to.startswith(f"{CALLBACK}?error=invalid_request")
    assert "code_challenge" in browser.sent_to


def test_a_redirect_uri_that_is_not_listed_is_refused(keycloak: KeycloakServer) -> None:
    with pytest.raises(httpx2.HTTPStatusError, match="400"):
        keycloak.login_with_pkce("agent-ui", "ada", "ada-pw", redirect_uri="http://127.0.0.1:8766/callback")
    assert keycloak.login_with_pkce("agent-ui", "ada", "ada-pw", redirect_uri=CALLBACK)["token_type"] == "Bearer"


def test_a_wrong_password_does_not_lead_back_to_the_client(keycloak: KeycloakServer) -> None:
    with pytest.raises(RuntimeError, match="did not lead back"):
        keycloak.login_with_pkce("agent-ui", "ada", "bob-pw")


def test_a_page_of_swagger_ui_may_read_tokens_and_another_origin_may_not(keycloak: KeycloakServer) -> None:
    form = {"grant_type": "password", "client_id": "agent-ui", "username": "ada", "password": "ada-pw"}
    url = f"{keycloak.issuer_url}/protocol/openid-connect/token"
    allowed = {
        origin: httpx2.post(url, data=form, headers={"Origin": origin}).headers.get("access-control-allow-origin")
        for origin in ("http://127.0.0.1:8000", "http://localhost:8000", "http://127.0.0.1:8001")
    }
    assert allowed == {
        "http://127.0.0.1:8000": "http://127.0.0.1:8000",
        "http://localhost:8000": "http://localhost:8000",
        "http://127.0.0.1:8001": None,
    }


def test_a_new_key_signs_then_turns_passive_then_leaves_the_key_set(keycloak: KeycloakServer) -> None:
    old = signing_kid(keycloak)
    component = keycloak.rotate_key("RS256", priority=900)
    new = signing_kid(keycloak)
    assert new != old
    assert {old, new} <= listed_kids(keycloak)
    assert [key["kid"] for key in keycloak.realm_keys() if key["providerId"] == component] == [new]

    keycloak.set_key(component, active=False)
    assert signing_kid(keycloak) == old
    assert new in listed_kids(keycloak)

    keycloak.set_key(component, enabled=False)
    assert new not in listed_kids(keycloak)
    assert old in listed_kids(keycloak)


def test_a_changed_client_takes_effect_and_keeps_its_other_settings(keycloak: KeycloakServer) -> None:
    def lifetime() -> int:
        return int(keycloak.login_with_pkce("agent-ui", "ada", "ada-pw")["expires_in"])

    assert lifetime() <= 300
    keycloak.update_client("agent-ui", {"access.token.lifespan": "1200"})
    assert 1190 <= lifetime() <= 1200
    keycloak.update_client("agent-ui", {"access.token.lifespan": ""})
    assert lifetime() <= 300
