"""``oidcbridge token --grant code``: the browser, the loopback redirect, and what may come back on it."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Browser, Run
    from tests.cli.provider import Provider

pytestmark = pytest.mark.usefixtures("browser")


def test_a_sign_in_in_the_browser_prints_the_token_alone(run: Run, provider: Provider, browser: Browser) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (0, "aaa.bbb.ccc\n")
    asked = dict(parse_qsl(urlsplit(browser.opened[0]).query))
    assert asked["response_type"] == "code"
    assert asked["scope"] == "openid"
    assert asked["code_challenge_method"] == "S256"
    assert asked["theme"] == "dark"  # the endpoint's own query is kept (RFC 6749 section 3.1)
    assert len(asked["state"]) >= 40
    exchange = provider.forms[-1]
    assert exchange["grant_type"] == "authorization_code"
    assert 43 <= len(exchange["code_verifier"]) <= 128  # RFC 7636 section 4.1
    assert "client_secret" not in exchange


def test_every_attempt_has_its_own_state_and_verifier(run: Run, provider: Provider, browser: Browser) -> None:
    assert run().exit_code == run().exit_code == 0
    assert len({dict(parse_qsl(urlsplit(url).query))["state"] for url in browser.opened}) == 2
    assert len({form["code_verifier"] for form in provider.forms if "code_verifier" in form}) == 2


def test_the_address_to_open_goes_to_stderr_also_when_a_browser_is_opened(run: Run, browser: Browser) -> None:
    result = run()
    assert browser.opened[0] in result.stderr


def test_the_page_says_that_the_window_can_be_closed_and_keeps_the_code_to_itself(run: Run, browser: Browser) -> None:
    assert run().exit_code == 0
    browser.close()
    assert "Signed in" in browser.pages[0]
    assert "close this window" in browser.pages[0]
    assert "code-1" not in browser.pages[0]
    headers = browser.headers[0]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_scope_audience_and_resource_reach_the_provider(run: Run, provider: Provider) -> None:
    resource = "https://api.example.com/"
    assert run("--scope", "openid agents:run", "--audience", "agent-api", "--resource", resource).exit_code == 0
    asked, exchange = provider.forms
    assert (asked["scope"], asked["audience"], asked["resource"]) == ("openid agents:run", "agent-api", resource)
    assert exchange["resource"] == resource  # RFC 8707 section 2.2
    assert "scope" not in exchange


def test_without_a_browser_the_address_is_only_shown(run: Run, browser: Browser) -> None:
    result = run("--no-browser", "--timeout", "1")
    assert (result.exit_code, result.stdout, browser.opened) == (1, "", [])
    assert "/authorize?theme=dark&response_type=code" in result.stderr
    assert "nobody signed in within 1 seconds" in result.stderr


@pytest.mark.parametrize("iss", ["present", "absent"])
def test_an_answer_with_or_without_its_issuer_is_taken(run: Run, provider: Provider, iss: str) -> None:
    if iss == "absent":
        provider.bend_redirect = lambda answer: {name: answer[name] for name in ("code", "state")}
    assert run().stdout == "aaa.bbb.ccc\n"


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        ({"state": "forged"}, "does not carry the 'state' of this attempt"),
        ({"state": ""}, "does not carry the 'state' of this attempt"),
        ({"state": "é"}, "does not carry the 'state' of this attempt"),
        ({"iss": "https://evil.example"}, "names the issuer 'https://evil.example'"),
        ({"iss": ""}, "names the issuer ''"),
        ({"code": ""}, "neither a code nor an error"),
    ],
)
def test_an_answer_that_is_not_ours_is_refused_and_its_code_not_used(
    run: Run, provider: Provider, bend: dict[str, str], said: str
) -> None:
    provider.bend_redirect = lambda answer: {**answer, **bend}
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert len(provider.forms) == 1  # the authorization request; the token endpoint was not asked


def test_a_missing_issuer_is_refused_where_the_provider_promises_one(run: Run, provider: Provider) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    assert run().exit_code == 0
    provider.bend_redirect = lambda answer: {name: answer[name] for name in ("code", "state")}
    result = run()
    assert result.exit_code == 1
    assert "names no issuer" in result.stderr


def test_a_repeated_parameter_is_refused(run: Run, provider: Provider) -> None:
    provider.bend_redirect = lambda answer: f"code=code-1&code=code-2&state={answer['state']}"
    result = run()
    assert result.exit_code == 1
    assert "repeats a parameter" in result.stderr


def test_a_refusal_shows_the_providers_words_in_terminal_and_browser(
    run: Run, provider: Provider, browser: Browser
) -> None:
    provider.bend_redirect = lambda answer: {
        "error": "access_denied",
        "error_description": "The <b>user</b> said no",
        "state": answer["state"],
    }
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("oidcbridge token: access_denied: The <b>user</b> said no\n")
    browser.close()
    assert "Not signed in" in browser.pages[0]
    assert "The &lt;b&gt;user&lt;/b&gt; said no" in browser.pages[0]


def test_an_error_with_a_forged_state_is_not_believed(run: Run, provider: Provider) -> None:
    provider.bend_redirect = lambda answer: {"error": "access_denied", "error_description": "Call 555", "state": "x"}
    result = run()
    assert result.exit_code == 1
    assert "Call 555" not in result.stderr


def test_a_wrong_code_shows_the_token_endpoints_words(run: Run, provider: Provider) -> None:
    provider.bend_redirect = lambda answer: {**answer, "code": "stolen"}
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "invalid_grant: Code not valid" in result.stderr


def test_spare_and_broken_connections_and_favicons_do_not_disturb(
    run: Run, provider: Provider, browser: Browser, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    address = urlsplit(redirect_uri)

    def open_as_browsers_do(url: str) -> bool:
        spare = socket.create_connection((address.hostname, address.port))
        with socket.create_connection((address.hostname, address.port)) as broken:
            broken.sendall(b"GET /call")
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
        try:
            urllib.request.urlopen(f"http://{address.netloc}/favicon.ico", timeout=5)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
            error.close()
        browser.follow(url)
        spare.close()
        return True

    monkeypatch.setattr("webbrowser.open", open_as_browsers_do)
    result = run()
    assert (result.exit_code, result.stdout) == (0, "aaa.bbb.ccc\n")
    assert "Traceback" not in result.stderr
    assert statuses == [404]


def test_the_redirect_is_served_on_loopback_only_and_closed_afterwards(
    run: Run, browser: Browser, redirect_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(redirect_uri).port
    assert port is not None
    bound: list[str] = []

    def open_and_look(url: str) -> bool:
        bound.extend(_listening_hosts(port))
        return browser.open(url)

    monkeypatch.setattr("webbrowser.open", open_and_look)
    assert run().exit_code == 0
    assert bound == ["0100007F"]  # 127.0.0.1 in /proc's spelling
    assert _listening_hosts(port) == []
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name and thread.daemon]


def _listening_hosts(port: int) -> list[str]:
    hosts = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in list(lines)[1:]:
                _, local, _, state, *_ = line.split()
                host, _, hexport = local.partition(":")
                if int(hexport, 16) == port and state == "0A":
                    hosts.append(host)
    return hosts


def test_a_taken_port_is_said_in_one_line(run: Run, redirect_uri: str, browser: Browser) -> None:
    port = urlsplit(redirect_uri).port
    with socket.create_server(("127.0.0.1", port)):
        result = run()
    assert (result.exit_code, result.stdout, browser.opened) == (2, "", [])
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "--redirect-uri" in result.stderr


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1:8765/callback",
        "http://0.0.0.0:8765/callback",
        "https://127.0.0.1:8765/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:8765/callback?x=1",
        "http://127.0.0.1:8765/callback#x",
        "http://ada@127.0.0.1:8765/callback",
        "http://127.0.0.1:99999/callback",
        "http://[::1]:8765/callback",
        "nonsense",
    ],
)
def test_a_redirect_uri_that_is_no_loopback_address_is_refused(run: Run, browser: Browser, address: str) -> None:
    result = run("--redirect-uri", address)
    assert (result.exit_code, browser.opened) == (2, [])
    assert "write http://127.0.0.1:PORT/PATH" in result.stderr


def test_localhost_is_served_for_providers_that_want_that_spelling(run: Run, redirect_uri: str) -> None:
    assert run("--redirect-uri", redirect_uri.replace("127.0.0.1", "localhost")).stdout == "aaa.bbb.ccc\n"
