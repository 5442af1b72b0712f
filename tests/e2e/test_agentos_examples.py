"""Each AgentOS example, run as its page says, in front of a real Keycloak; only the model provider is a stub.

The examples run in the environment of `make agentos`. Without it these tests are skipped; with CI=true they fail.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from oidcbridge.testing import FakeIssuer
from tests.agentos.openai_stub import SAID, OpenAIStub
from tests.e2e.agent_server import ROOT
from tests.e2e.example_server import ExampleServer, agno_python
from tests.e2e.keycloak_server import KeycloakServer
from tests.e2e.test_tokens import claims_of, header_of

Serve = Callable[[str], ExampleServer]
EXAMPLES = ("agentos_keycloak", "agentos_cookies", "agentos_custom_fastapi", "agentos_mcp", "agentos_rbac")
AGENT = {"agentos_custom_fastapi": "clerk"}
MALLORY = {"user_id": "mallory", "dependencies": json.dumps({"name": "Mallory", "roles": ["agent-admin"]})}
"""What a client says of itself in a run's form."""


@pytest.fixture(scope="module")
def python() -> Path:
    found = agno_python()
    if found is not None:
        return found
    reason = "agno is not there: make agentos makes its environment, or AGENTOS_PYTHON names the interpreter of one"
    if os.environ.get("CI") == "true":
        pytest.fail(f"the AgentOS examples could not run: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIStub]:
    with OpenAIStub() as stub:
        yield stub


@pytest.fixture(scope="module")
def serve(
    python: Path, keycloak: KeycloakServer, model: OpenAIStub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """An example by its name; each is started once and runs until the last test of this file."""
    said = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "not-a-key"}
    said |= {"KEYCLOAK_ISSUER_URL": keycloak.issuer_url}
    said |= {"OIDCBRIDGE_ISSUER_URL": keycloak.issuer_url, "OIDCBRIDGE_AUDIENCE": "agent-api"}
    running: dict[str, ExampleServer] = {}
    with ExitStack() as stack:

        def start(name: str) -> ExampleServer:
            if name not in running:
                server = ExampleServer(name, python, tmp_path_factory.mktemp(name), said)
                running[name] = stack.enter_context(server)
            return running[name]

        yield start


# Tokens are made anew for every test: Keycloak's live for five minutes, and on a slow machine this file takes longer.
@pytest.fixture
def ada(keycloak: KeycloakServer) -> str:
    """The token of somebody who logged in by the form, with roles, a group and the scope that those allow."""
    tokens = keycloak.login_with_pkce("agent-ui", "ada", "ada-pw", scope="openid profile email agents:run")
    token: str = tokens["access_token"]
    return token


@pytest.fixture
def bob(keycloak: KeycloakServer) -> str:
    """The token of somebody without a role or a group: the client scope ``agents:run`` is not for him."""
    token: str = keycloak.password_token("agent-ui", "bob", "bob-pw", scope="openid agents:run")["access_token"]
    return token


@pytest.fixture
def forged(ada: str, keycloak: KeycloakServer) -> str:
    """What Keycloak says of ada, signed by somebody else under Keycloak's name and key id."""
    said = claims_of(ada)
    claims = {name: value for name, value in said.items() if name not in {"exp", "scope"}}
    with FakeIssuer(keycloak.issuer_url).impersonate() as issuer:
        return issuer.mint(scope="agent_os:admin", claims=claims, header={"kid": header_of(ada)["kid"]})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by_cookie(token: str, origin: str) -> dict[str, str]:
    return {"Cookie": f"agent_token={token}", "Origin": origin}


def frame(socket: ClientConnection, *events: str) -> dict[str, Any]:
    """The next frame of one of these events; a run's come as server-sent events. agno says "authenticated" twice."""
    while True:
        text = str(socket.recv(timeout=30))
        found: dict[str, Any] = json.loads(text if text.startswith("{") else text.partition("data: ")[2])
        if found.get("event") in events and (found["event"] != "authenticated" or "user_id" in found):
            return found


def run_workflow(socket: ClientConnection) -> dict[str, Any]:
    """What comes of starting the workflow."""
    socket.send(json.dumps({"action": "start-workflow", "workflow_id": "briefing", "message": "hi"}))
    return frame(socket, "WorkflowCompleted", "auth_required", "auth_error", "error")


def authenticate(socket: ClientConnection, token: str) -> dict[str, Any]:
    socket.send(json.dumps({"action": "authenticate", "token": token}))
    return frame(socket, "authenticated", "auth_error")


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_a_token_or_with_a_forged_one_nothing_runs(
    serve: Serve, model: OpenAIStub, forged: str, name: str
) -> None:
    example, asked = serve(name), len(model.asked)
    agent = AGENT.get(name, "helper")
    cookie = name == "agentos_cookies"
    nobody = example.run(agent, {"Origin": example.base_url} if cookie else {})
    forger = example.run(agent, by_cookie(forged, example.base_url) if cookie else bearer(forged))
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert forger.status_code == 401
    assert forger.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert "bad_signature" in example.log, "and for no other reason"
    assert len(model.asked) == asked, "the model was asked on behalf of nobody"


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_tool_knows_the_user_and_the_claims_that_keycloak_vouches_for_and_not_what_the_client_says(
    serve: Serve, ada: str, stream: str
) -> None:
    answer = serve("agentos_keycloak").run("helper", bearer(ada), stream=stream, **MALLORY).raise_for_status()
    if stream == "true":
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        names = [event["event"] for event in events]
        assert names[0] == "RunStarted"
        assert names.count("RunContent") > 3, "the model's words came one by one"
        said = "".join(event["content"] for event in events if event["event"] == "RunContent")
    else:
        said = answer.json()["content"]
    assert said.startswith(f"{SAID}user_id={claims_of(ada)['sub']} name=Ada Lovelace roles=")
    assert "'agent-user'" in said
    assert "allory" not in said


def test_who_has_no_role_is_refused_with_the_scope_that_it_takes_and_the_log_says_what_to_write(
    serve: Serve, bob: str
) -> None:
    example = serve("agentos_keycloak")
    refused = example.run("helper", bearer(bob))
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert "agents:run" in refused.json()["detail"]
    assert "To allow it, add a rule to protect(): scopes_from={" in example.log
    assert bob not in example.log


def test_the_workflows_socket_runs_nothing_until_a_token_of_keycloak_s_comes(
    serve: Serve, ada: str, forged: str
) -> None:
    with connect(serve("agentos_keycloak").socket_url, proxy=None) as socket:
        assert run_workflow(socket)["event"] == "auth_required"
        assert authenticate(socket, forged)["event"] == "auth_error"
        assert run_workflow(socket)["event"] == "auth_required"
        assert authenticate(socket, ada)["user_id"] == claims_of(ada)["sub"]
        done = run_workflow(socket)
        assert done["event"] == "WorkflowCompleted"
        assert f"user_id={claims_of(ada)['sub']}" in done["content"]


def test_a_cookie_starts_a_run_from_an_allowed_origin_alone(serve: Serve, model: OpenAIStub, ada: str) -> None:
    example = serve("agentos_cookies")
    for origin in (example.base_url, "https://ui.example.com"):
        said = example.run("helper", by_cookie(ada, origin)).raise_for_status().json()["content"]
        assert said == f"{SAID}user_id={claims_of(ada)['sub']} name=Ada Lovelace"
    asked = len(model.asked)
    for origin in ("https://evil.example", "null"):
        assert example.run("helper", by_cookie(ada, origin)).status_code == 403
    assert example.run("helper", {"Cookie": f"agent_token={ada}"}).status_code == 403, "no page says its origin"
    assert example.run("helper", bearer(ada)).status_code == 401, "this one reads cookies alone"
    assert len(model.asked) == asked


def test_a_login_puts_a_good_token_into_a_cookie_that_scripts_cannot_read(serve: Serve, ada: str, forged: str) -> None:
    example = serve("agentos_cookies")
    refused = example.post("/auth/session", {"access_token": forged})
    assert (refused.status_code, refused.headers.get("set-cookie")) == (401, None)
    logged_in = example.post("/auth/session", {"access_token": ada}).raise_for_status()
    assert logged_in.json() == {"user_id": claims_of(ada)["sub"]}
    assert {"HttpOnly", "Secure", "SameSite=strict"} <= set(logged_in.headers["set-cookie"].split("; "))


def test_the_handshake_s_cookie_authenticates_the_socket_of_our_own_pages(serve: Serve, ada: str) -> None:
    example = serve("agentos_cookies")
    cookie = {"Cookie": f"agent_token={ada}"}
    own: Any = example.base_url
    with connect(example.socket_url, origin=own, additional_headers=cookie, proxy=None) as socket:
        assert frame(socket, "authenticated")["user_id"] == claims_of(ada)["sub"]
        assert run_workflow(socket)["event"] == "WorkflowCompleted"
    evil: Any = "https://evil.example"
    with pytest.raises(InvalidStatus) as refusal:
        connect(example.socket_url, origin=evil, additional_headers=cookie, proxy=None)
    assert refusal.value.response.status_code == 403


def test_the_routes_of_an_app_of_one_s_own_are_protected_with_the_agents(serve: Serve, ada: str, bob: str) -> None:
    example = serve("agentos_custom_fastapi")
    assert example.get("/status").json() == {"status": "open"}
    assert example.get("/account").status_code == 401
    assert example.get("/account", ada).json()["user_id"] == claims_of(ada)["sub"]
    assert example.request("DELETE", "/orders/7", bob).status_code == 403
    assert example.request("DELETE", "/orders/7", ada).json() == {"cancelled": "7"}
    said = example.run("clerk", bearer(ada)).raise_for_status().json()["content"]
    assert said == f"{SAID}user_id={claims_of(ada)['sub']} email=ada@example.com"


def test_roles_and_groups_decide_which_agent_may_be_run(
    serve: Serve, keycloak: KeycloakServer, ada: str, bob: str
) -> None:
    example = serve("agentos_rbac")
    service = keycloak.client_credentials_token("agent-svc", "svc-secret")["access_token"]  # a role, and no group
    said = example.run("operator", bearer(ada)).raise_for_status().json()["content"]
    assert said == f"{SAID}user_id={claims_of(ada)['sub']} groups=['/engineering/platform']"
    assert example.run("helper", bearer(service)).status_code == 200
    listed = {agent["id"] for agent in example.get("/agents", service).raise_for_status().json()}
    assert listed == {"helper"}
    for caller, agent in ((service, "operator"), (bob, "helper"), (bob, "operator")):
        refused = example.run(agent, bearer(caller))
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


def test_an_agent_and_a_tool_are_called_over_mcp_by_who_has_the_scope(
    serve: Serve, python: Path, ada: str, bob: str
) -> None:
    example = serve("agentos_mcp")
    known = call_mcp(python, example, "ask_helper", ada, message="Who am I?")
    assert (known["tools"], known["is_error"]) == (["ask_helper", "caller"], False)
    assert f"user_id={claims_of(ada)['sub']}" in known["answer"]
    told = json.loads(call_mcp(python, example, "caller", ada)["answer"])
    assert (told["user_id"], told["issuer"]) == (claims_of(ada)["sub"], claims_of(ada)["iss"])
    refused = call_mcp(python, example, "ask_helper", bob, message="Who am I?")
    assert refused["is_error"]
    assert refused["answer"].endswith("Insufficient permissions. Required scope(s): agents:run")


def test_an_mcp_client_without_a_token_or_with_a_forged_one_is_led_to_keycloak(
    serve: Serve, keycloak: KeycloakServer, forged: str
) -> None:
    example = serve("agentos_mcp")
    metadata = f"{example.base_url}/.well-known/oauth-protected-resource/mcp"
    for headers in ({}, bearer(forged)):
        refused = example.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers)
        assert refused.status_code == 401
        assert f'resource_metadata="{metadata}"' in refused.headers["www-authenticate"]
    document = example.get("/.well-known/oauth-protected-resource/mcp").raise_for_status().json()
    assert document["resource"] == f"{example.base_url}/mcp"
    assert document["authorization_servers"] == [keycloak.issuer_url]


def call_mcp(python: Path, example: ExampleServer, tool: str, token: str, **arguments: str) -> Mapping[str, Any]:
    """What fastmcp's own client gets."""
    command = [str(python), str(ROOT / "tests/e2e/mcp_client.py"), f"{example.base_url}/mcp", tool]
    done = subprocess.run(
        [*command, json.dumps(arguments)], input=token, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
