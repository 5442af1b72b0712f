"""What people meet in a real browser: Swagger UI's Authorize button against Keycloak, and pages of another origin."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from oidcbridge.fastapi import UserId, protect
from oidcbridge.testing import FakeIssuer, LoopbackServer
from tests.e2e.agent_server import AgentServer
from tests.e2e.browser import BrowserUnavailableError, SwaggerUI, chromium, new_page, swagger_ui_files
from tests.e2e.keycloak_server import KeycloakServer

RUN = "/agents/{agent_id}/runs"
NO_CREDENTIAL = {"detail": "Not authenticated", "error": "missing_credential", "code": "missing_credential"}


def skip_or_fail(error: BrowserUnavailableError) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"the browser tests could not run: {error}")
    pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except BrowserUnavailableError as error:
        skip_or_fail(error)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as page:
        yield page


# Swagger UI: FastAPI's own /docs page, as protect() leaves it.


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    try:
        return swagger_ui_files(tmp_path_factory.mktemp("swagger-ui"))
    except BrowserUnavailableError as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def agent(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentServer]:
    """examples/keycloak.py, with `agent-ui` allowed to log in from the port that it got."""
    (client,) = keycloak.admin("GET", "/clients?clientId=agent-ui").json()
    with AgentServer(keycloak.issuer_url, tmp_path_factory.mktemp("agent") / "log") as server:
        wait_until_the_login_is_known(server)
        callback = f"{server.base_url}/docs/oauth2-redirect"
        keycloak.update_client("agent-ui", redirectUris=[callback], webOrigins=[server.base_url])
        yield server
    keycloak.update_client("agent-ui", redirectUris=client["redirectUris"], webOrigins=client["webOrigins"])


def wait_until_the_login_is_known(server: AgentServer) -> None:
    """The app starts without waiting for discovery; until it has been read, the page asks for a plain bearer."""
    give_up = time.monotonic() + 30
    while server.get("/openapi.json").json()["components"]["securitySchemes"]["oidcbridge"]["type"] != "oauth2":
        assert time.monotonic() < give_up, f"discovery was never read:\n{server.log}"
        time.sleep(0.1)


def test_authorize_logs_in_at_keycloak_and_the_page_then_calls_protected_routes(
    page: Page, files: dict[str, bytes], keycloak: KeycloakServer, agent: AgentServer, tmp_path: Path
) -> None:
    docs = SwaggerUI(page, f"{agent.base_url}/docs", files)
    assert docs.execute("/whoami") == ("401", NO_CREDENTIAL)

    dialog = docs.open_dialog()
    expect(dialog).to_contain_text("authorizationCode with PKCE")
    expect(dialog.get_by_label("client_id:")).to_have_value("agent-ui")
    assert docs.scopes() == {"openid": True, "agents:run": False}
    page.screenshot(path=tmp_path / "1-dialog.png")
    docs.close_dialog()

    docs.log_in("ada", "ada-pw", scopes=["agents:run"])  # agent-ui is a client that Keycloak refuses without PKCE
    status, known = docs.execute("/whoami")
    (ada,) = keycloak.admin("GET", "/users?username=ada&exact=true").json()
    assert (status, known["user_id"]) == ("200", ada["id"])
    assert docs.execute(RUN, agent_id="a1") == ("200", {"agent": "a1", "started_by": ada["id"]})
    page.screenshot(path=tmp_path / "2-run.png", full_page=True)

    docs.log_out()
    assert docs.execute("/whoami")[0] == "401"


def test_a_scope_that_was_not_chosen_in_the_dialog_is_missing_at_the_route(
    page: Page, files: dict[str, bytes], agent: AgentServer
) -> None:
    docs = SwaggerUI(page, f"{agent.base_url}/docs", files)
    docs.log_in("ada", "ada-pw")
    status, body = docs.execute(RUN, agent_id="a1")
    assert (status, body["code"]) == ("403", "insufficient_scope")
    assert docs.execute("/whoami")[0] == "200"


def test_with_the_provider_down_the_page_still_stands_and_asks_for_a_plain_token(
    page: Page, files: dict[str, bytes], tmp_path: Path
) -> None:
    with AgentServer("http://127.0.0.1:1/realms/none", tmp_path / "log") as agent:
        docs = SwaggerUI(page, f"{agent.base_url}/docs", files)
        expect(docs.open_dialog()).to_contain_text("oidcbridge (http, Bearer)")
        page.screenshot(path=tmp_path / "dialog.png")
        docs.dialog.get_by_label("Value").fill(FakeIssuer("http://127.0.0.1:1/realms/none").mint("ada"))
        docs.dialog.get_by_role("button", name="Apply credentials").click()
        docs.close_dialog()
        status, body = docs.execute("/whoami")
        assert (status, body["code"]) == ("503", "provider_unavailable")


# A page of another origin reads what CORS lets it read.

FETCH = """
async ([url, token]) => {
  try {
    const answer = await fetch(url, {headers: token ? {Authorization: `Bearer ${token}`} : {}})
    return {status: answer.status, body: await answer.json(), headers: Object.fromEntries(answer.headers)}
  } catch (error) {
    return {error: String(error)}
  }
}
"""


class Service(NamedTuple):
    """A protected app, its provider, and the origins of two pages: one that CORSMiddleware allows, one it does not."""

    url: str
    issuer: FakeIssuer
    provider: LoopbackServer
    allowed: str
    stranger: str


@pytest.fixture(params=["CORSMiddleware added first", "CORSMiddleware added last"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    issuer = FakeIssuer(url=None)
    page = Starlette(routes=[Route("/", lambda _: HTMLResponse("<title>A page of another origin</title>"))])
    with issuer.serve() as provider, served(page) as allowed, served(page) as stranger:
        app = FastAPI()
        if "first" in request.param:
            add_cors(app, allowed)
        protect(app, issuer_url=issuer.issuer_url, audience=issuer.audience)
        if "last" in request.param:
            add_cors(app, allowed)

        @app.get("/whoami")
        async def whoami(user_id: UserId) -> str:
            return user_id

        with served(app) as url:
            yield Service(f"{url}/whoami", issuer, provider, allowed, stranger)


def add_cors(app: FastAPI, origin: str) -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin],
        allow_headers=["Authorization"],
        expose_headers=["WWW-Authenticate", "Retry-After"],
    )


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Run ``app`` on a free port of 127.0.0.1; gives its origin."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, ws="none", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def fetch(page: Page, origin: str, url: str, token: str | None = None) -> dict[str, Any]:
    """What script on a page of ``origin`` gets to read: status, body and headers, or the browser's refusal."""
    page.goto(origin)
    answer: dict[str, Any] = page.evaluate(FETCH, [url, token])
    return answer


def test_a_page_of_an_allowed_origin_reads_the_401_and_its_challenge(page: Page, service: Service) -> None:
    answer = fetch(page, service.allowed, service.url)
    assert (answer.get("status"), answer.get("body")) == (401, NO_CREDENTIAL)
    assert answer["headers"]["www-authenticate"] == "Bearer"


def test_a_page_of_an_allowed_origin_gets_in_with_a_token(page: Page, service: Service) -> None:
    answer = fetch(page, service.allowed, service.url, service.issuer.mint("ada"))
    assert (answer.get("status"), answer.get("body")) == (200, "ada")


def test_a_page_of_an_allowed_origin_reads_the_503_and_when_to_try_again(page: Page, service: Service) -> None:
    service.provider.stop()
    service.issuer.rotate()  # to a key that nobody has fetched
    answer = fetch(page, service.allowed, service.url, service.issuer.mint("ada"))
    assert answer.get("status") == 503
    assert answer["body"]["code"] == "provider_unavailable"
    assert int(answer["headers"]["retry-after"]) > 0


@pytest.mark.parametrize("token", ["none", "good"])
def test_a_page_of_an_origin_that_is_not_allowed_reads_nothing(page: Page, service: Service, token: str) -> None:
    credential = service.issuer.mint("ada") if token == "good" else None
    assert fetch(page, service.stranger, service.url, credential) == {"error": "TypeError: Failed to fetch"}
