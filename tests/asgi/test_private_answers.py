"""Answers that depend on a token are not to be stored, and say by what they vary (RFC 6750 5.3, RFC 9110 12.5.5)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.types import Receive, Scope, Send

from oidcbridge import TokenSource
from oidcbridge.asgi.private_answers import private_headers
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import ask, bearer, cookie, guarded


@pytest.mark.parametrize(
    ("source", "header", "vary"),
    [
        (TokenSource.HEADER, "Authorization", "Authorization"),
        (TokenSource.COOKIE, "Authorization", "Cookie"),
        (TokenSource.BOTH, "X-Token", "X-Token, Cookie"),
    ],
)
def test_the_answer_varies_by_what_is_read(issuer: FakeIssuer, source: TokenSource, header: str, vary: str) -> None:
    app = guarded(issuer, token_source=source, token_header_key=header)
    assert ask(app).header("vary") == vary
    token = issuer.mint("ada")
    sent = cookie(token) if source is TokenSource.COOKIE else bearer(token, header)
    passed = ask(app, headers=sent)
    assert (passed.status, passed.header("vary"), passed.header("cache-control")) == (200, vary, "no-store")


@pytest.mark.parametrize(
    ("own", "cache_control", "vary"),
    [
        ([], "no-store", "Authorization, Cookie"),
        ([("cache-control", "private, max-age=60")], "private, max-age=60", "Authorization, Cookie"),
        ([("Cache-Control", "max-age=1"), ("VARY", "Accept")], "max-age=1", "Accept, Authorization, Cookie"),
        ([("vary", "Accept"), ("vary", "Origin, cookie")], "no-store", "Accept, Origin, cookie, Authorization"),
        ([("vary", "AUTHORIZATION,Cookie")], "no-store", "AUTHORIZATION, Cookie"),
        ([("vary", "*")], "no-store", "*"),
        ([("vary", "Accept, *")], "no-store", "Accept, *"),
        ([("vary", "")], "no-store", "Authorization, Cookie"),
    ],
)
def test_a_passed_answer_keeps_what_the_app_set_and_gains_what_it_left_out(
    issuer: FakeIssuer, own: list[tuple[str, str]], cache_control: str, vary: str
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in own]
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-custom", b"kept")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        one_pass: Iterable[tuple[bytes, bytes]] = iter([*raw, *cookies])  # ASGI asks for no more than an iterable
        await send({"type": "http.response.start", "status": 200, "headers": one_pass})
        await send({"type": "http.response.body", "body": b"ok"})

    answer = ask(guarded(issuer, app, token_source=TokenSource.BOTH), headers=bearer(issuer.mint("ada")))
    assert [answer.header(name) for name in ("cache-control", "vary")] == [cache_control, vary]
    assert [pair for pair in answer.headers if pair[0] in {"set-cookie", "x-custom"}] == [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-custom", "kept"),
    ]
    assert answer.body == b"ok"


def test_an_answer_without_headers_is_private_too(issuer: FakeIssuer) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    answer = ask(guarded(issuer, app), headers=bearer(issuer.mint("ada")))
    assert dict(answer.headers) == {"vary": "Authorization", "cache-control": "no-store"}
    assert dict(private_headers((), b"Cookie"))[b"vary"] == b"Cookie"


def test_an_anonymous_answer_of_a_page_that_also_knows_users_is_private(issuer: FakeIssuer) -> None:
    answer = ask(guarded(issuer, require_authentication=False))
    assert (answer.status, answer.header("cache-control"), answer.header("vary")) == (
        200,
        "no-store",
        "Authorization",
    )
