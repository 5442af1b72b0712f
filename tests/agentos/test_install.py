"""Once protected, an AgentOS has no other app; and whatever would leave it half protected is refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agno.os.authz import Authorization
from agno.os.config import AuthorizationConfig
from agno.os.middleware.jwt import JWTMiddleware
from fastapi import FastAPI
from fastapi.testclient import TestClient

import oidcbridge.fastapi
from oidcbridge import ConfigurationError, OIDCMiddleware, Verifier
from oidcbridge.agentos import protect
from oidcbridge.fastapi import CurrentPrincipal
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.kit import EVERYTHING, bearer, make_os, run, secure, serving


def test_the_app_refuses_who_has_no_token_and_serves_who_has_one(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    with serving(secure(probe, issuer)) as client:
        refused = client.get("/agents")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert run(client, "/agents/a1", {}).status_code == 401
        assert probe.seen == []
        assert run(client, "/agents/a1", bearer(issuer)).status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/info").json()["auth_mode"] == "jwt"
    assert [seen.user_id for seen in probe.seen] == ["ada"]


def test_whatever_asks_the_agent_os_for_its_app_or_routes_gets_the_protected_one(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    agent_os = make_os(tmp_path).agent_os
    app = protect(agent_os, issuer_url=issuer.issuer_url, audience=issuer.audience)
    assert agent_os.get_app() is app
    assert {route.path for route in agent_os.get_routes() if hasattr(route, "path")} >= {"/agents", "/workflows/ws"}
    assert agent_os.get_app() is app
    with serving(agent_os.get_app()) as client:
        assert client.get("/agents").status_code == 401


def test_an_app_made_before_is_open_and_so_is_a_reason_to_stop(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    probe.agent_os.get_app()
    with pytest.raises(ConfigurationError, match=r"before get_app\(\)"):
        secure(probe, issuer)


def test_a_second_protect_is_refused_and_the_first_stands(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    app = secure(probe, issuer)
    with pytest.raises(ConfigurationError, match="protected already"):
        secure(probe, issuer)
    with pytest.raises(ConfigurationError, match="protected already"):
        oidcbridge.fastapi.protect(app, issuer_url=issuer.issuer_url, audience=issuer.audience)
    with serving(app) as client:
        assert client.get("/agents").status_code == 401


@pytest.mark.parametrize("layer", [JWTMiddleware, OIDCMiddleware])
def test_a_layer_that_base_app_has_already_is_refused(tmp_path: Path, issuer: FakeIssuer, layer: Any) -> None:
    base = FastAPI()
    base.add_middleware(layer)
    with pytest.raises(ConfigurationError, match=f"{layer.__name__} already"):
        secure(make_os(tmp_path, base_app=base), issuer)


def test_a_base_app_that_is_protected_already_is_refused(tmp_path: Path, issuer: FakeIssuer) -> None:
    base = oidcbridge.fastapi.protect(FastAPI(), issuer_url=issuer.issuer_url, audience=issuer.audience)
    with pytest.raises(ConfigurationError, match="base_app is protected already"):
        secure(make_os(tmp_path, base_app=base), issuer)


def test_a_layer_added_afterwards_opens_nothing(tmp_path: Path, issuer: FakeIssuer) -> None:
    app = secure(make_os(tmp_path), issuer)
    app.add_middleware(OIDCMiddleware, issuer_url=issuer.issuer_url, audience=issuer.audience)
    with serving(app) as client:
        assert client.get("/agents").status_code == 401
        assert client.get("/agents", headers=bearer(issuer, scope=EVERYTHING)).status_code == 200


def test_base_app_keeps_its_routes_and_lifespan_and_is_covered(tmp_path: Path, issuer: FakeIssuer) -> None:
    events = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    base = FastAPI(lifespan=lifespan)

    @base.get("/own")
    async def own(principal: CurrentPrincipal) -> str:
        return principal.user_id

    app = secure(make_os(tmp_path, base_app=base), issuer)
    assert app is base
    with serving(app) as client:
        assert client.get("/own").status_code == 401
        answer = client.get("/own", headers=bearer(issuer))
        assert (answer.status_code, answer.json()) == (200, "ada")
        assert client.get("/agents").status_code == 401
    assert events == ["up", "down"]


@pytest.mark.parametrize(
    ("environment", "token"),
    [
        ({"OS_SECURITY_KEY": "s3cret"}, "s3cret"),
        ({"JWT_VERIFICATION_KEY": "a-shared-secret-of-some-length-that-fits"}, "s3cret"),
        ({"OS_SECURITY_KEY": "s3cret", "JWT_VERIFICATION_KEY": "another"}, "s3cret"),
    ],
)
def test_agnos_environment_changes_nothing(
    tmp_path: Path, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], token: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serving(secure(make_os(tmp_path), issuer)) as client:
        assert client.get("/agents", headers=auth_header(token)).status_code == 401
        assert client.get("/agents", headers=bearer(issuer, scope=EVERYTHING)).status_code == 200
        with client.websocket_connect("/workflows/ws") as socket:
            socket.receive_json()
            socket.send_json({"action": "authenticate", "token": token})
            assert socket.receive_json()["event"] == "auth_error"


def test_keyless_authorization_of_the_agent_os_is_accepted(tmp_path: Path, issuer: FakeIssuer) -> None:
    for number, authorization in enumerate((True, Authorization())):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serving(secure(make_os(folder, authorization=authorization), issuer)) as client:
            assert client.get("/agents").status_code == 401
            assert run(client, "/agents/a1", bearer(issuer)).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "named"),
    [
        (Authorization(verification_keys=["key"]), "verification_keys"),
        (Authorization(jwks_file="keys.json"), "jwks_file"),
        (Authorization(verify_audience=True), "audience"),
        (Authorization(issuer="https://elsewhere.test"), "issuer"),
    ],
)
def test_what_the_agent_os_says_of_tokens_itself_is_to_be_said_to_protect(
    tmp_path: Path, issuer: FakeIssuer, authorization: Authorization, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        secure(make_os(tmp_path, authorization=authorization), issuer)


@pytest.mark.parametrize("argument", ["validate", "require_authentication"])
def test_what_would_let_anybody_in_is_refused(tmp_path: Path, issuer: FakeIssuer, argument: str) -> None:
    with pytest.raises(ConfigurationError, match=argument):
        secure(make_os(tmp_path), issuer, **{argument: False})


def test_a_mistake_in_the_arguments_shows_on_the_line_and_leaves_the_agent_os_as_it_was(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    probe = make_os(tmp_path)
    with pytest.raises(ConfigurationError, match="audience"):
        protect(probe.agent_os, issuer_url=issuer.issuer_url)
    with pytest.raises(TypeError, match="audiense"):
        secure(probe, issuer, audiense="x")
    with pytest.raises(ConfigurationError, match="takes an AgentOS"):
        protect(FastAPI(), issuer_url=issuer.issuer_url, audience="x")  # type: ignore[arg-type]
    with serving(secure(probe, issuer)) as client:
        assert client.get("/agents").status_code == 401


def test_a_ready_verifier_is_taken_too(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience, dependencies_claims=["email"])
    with serving(protect(probe.agent_os, verifier)) as client:
        assert run(client, "/agents/a1", bearer(issuer, email="ada@example.com")).status_code == 200
    assert probe.last.dependencies == {"email": "ada@example.com"}


def test_it_starts_while_the_provider_is_down_and_says_503_until_it_is_back(
    tmp_path: Path, frail_issuer: FakeIssuer
) -> None:
    frail_issuer.down = True
    app = secure(make_os(tmp_path), frail_issuer)
    assert frail_issuer.fetches.total() == 0
    with serving(app) as client:
        refused = client.get("/agents", headers=bearer(frail_issuer))
        assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200


def test_exclusions_add_to_agnos_own(tmp_path: Path, issuer: FakeIssuer) -> None:
    config = AuthorizationConfig(excluded_route_paths=["/theirs"])
    base = FastAPI()
    for path in ("/ours", "/theirs", "/private"):
        base.add_api_route(path, lambda: "served")
    probe = make_os(tmp_path, base_app=base, authorization=True, authorization_config=config)
    with serving(secure(probe, issuer, excluded_route_paths=["/ours"])) as client:
        public = ["/ours", "/theirs", "/health", "/info", "/openapi.json"]
        assert [client.get(path).status_code for path in public] == [200] * len(public)
        assert client.get("/private").status_code == 401
        assert client.get("/ours/%2e%2e/private").status_code == 401


def test_resync_keeps_the_protection_and_serves_what_came_since(tmp_path: Path, issuer: FakeIssuer) -> None:
    probe = make_os(tmp_path)
    app = secure(probe, issuer)
    agent = probe.agent_os.agents[0]  # type: ignore[index]
    probe.agent_os.agents.append(agent.deep_copy(update={"id": "a3", "name": "a3"}))  # type: ignore[union-attr]
    with serving(app) as client:
        probe.agent_os.resync(app)
        assert run(client, "/agents/a3", {}).status_code == 401
        assert run(client, "/agents/a3", bearer(issuer)).status_code == 200


def test_the_docs_page_logs_in_at_the_provider(tmp_path: Path, issuer: FakeIssuer) -> None:
    app = secure(make_os(tmp_path), issuer, swagger_client_id="docs")
    with serving(app) as client:
        client.get("/agents", headers=bearer(issuer))  # discovery is known from now on
        assert '"clientId": "docs"' in client.get("/docs").text
        schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes["oidcbridge"]["flows"]["authorizationCode"]["authorizationUrl"].startswith(issuer.issuer_url)


def test_a_test_client_may_come_back(tmp_path: Path, issuer: FakeIssuer) -> None:
    app = secure(make_os(tmp_path), issuer)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/agents", headers=bearer(issuer, scope=EVERYTHING)).status_code == 200
