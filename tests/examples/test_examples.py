"""Each example does what its page says: run as written, against a fake issuer (keycloak.py also in the e2e suite)."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import ASGIApp

from oidcbridge.testing import FakeIssuer, FakeKey, auth_header

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "0123456789abcdef0123456789abcdef"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def client_of(app: ASGIApp) -> TestClient:
    return TestClient(app, base_url="https://agents.test")


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIssuer]:
    monkeypatch.setenv("OIDCBRIDGE_ISSUER_URL", "https://idp.test")
    monkeypatch.setenv("OIDCBRIDGE_AUDIENCE", "agent-api")
    with FakeIssuer("https://idp.test").impersonate() as issuer:
        yield issuer


def test_the_minimal_example_maps_the_caller_and_asks_for_the_scope(issuer: FakeIssuer) -> None:
    with client_of(load("fastapi_minimal").app) as client:
        plain = auth_header(issuer.mint("ada", claims={"email": "ada@example.com", "roles": ["admin"], "sid": "s-1"}))
        assert client.get("/whoami").status_code == 401
        assert client.get("/whoami", headers=plain).json() == {
            "user_id": "ada",
            "session_id": "s-1",
            "dependencies": {"email": "ada@example.com", "roles": ["admin"]},
        }
        refused = client.post("/agents/a1/runs", headers=plain)
        assert refused.status_code == 403
        assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="agents:run"'
        allowed = client.post("/agents/a1/runs", headers=auth_header(issuer.mint("ada", scope="agents:run")))
        assert allowed.json() == {"agent": "a1", "started_by": "ada"}


def test_the_websocket_example_refuses_before_accept_and_greets_the_caller(issuer: FakeIssuer) -> None:
    with client_of(load("fastapi_websocket").app) as client:
        with pytest.raises(WebSocketDenialResponse) as denial, client.websocket_connect("/chat"):
            pass
        assert denial.value.status_code == 401
        with client.websocket_connect("/chat", headers=auth_header(issuer.mint("ada"))) as chat:
            assert chat.receive_text() == "hello ada"
            chat.send_text("hi")
            assert chat.receive_text() == "ada said: hi"


def test_the_websocket_example_lets_any_of_the_roles_in_and_nobody_else(issuer: FakeIssuer) -> None:
    with client_of(load("fastapi_websocket").app) as client:
        with (
            pytest.raises(WebSocketDenialResponse) as denial,
            client.websocket_connect("/admin", headers=auth_header(issuer.mint("bob"))),
        ):
            pass
        assert denial.value.status_code == 403
        operator = auth_header(issuer.mint("ada", claims={"roles": ["operator"]}))
        with client.websocket_connect("/admin", headers=operator) as console:
            assert console.receive_text() == "the admin console"


def test_the_keycloak_example_maps_keycloak_claims() -> None:
    url = "http://127.0.0.1:8080/realms/agents"
    claims = {
        "typ": "Bearer",
        "realm_access": {"roles": ["agent-admin"]},
        "resource_access": {"agent-api": {"roles": ["runner"]}, "agent-ui": {"roles": ["editor"]}},
        "groups": ["/engineering/platform"],
        "tenant": "acme",
        "sid": "s-1",
    }
    with FakeIssuer(url).impersonate() as issuer, client_of(load("keycloak").app) as client:
        ada = auth_header(issuer.mint("ada", scope="agents:run", claims=claims))
        known = client.get("/whoami", headers=ada).json()
        assert known["roles"] == ["agent-admin", "runner", "agent-ui:editor"]
        person = {"name": "Ada", "email": "ada@example.com"}
        assert known["dependencies"] == {**person, "roles": known["roles"], "groups": ["/engineering/platform"]}
        assert (known["tenant"], known["session_state"], known["session_id"]) == ("acme", {"tenant": "acme"}, "s-1")
        assert client.post("/agents/a1/runs", headers=ada).status_code == 200
        assert client.delete("/agents/a1", headers=ada).status_code == 200
        bob = auth_header(issuer.mint("bob", claims={"typ": "Bearer"}))
        assert client.delete("/agents/a1", headers=bob).status_code == 403
        assert client.get("/docs").status_code == 200


def test_the_cookie_example_takes_the_cookie_from_its_own_origin_only(issuer: FakeIssuer) -> None:
    with client_of(load("cookie").app) as client:
        assert client.post("/auth/session", json={"access_token": "forged"}).status_code == 401
        logged_in = client.post("/auth/session", json={"access_token": issuer.mint("ada")})
        assert logged_in.json() == {"user_id": "ada"}
        assert "HttpOnly" in logged_in.headers["set-cookie"]
        for origin in ("https://agents.test", "https://ui.example.com"):
            assert client.post("/agents/a1/runs", headers={"origin": origin}).json()["started_by"] == "ada"
        for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {}):
            assert client.post("/agents/a1/runs", headers=headers).status_code == 403
        client.delete("/auth/session")
        assert client.post("/agents/a1/runs", headers={"origin": "https://agents.test"}).status_code == 401


def test_the_static_key_example_takes_its_own_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SECRET", SECRET)
    issuer = FakeIssuer(audience="agents")
    with client_of(load("static_keys").app) as client:
        ours = issuer.mint("ada", key=FakeKey.from_secret(SECRET.encode()), claims={"session_id": "s-1", "name": "Ada"})
        answer = client.get("/whoami", headers=auth_header(ours))
        assert answer.json() == {"user_id": "ada", "session_id": "s-1", "dependencies": {"name": "Ada"}}
        forged = issuer.mint("ada", key=FakeKey.from_secret(SECRET[::-1].encode()))
        assert client.get("/whoami", headers=auth_header(forged)).status_code == 401
        assert client.get("/health").status_code == 200
