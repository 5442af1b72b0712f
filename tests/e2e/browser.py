"""Chromium for end-to-end tests: headless, on loopback alone; and Swagger UI as a person works it.

    with chromium() as browser, new_page(browser) as page:
        docs = SwaggerUI(page, f"{agent.base_url}/docs", swagger_ui_files(tmp_path))
        docs.log_in("ada", "ada-pw", scopes=["agents:run"])
        status, body = docs.execute("/agents/{agent_id}/runs", agent_id="a1")

The browser is the machine's own, driven by Playwright; Swagger UI comes from npm, where its usual CDN has it from.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

SWAGGER_UI = "5.35.0"
"""The version of npm's `swagger-ui-dist` that stands for the `@5` of FastAPI's page."""

_CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    # Whatever a page or the browser itself may want from elsewhere: nothing leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class BrowserUnavailableError(Exception):
    """This machine cannot run the browser tests; the text says what to install."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, with a profile of its own that goes when it ends.

    Raises BrowserUnavailableError where there is none. While it runs, this thread has a running event loop
    (Playwright's), so that ``asyncio.run`` and ``Verifier.verify_now`` are not to be called here.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise BrowserUnavailableError("there is no Chromium here: install it (Debian: apt install chromium)")
    expect.set_options(timeout=30_000)  # milliseconds, as Playwright's other waits: Keycloak may take more than its 5 s
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """A page that shares no cookies, and so no login, with the pages before it."""
    with browser.new_context(viewport={"width": 1200, "height": 1400}) as context:
        yield context.new_page()


def swagger_ui_files(folder: Path) -> dict[str, bytes]:
    """What the docs page loads of npm's `swagger-ui-dist`, by file name; ``folder`` keeps the package.

    Raises BrowserUnavailableError without npm, RuntimeError when the package does not come.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise BrowserUnavailableError("there is no npm here: install it (Debian, Ubuntu: apt install npm)")
    # pack, not install: a dependency of it reports each install to its maker.
    package = f"swagger-ui-dist@{SWAGGER_UI}"
    command = [npm, "pack", "--ignore-scripts", "--pack-destination", str(folder), package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"npm did not fetch {package}:\n{done.stderr}")
    with tarfile.open(folder / f"swagger-ui-dist-{SWAGGER_UI}.tgz") as archive:
        members = {name: archive.extractfile(f"package/{name}") for name in _FILES}
        return {name: member.read() for name, member in members.items() if member is not None}


class SwaggerUI:
    """An app's docs page as FastAPI made it, with ``files`` in answer to what it asks of the CDN."""

    def __init__(self, page: Page, url: str, files: Mapping[str, bytes]) -> None:
        self.page = page
        self.dialog = page.locator(".modal-ux")
        _stand_in_for_cdn(page, files)
        page.goto(url)

    def open_dialog(self) -> Locator:
        """Press Authorize above the operations."""
        self.page.get_by_role("button", name="Authorize", exact=True).click()
        return self.dialog

    def close_dialog(self) -> None:
        self.dialog.get_by_role("button", name="Close").click()

    def scopes(self) -> dict[str, bool]:
        """The scopes that the open dialog lists, and whether each is chosen."""
        boxes = self.dialog.locator("input[type=checkbox]").all()
        return {box.get_attribute("data-value") or "": box.is_checked() for box in boxes}

    def log_in(self, username: str, password: str, scopes: Iterable[str] = ()) -> None:
        """Choose ``scopes`` beside those chosen already, and log in at Keycloak in the window that opens."""
        self.open_dialog()
        for scope in scopes:
            self.dialog.locator("label", has=self.page.get_by_text(scope, exact=True)).click()
        with self.page.expect_popup() as opened:
            self.dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
        form = opened.value
        form.get_by_role("textbox", name="Username or email").fill(username)
        form.get_by_role("textbox", name="Password").fill(password)
        with form.expect_event("close"):
            form.get_by_role("button", name="Sign In").click()
        expect(self.dialog.get_by_role("button", name="Remove authorization")).to_have_text("Logout")
        self.close_dialog()

    def log_out(self) -> None:
        """Forget the token, by the dialog's own button."""
        self.open_dialog().get_by_role("button", name="Remove authorization").click()
        self.close_dialog()

    def execute(self, path: str, **parameters: str) -> tuple[str, Any]:
        """Try the operation at ``path`` out: the status that the page then shows, and the JSON body."""
        block = self.page.locator(".opblock", has=self.page.locator(f'[data-path="{path}"]'))
        if not block.locator(".opblock-body").is_visible():
            block.locator(".opblock-summary-control").click()
            block.get_by_role("button", name="Try it out").click()
        for name, value in parameters.items():
            block.locator(f'[data-param-name="{name}"] input').fill(value)
        answer = block.locator(".live-responses-table .response")
        if answer.is_visible():  # of the time before, not to be taken for this one
            block.get_by_role("button", name="Clear").click()
            expect(answer).to_have_count(0)
        block.get_by_role("button", name="Execute").click()
        status = answer.locator(".response-col_status").inner_text()
        return status, json.loads(answer.locator("code.language-json").inner_text())


def _stand_in_for_cdn(page: Page, files: Mapping[str, bytes]) -> None:
    """Answer what the page asks of https addresses: Swagger UI's files from ``files``, the rest not at all."""
    session = page.context.new_cdp_session(page)

    def answer(event: dict[str, Any]) -> None:
        request, url = {"requestId": event["requestId"]}, event["request"]["url"]
        name = url.removeprefix(_CDN)
        if name not in files:
            session.send("Fetch.failRequest", {**request, "errorReason": "AddressUnreachable"})
            return
        headers = [{"name": "Content-Type", "value": _FILES[name]}]
        body = base64.b64encode(files[name]).decode("ascii")
        session.send("Fetch.fulfillRequest", {**request, "responseCode": 200, "responseHeaders": headers, "body": body})

    # Not Playwright's own routing: with it, Playwright answers every CORS preflight itself, and those are Keycloak's.
    session.on("Fetch.requestPaused", answer)
    session.send("Fetch.enable", {"patterns": [{"urlPattern": "https://*"}]})
