"""The AgentOS examples and the page about AgentOS do what they say: run as written, against a fake issuer.

tests/e2e runs the examples in front of a real Keycloak, over every transport.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from oidcbridge.testing import FakeIssuer, Provider, auth_header
from tests.agentos.kit import run
from tests.agentos.openai_stub import SAID, OpenAIStub

ROOT = Path(__file__).parents[2]
OURS = "http://127.0.0.1:8000"
EXAMPLES = {
    "agentos_keycloak": "user_id=ada name=Ada roles=['agent-user']",
    "agentos_cookies": "user_id=ada name=Ada",
    "agentos_custom_fastapi": "user_id=ada email=ada@example.com",
    "agentos_mcp": "user_id=ada",
    "agentos_rbac": "user_id=ada groups=['/engineering/platform']",
}
"""Name -> what the agent's tool says of ada."""
ADA: dict[str, object] = {"name": "Ada", "email": "ada@example.com", "email_verified": True}
KEYCLOAK, AUTH0 = "https://id.example.com/realms/acme", "https://acme.eu.auth0.com/"
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
MADE_FOR = "57cbishk4j24pabc1234567890"


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The examples' model answers, and their database is the test's own."""
    monkeypatch.chdir(tmp_path)
    with OpenAIStub() as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
        yield


@contextmanager
def serving(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=OURS) as client:
        yield client


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_its_agent_for_who_has_a_token_and_for_nobody_else(
    name: str, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KEYCLOAK_ISSUER_URL", "OIDCBRIDGE_ISSUER_URL"):
        monkeypatch.setenv(variable, issuer.issuer_url)
    monkeypatch.setenv("OIDCBRIDGE_AUDIENCE", "agent-api")
    if name in ("agentos_keycloak", "agentos_rbac"):  # these say everything themselves
        monkeypatch.delenv("OIDCBRIDGE_ISSUER_URL")
        monkeypatch.delenv("OIDCBRIDGE_AUDIENCE")
    claims = {**ADA, "roles": ["agent-user"], "groups": ["/engineering/platform"]}
    token = issuer.mint("ada", audience="agent-api", scope="agents:run", claims=claims)
    sent = {"cookie": f"agent_token={token}", "origin": OURS} if name == "agentos_cookies" else auth_header(token)
    path = "/agents/clerk" if name == "agentos_custom_fastapi" else "/agents/helper"
    with serving(runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["app"]) as client:
        assert run(client, path, {"origin": OURS}).status_code == 401
        assert run(client, path, sent).json()["content"] == SAID + EXAMPLES[name]


def page(number: int) -> FastAPI:
    """The app of the page's first block, or with the ``protect`` of a later one in place of its own."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "agentos.md").read_text(encoding="utf-8"), re.DOTALL)
    first, protects, _ = blocks[0].partition("app = protect(")
    assert protects
    own = "agent_os = AgentOS(agents=[helper], db=db)\n"
    code = blocks[0] if number == 0 else first + own + blocks[number]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/agentos.md", "exec", dont_inherit=True), names)
    app: FastAPI = names["app"]
    return app


@pytest.mark.parametrize(
    ("number", "provider", "url", "said", "status"),
    [
        (0, "keycloak", KEYCLOAK, {"claims": {"realm_access": {"roles": ["agent-user"]}}}, 200),
        (0, "keycloak", KEYCLOAK, {"claims": {"realm_access": {"roles": ["staff"]}}}, 403),
        (1, "keycloak", KEYCLOAK, {"claims": {"groups": ["/ops"]}}, 200),
        (1, "keycloak", KEYCLOAK, {"claims": {"groups": ["/staff"]}}, 403),
        (2, "auth0", AUTH0, {"claims": {"permissions": ["agents:run"]}}, 200),
        (2, "auth0", AUTH0, {"claims": {"https://agents.example.com/roles": ["ops"]}}, 200),
        (2, "auth0", AUTH0, {"claims": {"permissions": ["agents:read"]}}, 403),
        (3, "cognito", COGNITO, {"client_id": MADE_FOR, "claims": {"cognito:groups": ["agent-users"]}}, 200),
        (3, "cognito", COGNITO, {"client_id": MADE_FOR, "claims": {"cognito:groups": ["staff"]}}, 403),
        (3, "cognito", COGNITO, {"client_id": MADE_FOR, "scope": "agents/run"}, 200),
        (3, "cognito", COGNITO, {"client_id": "another", "scope": "agents/run"}, 401),
    ],
)
def test_the_page_lets_in_whom_it_says(
    number: int, provider: Provider, url: str, said: Mapping[str, Any], status: int
) -> None:
    audience = {"keycloak": "agent-api", "auth0": "https://agents.example.com"}.get(provider)
    with FakeIssuer(url, provider=provider).impersonate() as issuer, serving(page(number)) as client:
        token = issuer.mint("ada", **{"audience": audience, "scope": "openid profile", **said})
        answer = run(client, "/agents/helper", auth_header(token))
        assert answer.status_code == status
        if status == 200:
            assert answer.json()["content"].startswith(f"{SAID}ada {{")
