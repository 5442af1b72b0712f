"""The app's own documentation pages: public by default, at whatever address they are served."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer, auth_header
from tests.fastapi.kit import get, protected

DOCS = ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"]


def test_docs_are_public_unless_they_are_not(issuer: FakeIssuer) -> None:
    public, private = protected(issuer), protected(issuer, public_docs=False)
    for path in DOCS:
        assert get(public, path).status_code == 200, path
        assert get(public, path + "/").status_code == 401, path
        assert get(private, path).status_code == 401, path
        assert get(private, path, issuer.mint("ada")).status_code == 200, path
    assert get(public, "/docs/x").status_code == 401


def test_docs_at_other_addresses_are_public_there_and_only_there(issuer: FakeIssuer) -> None:
    app = FastAPI(docs_url="/ui", redoc_url=None, openapi_url="/api.json", swagger_ui_oauth2_redirect_url="/ui/back")
    protected(issuer, app)
    for path in ("/ui", "/api.json", "/ui/back"):
        assert get(app, path).status_code == 200, path
    for path in DOCS:
        assert get(app, path).status_code == 401, path
    bare = protected(issuer, FastAPI(openapi_url=None))
    for path in DOCS:
        assert get(bare, path).status_code == 401, path
    hidden = protected(issuer, FastAPI(docs_url=None))
    assert get(hidden, "/docs/oauth2-redirect").status_code == 401, "nothing is served there, so nothing is public"


def test_docs_are_public_below_a_root_path_too(issuer: FakeIssuer) -> None:
    client = TestClient(protected(issuer), root_path="/api")
    for path in ("/api/docs", "/api/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.get("/api/x").status_code == 401
    assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/api"}]


def test_a_mounted_apps_docs_are_not_public(issuer: FakeIssuer) -> None:
    app = protected(issuer)
    app.mount("/sub", FastAPI())
    assert get(app, "/sub/docs").status_code == 401
    assert get(app, "/sub/docs", issuer.mint("ada")).status_code == 200


@pytest.mark.parametrize("public_docs", [True, False])
def test_exclusions_of_ones_own_stand_beside_the_docs(
    issuer: FakeIssuer, public_docs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "ISSUER_URL": issuer.issuer_url,
        "AUDIENCE": "agent-api",
        "EXCLUDED_ROUTE_PATHS": "/open",
    }.items():
        monkeypatch.setenv(f"OIDCBRIDGE_{name}", value)
    from_code = protected(issuer, public_docs=public_docs, excluded_route_paths=["/open"])
    from_environment = protect(FastAPI(), public_docs=public_docs)
    for app in (from_code, from_environment):

        @app.get("/open")
        async def open_() -> str:
            return "open"

        assert get(app, "/open").json() == "open"
        assert get(app, "/docs").status_code == (200 if public_docs else 401)
        assert get(app, "/other").status_code == 401


def test_an_apps_own_routes_at_the_docs_addresses_need_a_token(issuer: FakeIssuer) -> None:
    app = FastAPI()

    @app.api_route("/docs", methods=["POST", "PUT", "DELETE"])
    async def documents() -> str:
        return "documents"

    @app.websocket("/docs")
    async def watch(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("watching")
        await websocket.close()

    protected(issuer, app)
    client, ada = TestClient(app), auth_header(issuer.mint("ada"))
    assert client.get("/docs").status_code == 200
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, "/docs").status_code == 401
        assert client.request(method, "/docs", headers=ada).json() == "documents"
    with pytest.raises(WebSocketDenialResponse) as denial, client.websocket_connect("/docs"):
        pass
    assert denial.value.status_code == 401
    with client.websocket_connect("/docs", headers=ada) as socket:
        assert socket.receive_text() == "watching"
