"""The three examples of AgentOS's documentation, with import, key source and the tool's signature changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from agno.agent import Agent
from agno.models.message import Message
from agno.models.response import ModelResponse
from agno.os import AgentOS
from agno.run import RunContext
from fastapi import FastAPI, Form, HTTPException, Response
from fastapi.testclient import TestClient

from oidcbridge.agentos import JWTMiddleware, TokenSource
from tests.agentos.databases import Database
from tests.agentos.kit import StubModel

JWT_SECRET = "a-string-secret-at-least-256-bits-long"


@dataclass
class CallsItsTool(StubModel):
    """Calls the one tool it has, and says what came of it."""

    tool: str = ""

    def _next(self, messages: list[Message]) -> ModelResponse:
        if messages[-1].role == "tool":
            return ModelResponse(role="assistant", content=f"TOOL SAID: {messages[-1].content}")
        called = {"id": "c1", "type": "function", "function": {"name": self.tool, "arguments": "{}"}}
        return ModelResponse(role="assistant", tool_calls=[called])


def claims(sub: str, **more: object) -> dict[str, object]:
    now = datetime.now(UTC)
    return {"sub": sub, "exp": now + timedelta(hours=24), "iat": now, **more}


def sign(payload: dict[str, object], key: str = JWT_SECRET) -> str:
    return jwt.encode(payload, key, algorithm="HS256")


def get_user_details(run_context: RunContext) -> dict[str, Any]:
    """Get the current user's details."""
    dependencies = run_context.dependencies or {}
    return {name: dependencies.get(name) for name in ("name", "email", "roles")}


def get_user_profile(run_context: RunContext) -> dict[str, Any]:
    """Get the current user's profile."""
    dependencies = run_context.dependencies or {}
    return {
        "name": dependencies.get("name", "Unknown"),
        "roles": dependencies.get("roles", []),
        "organization": dependencies.get("org", "Unknown"),
    }


def agent(database: Database, name: str, tool: Callable[..., Any]) -> Agent:
    model = CallsItsTool(tool=tool.__name__)
    return Agent(id=name, model=model, db=database.connect(), tools=[tool], telemetry=False)


def ask(client: TestClient, name: str, **request: Any) -> Any:
    asked = {"message": "What do you know about me?", "stream": "false", **request.pop("data", {})}
    return client.post(f"/agents/{name}/runs", data=asked, **request)


# Authorization headers


@pytest.mark.parametrize(
    ("new_database", "source", "validate"),
    [
        ("postgres", "verification_keys", True),
        ("postgres", "verification_keys", False),
        ("sqlite", "verification_keys", True),
        ("sqlite", "verification_keys", False),
        ("sqlite", "secret_key", True),
        ("sqlite", "secret_key", False),
        ("sqlite", "JWT_SECRET_KEY", True),
        ("sqlite", "JWT_SECRET_KEY", False),
        ("sqlite", "JWT_VERIFICATION_KEY", True),  # with False AgentOS would verify, and the two exclude each other
    ],
    indirect=["new_database"],
)
def test_with_authorization_headers(
    new_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch, source: str, validate: bool
) -> None:
    key_source: dict[str, Any] = {"verification_keys": [JWT_SECRET]} if source == "verification_keys" else {}
    if source == "secret_key":
        key_source = {"secret_key": JWT_SECRET}
    elif source.isupper():
        monkeypatch.setenv(source, JWT_SECRET)
    agent_os = AgentOS(
        description="JWT Protected AgentOS",
        agents=[agent(new_database(), "user-agent", get_user_details)],
        telemetry=False,
    )
    app = agent_os.get_app()
    app.add_middleware(
        JWTMiddleware,
        **key_source,
        algorithm="HS256",
        user_id_claim="sub",
        session_id_claim="session_id",
        dependencies_claims=["name", "email", "roles"],
        validate=validate,
    )
    token = sign(
        claims("user_123", session_id="demo_session_456", name="John Doe", email="john@example.com", roles=["admin"])
    )
    with TestClient(app) as client:
        answer = ask(client, "user-agent", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert (answer.json()["user_id"], answer.json()["session_id"]) == ("user_123", "demo_session_456")
        assert "'name': 'John Doe', 'email': 'john@example.com', 'roles': ['admin']" in answer.json()["content"]
        forged = ask(client, "user-agent", headers={"Authorization": f"Bearer {sign(claims('eve'), 'x' * 32)}"})
        without = ask(client, "user-agent", data={"dependencies": '{"name": "Root"}'})
        assert (forged.status_code, without.status_code) == ((401, 401) if validate else (200, 200))
        if not validate:
            assert "'name': None" in without.json()["content"]
        assert client.get("/docs").status_code == 200


# Cookies


def cookie_app(database: Database) -> FastAPI:
    app = FastAPI()

    @app.get("/set-auth-cookie")
    async def set_auth_cookie(response: Response) -> dict[str, str]:
        token = sign(
            claims("cookie_user_789", session_id="cookie_session_123", name="Jane", roles=["user"], org="Acme")
        )
        response.set_cookie("auth_token", token, httponly=True, secure=True, samesite="strict", max_age=86400)
        return {"message": "set"}

    @app.get("/clear-auth-cookie")
    async def clear_auth_cookie(response: Response) -> dict[str, str]:
        response.delete_cookie(key="auth_token")
        return {"message": "cleared"}

    app.add_middleware(
        JWTMiddleware,
        verification_keys=[JWT_SECRET],
        algorithm="HS256",
        excluded_route_paths=["/set-auth-cookie", "/clear-auth-cookie"],
        token_source=TokenSource.COOKIE,
        cookie_name="auth_token",
        user_id_claim="sub",
        session_id_claim="session_id",
        dependencies_claims=["name", "email", "roles", "org"],
        validate=True,
    )
    return AgentOS(
        description="JWT Cookie-Based AgentOS",
        agents=[agent(database, "profile-agent", get_user_profile)],
        base_app=app,
        telemetry=False,
    ).get_app()


def test_with_cookies(new_database: Callable[[], Database]) -> None:
    ours = {"Origin": "https://testserver"}
    with TestClient(cookie_app(new_database()), base_url="https://testserver") as client:
        assert ask(client, "profile-agent", headers=ours).status_code == 401
        assert client.get("/set-auth-cookie").status_code == 200
        answer = ask(client, "profile-agent", headers=ours)
        assert answer.status_code == 200
        assert (answer.json()["user_id"], answer.json()["session_id"]) == ("cookie_user_789", "cookie_session_123")
        assert "'name': 'Jane', 'roles': ['user'], 'organization': 'Acme'" in answer.json()["content"]
        assert ask(client, "profile-agent", headers={"Origin": "https://evil.test"}).status_code == 403
        assert ask(client, "profile-agent", headers={"X-Requested-With": "curl"}).status_code == 200
        assert client.get("/docs").status_code == 200  # by the cookie: these exclusions replace the usual ones
        assert client.get("/clear-auth-cookie").status_code == 200
        assert ask(client, "profile-agent", headers=ours).status_code == 401
        assert client.get("/docs").status_code == 401


# A FastAPI app of one's own


def test_on_a_fastapi_app_of_ones_own(new_database: Callable[[], Database]) -> None:
    app = FastAPI(title="Example Custom App", version="1.0.0")
    app.add_middleware(
        JWTMiddleware,
        secret_key=JWT_SECRET,
        excluded_route_paths=["/auth/login", "/docs", "/openapi.json"],
        validate=True,
    )

    @app.post("/auth/login")
    async def login(username: str = Form(...), password: str = Form(...)) -> dict[str, str]:
        if (username, password) != ("demo", "password"):
            raise HTTPException(status_code=401, detail="Invalid credentials")
        return {"access_token": sign(claims("user_123", username=username)), "token_type": "bearer"}

    app = AgentOS(
        description="JWT Protected AgentOS",
        agents=[agent(new_database(), "research-agent", get_user_details)],
        base_app=app,
        telemetry=False,
    ).get_app()
    with TestClient(app) as client:
        assert client.post("/auth/login", data={"username": "demo", "password": "guess"}).status_code == 401
        login_answer = client.post("/auth/login", data={"username": "demo", "password": "password"})
        headers = {"Authorization": f"Bearer {login_answer.json()['access_token']}"}
        assert client.get("/config", headers=headers).status_code == 200
        refused = client.get("/config")
        assert (refused.status_code, refused.json()["detail"]) == (401, "Not authenticated")
        answer = ask(client, "research-agent", headers=headers)
        assert (answer.status_code, answer.json()["user_id"]) == (200, "user_123")
        assert ask(client, "research-agent").status_code == 401
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").status_code == 200
