"""`JWTMiddleware` beside the layers that AgentOS, its environment or its user have put on the same app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agno.os.authz import Authorization
from agno.os.config import AuthorizationConfig
from agno.os.middleware.jwt import JWTMiddleware as AgnosOwn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.agentos import JWTMiddleware, protect
from oidcbridge.testing import FakeKey, auth_header
from tests.agentos.jwt_kit import EVIL, GOOD, OTHER, SECRET, SOCKET, based, behind, frames, having, key_file, token
from tests.agentos.kit import EVERYTHING, make_os, run, serving

KEY = FakeKey.generate("ES256")


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


@pytest.mark.parametrize("placed", ["on AgentOS's app", "on the app it is based on"])
@pytest.mark.parametrize(
    "environment",
    [{"JWT_VERIFICATION_KEY": OTHER}, {"OS_SECURITY_KEY": "s3cret"}, {"JWT_VERIFICATION_KEY": SECRET}],
    ids=lambda value: ",".join(f"{name}={text[:3]}" for name, text in value.items()),
)
def test_agnos_environment_opens_nothing_and_shuts_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, placed: str, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said: dict[str, Any] = {"authorization": True, "dependencies_claims": ["name"]}
    if placed == "on AgentOS's app":
        probe = make_os(tmp_path)
        app = behind(probe, **said)
    else:
        probe, app = based(tmp_path, **said)
    with serving(app) as client:
        assert client.get("/agents").status_code == 401
        assert run(client, "/agents/a1", auth_header("s3cret")).status_code == 401
        assert run(client, "/agents/a1", auth_header(token(key=OTHER, scopes=[EVERYTHING]))).status_code == 401
        assert run(client, "/agents/a1", having("sessions:read")).status_code == 403
        assert probe.seen == []
        assert run(client, "/agents/a1", having("agents:run", name="Ada"), **EVIL).status_code == 200
        assert probe.last.dependencies == {"name": "Ada"}
        assert frames(client, token(key=OTHER, scopes=[EVERYTHING]))[1:] == ("auth_error", "auth_required")
        assert frames(client, token(scopes=["workflows:run"])) == GOOD


def test_a_layer_further_out_that_has_decided_decides_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = FakeKey.generate("RS256")
    monkeypatch.setenv("JWT_VERIFICATION_KEY", key.public_pem())
    probe, app = based(tmp_path, secret_key=None, verification_keys=[key.public_pem()], authorization=True)
    client = TestClient(app)  # no lifespan: agno's own layer, outside, has the first word on the first request
    assert run(client, "/agents/a1", auth_header(token(key))).status_code == 403
    endless = token(key, scopes=[EVERYTHING], exp=None)
    assert run(client, "/agents/a1", auth_header(endless)).status_code == 401
    assert probe.seen == []
    assert run(client, "/agents/a1", auth_header(token(key, scopes=["agents:run"]))).status_code == 200


def _twice(folder: Path) -> FastAPI:
    app = behind(make_os(folder))
    app.add_middleware(JWTMiddleware, secret_key=SECRET)
    return app


def _agnos_own(folder: Path) -> FastAPI:
    app = behind(make_os(folder))
    app.add_middleware(AgnosOwn, verification_keys=[SECRET], algorithm="HS256")
    return app


def _keys_in_the_agent_os(folder: Path) -> FastAPI:
    config = AuthorizationConfig(verification_keys=[SECRET], algorithm="HS256")
    return behind(make_os(folder, authorization=True, authorization_config=config), authorization=True)


def _protected(folder: Path) -> FastAPI:
    app = protect(make_os(folder).agent_os, secret_key=SECRET)
    app.add_middleware(JWTMiddleware, secret_key=SECRET)
    return app


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_twice, "stands twice"),
        (_agnos_own, "keys of its own"),
        (_keys_in_the_agent_os, "keys of its own"),
        (_protected, "protected this AgentOS already"),
    ],
)
def test_what_cannot_stand_beside_it_is_named_and_nothing_is_served(tmp_path: Path, build: Any, message: str) -> None:
    client = TestClient(build(tmp_path), raise_server_exceptions=True)
    with pytest.raises(ConfigurationError, match=message):
        client.get("/agents", headers=having(EVERYTHING))
    with pytest.raises(ConfigurationError, match=message), client.websocket_connect(SOCKET):
        pass


@pytest.mark.parametrize("said", [{}, {"validate": False}, {"authorization": True}])
def test_an_agent_os_that_demands_scopes_is_never_asked_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    monkeypatch.setenv("JWT_VERIFICATION_KEY", OTHER)
    app = behind(make_os(tmp_path, authorization=Authorization()), **said)
    client = TestClient(app)
    if said == {"authorization": True}:
        assert run(client, "/agents/a1", having()).status_code == 403
        assert run(client, "/agents/a1", having("agents:run")).status_code == 200
    else:
        with pytest.raises(ConfigurationError, match="AgentOS"):
            run(client, "/agents/a1", having())


@pytest.mark.parametrize("variable", ["JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"])
def test_no_key_of_the_environment_opens_an_mcp_that_is_left_to_a_provider_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for folder in ("without", "with", "not-excluded"):
        (tmp_path / folder).mkdir()
    with serving(behind(make_os(tmp_path / "without", mcp=True), excluded_route_paths=["/mcp"])) as client:
        assert client.get("/agents", headers=having()).status_code == 200
    monkeypatch.setenv(variable, OTHER if variable == "JWT_VERIFICATION_KEY" else key_file(tmp_path, KEY))
    app = behind(make_os(tmp_path / "with", mcp=True), excluded_route_paths=["/mcp"])
    with pytest.raises(ConfigurationError, match=f"{variable} is set"):
        TestClient(app).get("/agents", headers=having())
    with serving(behind(make_os(tmp_path / "not-excluded", mcp=True))) as client:
        assert client.get("/agents", headers=having()).status_code == 200
