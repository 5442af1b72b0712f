"""A person with a browser in front of Keycloak's pages, driven over plain HTTP.

browser = Browser(server.base_url)
browser.open(authorization_url)
callback = browser.log_in("ada", "ada-pw")               # the client's redirect URI, with code and state

browser.open(verification_uri_complete)                  # device grant (RFC 8628): log in, then consent
browser.submit(username="ada", password="ada-pw").submit(accept="Yes")
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

import httpx2


class Browser:
    """As much of a browser as Keycloak's pages need: redirects, cookies, and the form of a page."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._cookies: dict[str, str] = {}
        self._page = _Form()
        self._address = base_url
        self.sent_to = ""
        """The address outside of Keycloak that it redirected to; empty while it has not."""

    def open(self, url: str) -> Self:
        """Open a page, following redirects for as long as they stay at Keycloak."""
        self._ask("GET", url)
        return self

    def submit(self, **fields: str) -> Self:
        """Send the form of the page with these fields filled in."""
        self._ask("POST", urljoin(self._address, self._page.action), self._page.fields | fields)
        return self

    def log_in(self, username: str, password: str) -> str:
        """Fill in the login form, and return the address Keycloak then sends the browser to.

        Raises RuntimeError when it sends it nowhere.
        """
        self.submit(username=username, password=password)
        if not self.sent_to:
            raise RuntimeError(f"the login of {username} did not lead back to the client")
        return self.sent_to

    def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> None:
        with httpx2.Client(trust_env=False, timeout=30) as client:
            while url.startswith(self._base_url):
                # By hand: the cookies are `Secure`, which browsers send to http://127.0.0.1 and a cookie jar does not.
                cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
                response = client.request(method, url, data=form, headers={"Cookie": cookies})
                self._cookies |= {cookie.name: cookie.value or "" for cookie in response.cookies.jar}
                if not response.is_redirect:
                    response.raise_for_status()
                    self._address, self._page = url, _Form(response.text)
                    return
                method, url, form = "GET", urljoin(url, response.headers["location"]), None
        self.sent_to = url


class _Form(HTMLParser):
    """Where the form of a page is sent to, and the fields it carries already."""

    def __init__(self, page: str = "") -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = values.get("action", "")
        if tag == "input" and values.get("type") == "hidden" and "name" in values:
            self.fields[values["name"]] = values.get("value", "")
