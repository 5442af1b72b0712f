"""What a page of another origin reads and does in a real browser: refusals with a plain CORSMiddleware, and cookies.

Ports make origins and not sites: between two ports of 127.0.0.1 the browser sends every cookie, ``SameSite=Strict``
too. So what keeps the other page out here is the origin rule alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from oidcbridge import TokenSource
from oidcbridge.fastapi import CurrentPrincipal, UserId, protect
from oidcbridge.testing import FakeIssuer, LoopbackServer
from tests.e2e.browser import BrowserUnavailableError, chromium, new_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except BrowserUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the browser tests could not run: {error}")
        pytest.skip(str(error))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser) as page:
        yield page


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Run ``app`` on a free port of 127.0.0.1; gives its origin."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, ws="websockets-sansio", log_config=None)
    server = uvicorn.Server(config)
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


class Service(NamedTuple):
    """A protected app that a cookie opens, who ran in it, its provider, and the origin of another page."""

    url: str
    ran: list[str]
    issuer: FakeIssuer
    provider: LoopbackServer
    other: str


@pytest.fixture
def service() -> Iterator[Service]:
    issuer = FakeIssuer(url=None)
    foreign = Starlette(routes=[Route("/", lambda _: HTMLResponse("<title>Another origin</title>"))])
    with issuer.serve() as provider, served(foreign) as other:
        app, ran = FastAPI(), list[str]()
        protect(
            app,
            issuer_url=issuer.issuer_url,
            audience=issuer.audience,
            token_source=TokenSource.BOTH,
            excluded_route_paths=["/"],
        )
        # As most apps have it: nothing is said of which headers a page may read.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[other],
            allow_methods=["*"],
            allow_headers=["Authorization"],
            allow_credentials=True,
        )
        add_routes(app, ran)
        with served(app) as url:
            yield Service(url, ran, issuer, provider, other)


def add_routes(app: FastAPI, ran: list[str]) -> None:
    @app.get("/")
    async def own_page() -> HTMLResponse:
        return HTMLResponse("<title>The app's own page</title>")

    @app.api_route("/act", methods=["GET", "POST"])
    async def act(request: Request, user_id: UserId) -> str:
        ran.append(f"{request.method} {user_id}")
        return user_id

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, principal: CurrentPrincipal) -> None:
        ran.append(f"WebSocket {principal.user_id}")
        await websocket.accept()
        await websocket.send_text(principal.user_id)
        await websocket.close()


FETCH = """
async ([url, options]) => {
  try {
    const answer = await fetch(url, options)
    return {status: answer.status, body: await answer.json(), headers: Object.fromEntries(answer.headers)}
  } catch (error) {
    return {error: String(error)}
  }
}
"""
SOCKET = """
(url) => new Promise((resolve) => {
  const socket = new WebSocket(url)
  socket.onmessage = (event) => resolve(event.data)
  socket.onclose = () => resolve('closed')
})
"""
FORM = """
(url) => {
  const form = document.createElement('form')
  Object.assign(form, {method: 'POST', action: url, enctype: 'text/plain'})
  document.body.append(form)
  form.submit()
}
"""


def fetch(page: Page, url: str, **options: object) -> dict[str, Any]:
    """What script on the page gets to read: status, body and headers, or the browser's refusal."""
    answer: dict[str, Any] = page.evaluate(FETCH, [url, options])
    return answer


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_body_of_a_401_and_of_a_503_can_be_read(page: Page, service: Service) -> None:
    page.goto(service.other)
    missing = fetch(page, f"{service.url}/act")
    assert (missing.get("status"), missing["body"]["code"]) == (401, "missing_credential")
    expired = fetch(page, f"{service.url}/act", headers=bearer(service.issuer.mint(expires_in=-100)))
    assert (expired.get("status"), expired["body"]["code"]) == (401, "token_expired")
    known = fetch(page, f"{service.url}/act", headers=bearer(service.issuer.mint("ada")))
    assert (known.get("status"), known["body"]) == (200, "ada")
    service.provider.stop()
    service.issuer.rotate()
    down = fetch(page, f"{service.url}/act", headers=bearer(service.issuer.mint("ada")))
    assert (down.get("status"), down["body"]["code"]) == (503, "provider_unavailable")


def test_the_challenge_and_the_time_to_try_again_can_be_read_where_the_app_names_no_headers(
    page: Page, service: Service
) -> None:
    """RFC 9449 section 7.1 for the challenge: a client in a browser has to be able to read why."""
    page.goto(service.other)
    expired = fetch(page, f"{service.url}/act", headers=bearer(service.issuer.mint(expires_in=-100)))
    assert expired["status"] == 401
    assert 'error="invalid_token"' in expired["headers"].get("www-authenticate", "not to be read")
    service.provider.stop()
    service.issuer.rotate()
    down = fetch(page, f"{service.url}/act", headers=bearer(service.issuer.mint("ada")))
    assert down["status"] == 503
    assert down["headers"].get("retry-after", "not to be read").isdecimal()


def log_in(page: Page, service: Service, same_site: Any) -> None:
    """The browser has a cookie for the app from now on."""
    page.context.add_cookies(
        [
            {
                "name": "access_token",
                "value": service.issuer.mint("ada"),
                "url": service.url,
                "httpOnly": True,
                "sameSite": same_site,
            }
        ]
    )


@pytest.mark.parametrize("same_site", ["Strict", "Lax"])
def test_a_cookie_opens_to_the_apps_own_page_and_a_page_of_another_port_changes_nothing_with_it(
    page: Page, service: Service, same_site: str
) -> None:
    log_in(page, service, same_site)
    act, socket = f"{service.url}/act", f"{service.url}/socket".replace("http", "ws", 1)
    page.goto(service.url)
    assert fetch(page, act, method="POST", credentials="include").get("body") == "ada"
    assert page.evaluate(SOCKET, socket) == "ada"
    assert service.ran == ["POST ada", "WebSocket ada"]
    service.ran.clear()

    page.goto(service.other)
    refused = fetch(page, act, method="POST", credentials="include")
    assert (refused.get("status"), refused["body"]["code"]) == (403, "cross_site_request")
    assert "www-authenticate" not in refused["headers"]
    opaque = fetch(page, act, method="POST", credentials="include", mode="no-cors", body="x")
    assert "error" in opaque, "of a request that no preflight asks for, script reads nothing"
    assert page.evaluate(SOCKET, socket) == "closed"
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, act)
    assert navigation.value is not None
    assert navigation.value.status == 403
    assert service.ran == []
    page.goto(service.other)
    assert fetch(page, act, credentials="include").get("body") == "ada", "reading is CORS's business, and was allowed"
    assert service.ran == ["GET ada"]
