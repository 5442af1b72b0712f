"""Where a credential is read, and what several of them or a malformed one come to (RFC 6750 sections 2 and 3)."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from oidcbridge import TokenSource
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Headers, Probe, ask, bearer, cookie, guarded

HEADER, COOKIE, BOTH = TokenSource.HEADER, TokenSource.COOKIE, TokenSource.BOTH


@pytest.fixture(scope="module")
def good(issuer: FakeIssuer) -> str:
    return issuer.mint("ada")


def outcome(answer: Answer) -> tuple[int, str | None]:
    """The status, and who got in or why not."""
    found = answer.json()
    return answer.status, found["user_id"] if answer.status == 200 else found["error"]


MISSING = (401, "missing_credential")
MALFORMED = (400, "invalid_request")
INVALID = (401, "invalid_token")
ADA = (200, "ada")


@pytest.mark.parametrize("source", [HEADER, BOTH])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_bearer_scheme_opens_in_any_case_and_with_more_spaces(
    issuer: FakeIssuer, good: str, source: TokenSource, scheme: str
) -> None:
    app = guarded(issuer, token_source=source)
    assert outcome(ask(app, headers=[("Authorization", scheme + good)])) == ADA


@pytest.mark.parametrize("source", [COOKIE, BOTH])
def test_a_cookie_opens_where_the_source_includes_cookies(issuer: FakeIssuer, good: str, source: TokenSource) -> None:
    app = guarded(issuer, token_source=source)
    assert outcome(ask(app, headers=cookie(good))) == ADA
    assert outcome(ask(app, headers=[("Cookie", f"theme=dark; access_token={good}; lang=de")])) == ADA
    assert outcome(ask(app, headers=[("Cookie", "theme=dark"), *cookie(good)])) == ADA
    assert outcome(ask(app, headers=[("Cookie", f'access_token="{good}"')])) == ADA


def test_a_source_that_is_not_named_is_not_looked_at(issuer: FakeIssuer, good: str) -> None:
    header_only, cookie_only = guarded(issuer), guarded(issuer, token_source=COOKIE)
    assert outcome(ask(header_only, headers=cookie(good))) == MISSING
    assert outcome(ask(cookie_only, headers=bearer(good))) == MISSING
    assert outcome(ask(cookie_only, headers=[*bearer("no.good.token"), *cookie(good)])) == ADA
    assert outcome(ask(header_only, headers=[*bearer(good), *cookie("no.good.token")])) == ADA


@pytest.mark.parametrize("query", ["access_token={}", "token={}", "authorization=Bearer%20{}", "Authorization={}"])
@pytest.mark.parametrize("source", list(TokenSource))
def test_the_query_string_is_never_read(issuer: FakeIssuer, good: str, source: TokenSource, query: str) -> None:
    app = guarded(issuer, token_source=source)
    assert outcome(ask(app, query_string=query.format(quote(good)).encode())) == MISSING
    carried = bearer(good) if source is HEADER else cookie(good)
    assert outcome(ask(app, query_string=b"access_token=other", headers=carried)) == ADA


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer", MALFORMED),
        ("Bearer ", MALFORMED),
        ("Bearer\t{}", MALFORMED),
        ("Bearer {} {}", MALFORMED),
        ("Bearer {},{}", MALFORMED),
        ('Bearer "{}"', MALFORMED),
        ("Bearer {}, Basic eHg6eA==", MALFORMED),
        ("Bearer realm=x", MALFORMED),
        ("Bearer: {}", MALFORMED),
        ("Bearer,{}", MALFORMED),
        ("Bearer {}\xff", MALFORMED),
        ("Bearer ä", MALFORMED),
        ("Bearer {}==", INVALID),
        ("Bearer =", MALFORMED),
        ("Bearer abc", INVALID),
        ("Bearer {}.x", INVALID),
        ("Basic eHg6eA==", MISSING),
        ("DPoP {}", MISSING),
        ("Digest username=x", MISSING),
        ("BearerX {}", MISSING),
        ("Bearer-Token {}", MISSING),
        ("{}", MISSING),
        ("", MISSING),
    ],
)
def test_a_header_that_is_no_bearer_credential_is_told_apart_from_one_that_is_malformed(
    issuer: FakeIssuer, good: str, header: str, expected: tuple[int, str]
) -> None:
    app = guarded(issuer, token_source=BOTH)
    sent = [("Authorization", header.replace("{}", good))]
    assert outcome(ask(app, headers=sent)) == expected
    assert outcome(ask(app, headers=[*sent, *cookie(good)])) == expected, "a cookie must not stand in for it"


@pytest.mark.parametrize(
    ("source", "headers", "expected"),
    [
        (HEADER, [("Authorization", "Bearer {}"), ("Authorization", "Bearer {}")], MALFORMED),
        (HEADER, [("Authorization", "Basic eHg6eA=="), ("Authorization", "Bearer {}")], MALFORMED),
        (
            BOTH,
            [("Authorization", "Bearer {}"), ("Authorization", "Bearer {}"), ("Cookie", "access_token={}")],
            MALFORMED,
        ),
        (BOTH, [("Authorization", "Bearer {}"), ("Cookie", "access_token=x; access_token=y")], ADA),
        (COOKIE, [("Cookie", "access_token={}; access_token={}")], MALFORMED),
        (COOKIE, [("Cookie", "access_token={}"), ("Cookie", "access_token={}")], MALFORMED),
        (COOKIE, [("Cookie", "access_token={}; access_token=")], MALFORMED),
        (COOKIE, [("Cookie", "access_token={}; Access_Token=x")], ADA),
        (COOKIE, [("Cookie", "access_token={}; xaccess_token=x; access_token_2=y")], ADA),
        (COOKIE, [("Authorization", "Bearer x"), ("Authorization", "Bearer y"), ("Cookie", "access_token={}")], ADA),
        (BOTH, [("Cookie", "access_token={}; access_token={}")], MALFORMED),
        (COOKIE, [("Cookie", "access_token=")], MISSING),
        (COOKIE, [("Cookie", "access_token")], MISSING),
        (COOKIE, [("Cookie", "access_token={} x")], MALFORMED),
        (COOKIE, [("Cookie", "access_token=%7B%7D")], MALFORMED),
        (COOKIE, [("Cookie", "access_token=abc")], INVALID),
    ],
)
def test_a_repeated_credential_is_refused_where_it_is_read(
    issuer: FakeIssuer, good: str, source: TokenSource, headers: Headers, expected: tuple[int, str]
) -> None:
    sent = [(name, value.replace("{}", good)) for name, value in headers]
    assert outcome(ask(guarded(issuer, token_source=source), headers=sent)) == expected


def test_a_bad_header_never_falls_back_to_a_good_cookie(issuer: FakeIssuer, good: str) -> None:
    app = guarded(issuer, token_source=BOTH)
    for bad in (issuer.mint("ada", audience="other"), "abc"):
        assert outcome(ask(app, headers=[*bearer(bad), *cookie(good)])) == INVALID
    assert outcome(ask(app, headers=cookie(good))) == ADA


@pytest.mark.parametrize("value", ["{}", "Bearer {}", "bearer {}"])
def test_a_custom_header_may_carry_the_bare_token(issuer: FakeIssuer, good: str, value: str) -> None:
    app = guarded(issuer, token_header_key="X-Access-Token")
    assert outcome(ask(app, headers=[("X-Access-Token", value.format(good))])) == ADA
    assert outcome(ask(app, headers=bearer(good))) == MISSING, "the usual header is another one now"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Basic eHg6eA==", MALFORMED),
        ("{} {}", MALFORMED),
        ("Bearer", MALFORMED),
        ("", MALFORMED),
        ("abc", INVALID),
        ("Bearer abc", INVALID),
    ],
)
def test_a_custom_header_that_holds_no_token_is_refused(
    issuer: FakeIssuer, good: str, value: str, expected: tuple[int, str]
) -> None:
    app = guarded(issuer, token_header_key="X-Access-Token", token_source=BOTH)
    sent = [("x-access-token", value.replace("{}", good))]
    assert outcome(ask(app, headers=[*sent, *cookie(good)])) == expected


def test_a_custom_cookie_name_is_the_only_one_read(issuer: FakeIssuer, good: str) -> None:
    app = guarded(issuer, token_source=COOKIE, cookie_name="__Host-agent")
    assert outcome(ask(app, headers=cookie(good, "__Host-agent"))) == ADA
    assert outcome(ask(app, headers=cookie(good))) == MISSING
    both = [("Cookie", f"access_token=junk; __Host-agent={good}")]
    assert outcome(ask(app, headers=both)) == ADA


def test_a_refused_request_never_reaches_the_app(issuer: FakeIssuer, good: str, probe: Probe) -> None:
    app = guarded(issuer, probe, token_source=BOTH)
    refused: list[Headers] = [(), bearer("abc"), [*bearer(good), *bearer(good)], [("Authorization", "Basic eA==")]]
    for headers in refused:
        assert ask(app, headers=headers).status in {400, 401}
    assert probe.scopes == []
    assert outcome(ask(app, headers=bearer(good))) == ADA
    assert len(probe.scopes) == 1


def test_without_required_authentication_only_a_bad_token_is_refused(issuer: FakeIssuer, good: str) -> None:
    app = guarded(issuer, require_authentication=False, token_source=BOTH)
    anonymous = ask(app)
    assert (anonymous.status, anonymous.json()["authenticated"], anonymous.json()["user_id"]) == (200, False, None)
    assert outcome(ask(app, headers=bearer("abc"))) == INVALID
    assert outcome(ask(app, headers=[*bearer(good), *bearer(good)])) == MALFORMED
    assert outcome(ask(app, headers=[*bearer(issuer.mint(expires_in=-100)), *cookie(good)])) == INVALID
    assert outcome(ask(app, headers=bearer(good))) == ADA
