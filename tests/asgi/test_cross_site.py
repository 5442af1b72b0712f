"""Cookies and other sites: every combination of method, Origin, Sec-Fetch-Site and X-Requested-With."""

from __future__ import annotations

from itertools import product

import pytest

from oidcbridge import ConfigurationError, TokenSource
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Headers, Probe, ask, ask_websocket, bearer, cookie, guarded

OWN, FRIEND, STRANGER = "http://agents.example", "https://ui.example.com", "https://evil.example"
ORIGINS = (None, OWN, FRIEND, STRANGER, "null", "", "http://agents.example:8080", "https://agents.example")
SITES = (None, "same-origin", "same-site", "cross-site", "none")
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "QUERY", "PROPFIND")


def may_pass(origin: str | None, site: str | None, *, requested_with: bool) -> bool:
    """The rule, written a second time: an allowed Origin decides alone; without one, the other two headers."""
    if origin is not None:
        return origin in {OWN, FRIEND}
    return site == "same-origin" or (requested_with and site not in {"same-site", "cross-site"})


def browser_headers(token: str, origin: str | None, site: str | None, *, requested_with: bool) -> list[tuple[str, str]]:
    headers = [("Host", "agents.example"), *cookie(token)]
    headers += [("Origin", origin)] if origin is not None else []
    headers += [("Sec-Fetch-Site", site)] if site is not None else []
    headers += [("X-Requested-With", "XMLHttpRequest")] if requested_with else []
    return headers


COMBINATIONS = list(product(ORIGINS, SITES, (False, True)))


@pytest.mark.parametrize("method", UNSAFE)
def test_an_unsafe_request_with_a_cookie_passes_from_our_own_pages_and_allowed_ones_alone(
    issuer: FakeIssuer, probe: Probe, method: str
) -> None:
    app = guarded(issuer, probe, token_source=TokenSource.COOKIE, allowed_origins=[FRIEND])
    token = issuer.mint("ada")
    for origin, site, requested_with in COMBINATIONS:
        probe.scopes.clear()
        answer = ask(app, method=method, headers=browser_headers(token, origin, site, requested_with=requested_with))
        passes = may_pass(origin, site, requested_with=requested_with)
        assert answer.status == (200 if passes else 403), (origin, site, requested_with)
        assert len(probe.scopes) == passes
        if not passes:
            assert answer.json()["error"] == answer.json()["code"] == "cross_site_request"
            assert answer.header("www-authenticate") is None, "logging in again would not help"


@pytest.mark.parametrize("denial", [True, False])
def test_a_websocket_with_a_cookie_follows_the_same_rule(issuer: FakeIssuer, probe: Probe, denial: bool) -> None:
    app = guarded(issuer, probe, token_source=TokenSource.BOTH, allowed_origins=[FRIEND])
    token = issuer.mint("ada")
    for origin, site, requested_with in COMBINATIONS:
        probe.scopes.clear()
        headers = browser_headers(token, origin, site, requested_with=requested_with)
        answer = ask_websocket(app, headers=headers, denial=denial)
        passes = may_pass(origin, site, requested_with=requested_with)
        assert len(probe.scopes) == passes, (origin, site, requested_with)
        refused = (403, None) if denial else (0, 1008)
        assert (answer.status, answer.close_code) == ((101, None) if passes else refused)


@pytest.mark.parametrize("method", SAFE)
def test_a_safe_method_changes_nothing_and_passes_from_anywhere(issuer: FakeIssuer, method: str) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    token = issuer.mint("ada")
    for origin, site, requested_with in COMBINATIONS:
        headers = browser_headers(token, origin, site, requested_with=requested_with)
        assert ask(app, method=method, headers=headers).status == 200, (origin, site, requested_with)


def test_a_token_in_the_header_is_no_matter_of_sites(issuer: FakeIssuer) -> None:
    app = guarded(issuer, token_source=TokenSource.BOTH)
    token = issuer.mint("ada")
    headers: Headers = [*bearer(token), *cookie(token), ("Origin", STRANGER), ("Sec-Fetch-Site", "cross-site")]
    assert ask(app, method="POST", headers=headers).status == 200
    assert ask_websocket(app, headers=headers).status == 101


def test_a_forged_cookie_from_another_site_is_refused_for_the_site_so_tokens_cannot_be_probed(
    issuer: FakeIssuer,
) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    answers = [
        ask(app, method="POST", headers=[*cookie(token), ("Origin", STRANGER)])
        for token in ("a.b.c", issuer.mint("ada"), issuer.mint(expires_in=-100))
    ]
    assert {answer.status for answer in answers} == {403}
    assert len({answer.body for answer in answers}) == 1


def test_without_a_cookie_another_site_is_merely_not_authenticated(issuer: FakeIssuer) -> None:
    app = guarded(issuer, token_source=TokenSource.BOTH)
    assert ask(app, method="POST", headers=[("Origin", STRANGER)]).status == 401


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "passes"),
    [
        ("http", "agents.example", "http://agents.example", True),
        ("http", "agents.example:80", "http://agents.example", True),
        ("http", "AGENTS.example", "http://agents.example", True),
        ("http", "agents.example", "HTTP://Agents.Example", True),
        ("https", "agents.example:443", "https://agents.example", True),
        ("https", "agents.example:80", "https://agents.example", False),
        ("https", "agents.example:80", "https://agents.example:80", True),
        ("http", "agents.example:8080", "http://agents.example:8080", True),
        ("http", "agents.example:8080", "http://agents.example", False),
        ("http", "agents.example", "https://agents.example", False),
        ("http", "[::1]:8000", "http://[::1]:8000", True),
        ("http", "agents.example", "http://agents.example.evil.example", False),
        ("http", "agents.example", "http://evil.example/agents.example", False),
        ("http", "agents.example", "http://sub.agents.example", False),
        ("http", "agents.example", "http://agents.example, http://agents.example", False),
    ],
)
def test_our_own_origin_is_the_host_that_was_asked_by_the_servers_scheme(
    issuer: FakeIssuer, scheme: str, host: str, origin: str, passes: bool
) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    headers = [*cookie(issuer.mint("ada")), ("Host", host), ("Origin", origin)]
    assert ask(app, method="POST", headers=headers, scheme=scheme).status == (200 if passes else 403)
    socket = ask_websocket(app, headers=headers, scheme={"http": "ws", "https": "wss"}[scheme])
    assert socket.status == (101 if passes else 403)


@pytest.mark.parametrize("hosts", [[], ["agents.example", "evil.example"]])
def test_a_request_without_exactly_one_host_has_no_origin_of_ours(issuer: FakeIssuer, hosts: list[str]) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE, allowed_origins=[FRIEND])
    headers = [*cookie(issuer.mint("ada")), *(("Host", host) for host in hosts)]
    for origin in ("http://agents.example", "http://evil.example", "http://None", "None"):
        assert ask(app, method="POST", headers=[*headers, ("Origin", origin)]).status == 403
    assert ask(app, method="POST", headers=[*headers, ("Origin", FRIEND)]).status == 200


def test_headers_that_stand_twice_are_no_better_than_a_strangers(issuer: FakeIssuer) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE, allowed_origins=[FRIEND])
    host = [*cookie(issuer.mint("ada")), ("Host", "agents.example")]
    twice = [*host, ("Origin", OWN), ("Origin", STRANGER)]
    assert ask(app, method="POST", headers=twice).status == 403
    assert ask(app, method="POST", headers=[*host, ("Origin", OWN), ("Origin", OWN)]).status == 403
    sites = [*host, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
    assert ask(app, method="POST", headers=sites).status == 403
    assert ask(app, method="POST", headers=[*host, ("Origin", OWN)]).status == 200


@pytest.mark.parametrize(
    "origin", ["https://ui.example.com/", "https://ui.example.com/app", "ui.example.com", "*", "null", "ftp://x", ""]
)
def test_an_allowed_origin_that_no_browser_would_send_is_a_configuration_error(issuer: FakeIssuer, origin: str) -> None:
    with pytest.raises(ConfigurationError, match=r"https://ui\.example\.com"):
        ask(guarded(issuer, allowed_origins=[origin]))


def test_allowed_origins_given_as_one_string_are_a_configuration_error(issuer: FakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match=r'allowed_origins=\["https://ui\.example\.com"\]'):
        ask(guarded(issuer, allowed_origins="https://ui.example.com"))


@pytest.mark.parametrize("written", ["https://UI.example.com", "https://ui.example.com:443"])
def test_an_allowed_origin_may_be_written_with_capitals_or_its_default_port(issuer: FakeIssuer, written: str) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE, allowed_origins=[written])
    headers = [*cookie(issuer.mint("ada")), ("Origin", "https://ui.example.com")]
    answer: Answer = ask(app, method="POST", headers=headers)
    assert answer.status == 200


def test_the_log_says_what_to_do_and_lets_no_header_write_into_it(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    hostile = "evil\x1b[31m\x85\x9b.example"
    headers = [*cookie(issuer.mint("ada")), ("Host", hostile), ("Origin", f"http://{hostile}\x1b[2J")]
    assert ask(app, method="POST", headers=headers).status == 403
    assert "allowed_origins" in caplog.text
    assert "--proxy-headers" in caplog.text
    message = caplog.records[-1].getMessage()
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 1000
