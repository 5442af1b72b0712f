"""Requests that try to bring a token where none is read, or to reach a handler without one.

The oracle is one: where a handler ran, the caller was verified by the one credential that counts, or the route was
declared public. The tables in ``tests/asgi`` say what each answer is; here whole ranges of bytes and names are tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import pytest
from starlette.types import ASGIApp

from oidcbridge import TokenSource
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Probe, deliver, guarded, http_scope

RawHeaders = list[tuple[bytes, bytes]]
REFUSED = {(400, "invalid_request"), (401, "invalid_token"), (401, "missing_credential")}


@pytest.fixture(scope="module")
def good(issuer: FakeIssuer) -> bytes:
    return issuer.mint("ada").encode()


def ask_all(app: ASGIApp, requests: Iterable[RawHeaders], **more: Any) -> list[Answer]:
    async def ask() -> list[Answer]:
        return [await deliver(app, {**http_scope(**more), "headers": headers}) for headers in requests]

    return asyncio.run(ask())


def came_in(app: ASGIApp, requests: list[RawHeaders], **more: Any) -> list[RawHeaders]:
    """The requests that were let in, all as ada; of the others, each was refused in one of the ways there are."""
    let_in = []
    for headers, answer in zip(requests, ask_all(app, requests, **more), strict=True):
        found = answer.json()
        if answer.status == 200:
            assert (found["user_id"], found["authenticated"]) == ("ada", True), headers
            let_in.append(headers)
        else:
            assert (answer.status, found["error"]) in REFUSED, (headers, answer.status)
    return let_in


def values(requests: list[RawHeaders]) -> list[bytes]:
    return [headers[0][1] for headers in requests]


def test_of_all_bytes_the_space_alone_may_stand_between_scheme_and_token(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer)
    every = [bytes([byte]) for byte in range(256)]
    between = [[(b"authorization", b"Bearer" + byte + good)] for byte in every]
    assert values(came_in(app, between)) == [b"Bearer " + good]
    pairs = [[(b"authorization", b"Bearer" + pair + good)] for byte in every for pair in (b" " + byte, byte + b" ")]
    assert set(values(came_in(app, pairs))) == {b"Bearer  " + good}


def test_no_byte_may_stand_before_the_scheme_inside_it_or_behind_the_token(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer)
    for byte in (bytes([value]) for value in range(256)):
        frames = (byte + b"Bearer " + good, b"Bea" + byte + b"rer " + good, b"Bearer " + good + byte, b"Bearer" + byte)
        assert came_in(app, [[(b"authorization", frame)] for frame in frames]) == [], byte


def test_a_scheme_is_bearer_in_any_case_and_in_no_other_letters(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer)
    cases = {"".join(letters).encode() for letters in product(*zip("bearer", "BEARER", strict=True))}
    assert len(came_in(app, [[(b"authorization", name + b" " + good)] for name in cases])) == 64
    others = [
        "\uff22earer",
        "Be\u0430rer",
        "Bearer\u200b",
        "\u212aearer",
        "Bear\u00e9r",
        "BEARER\u0130",
        "Bearer\xa0",
        "Bearer\u2003",
        "Bearer\ufeff",
    ]
    tried = [
        [(b"authorization", other.encode(coding, "ignore") + b" " + good)]
        for other in others
        for coding in ("utf-8", "utf-16-le")
    ]
    schemes = (
        b"Bearer2",
        b"MAC",
        b"Token",
        b"JWT",
        b"OAuth",
        b"Basic",
        b"Negotiate",
        b"GNAP",
        b"PoP",
        b"bearer_token",
        b"-Bearer",
        b"Bearer-",
    )
    assert came_in(app, [*tried, *([(b"authorization", scheme + b" " + good)] for scheme in schemes)]) == []


@pytest.mark.parametrize("source", list(TokenSource))
def test_a_token_under_any_other_name_is_not_read(issuer: FakeIssuer, good: bytes, source: TokenSource) -> None:
    app = guarded(issuer, token_source=source)
    names = (
        b"Authorization", b"authorization ", b" authorization", b"authorization:", b"authorization\0",
        b"author\xc4\xb1zation", b"authorization_", b"authorisation",
        b"x-authorization", b"proxy-authorization", b"x-forwarded-authorization", b"x-original-authorization",
        b"http_authorization", b"x_authorization", b"authentication",
        b"x-forwarded-access-token", b"x-auth-token", b"x-access-token", b"access-token", b"access_token",
        b"x-amzn-oidc-accesstoken", b"x-amzn-oidc-data", b"token",
        b"cookie2", b"x-cookie", b"set-cookie", b"cookies", b"sec-websocket-protocol", b"x-ms-token-aad-access-token",
        b"x-goog-iap-jwt-assertion", b"cf-access-jwt-assertion",
        b"x-user", b"x-remote-user", b"x-forwarded-user", b"remote-user", b"dpop", b"id-token", b"x-id-token", b"",
    )  # fmt: skip
    framed = (b"Bearer " + good, good, b"access_token=" + good)
    assert came_in(app, [[(name, value)] for name in names for value in framed]) == []


def test_a_body_and_a_query_are_no_places_for_a_token(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer, token_source=TokenSource.BOTH)
    form: RawHeaders = [(b"content-type", b"application/x-www-form-urlencoded")]
    assert came_in(app, [form, []], method="POST", query_string=b"access_token=" + good) == []
    assert (
        came_in(app, [[]], path="/x;access_token=" + good.decode(), query_string=b"authorization=Bearer%20" + good)
        == []
    )


@pytest.mark.parametrize("source", [TokenSource.HEADER, TokenSource.BOTH])
def test_two_headers_are_refused_whatever_they_say_and_in_whatever_order(
    issuer: FakeIssuer, good: bytes, source: TokenSource
) -> None:
    app = guarded(issuer, token_source=source)
    others = (
        b"Bearer " + good,
        b"Bearer x",
        b"bearer",
        b"Basic eA==",
        b"",
        b" ",
        b"\xff",
        good,
        b"DPoP " + good,
        b"Bearer \0",
    )
    first, cookie = (b"authorization", b"Bearer " + good), (b"cookie", b"access_token=" + good)
    pairs = [
        pair for other in others for pair in ([first, (b"authorization", other)], [(b"authorization", other), first])
    ]
    assert came_in(app, [*pairs, *([cookie, *pair] for pair in pairs), [first] * 50]) == []
    assert len(came_in(app, [[first], [first, (b"x-other", b"Bearer x")]])) == 2


def test_of_all_bytes_only_those_that_frame_a_cookie_may_stand_round_one(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    every = [bytes([byte]) for byte in range(256)]
    places: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
        "before the name": (lambda byte: byte + b"access_token=" + good, b" \t;"),
        "behind the name": (lambda byte: b"access_token" + byte + b"=" + good, b" \t"),
        "before the token": (lambda byte: b"access_token=" + byte + good, b" \t"),
        "behind the token": (lambda byte: b"access_token=" + good + byte, b" \t;"),
        "inside the name": (lambda byte: b"access" + byte + b"token=" + good, b"_"),
    }
    for place, (frame, allowed) in places.items():
        entered = values(came_in(app, [[(b"cookie", frame(byte))] for byte in every]))
        assert entered == [frame(byte) for byte in every if byte in allowed], place


def test_a_cookie_of_another_name_or_two_of_one_are_not_taken(issuer: FakeIssuer, good: bytes) -> None:
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    tricks = (
        b"=access_token=%s", b"x=access_token=%s", b"x=1,access_token=%s", b'x="; access_token=%s"',
        b"Access_Token=%s", b"ACCESS_TOKEN=%s",
        b"__Host-access_token=%s", b"__Secure-access_token=%s", b"access_token[0]=%s", b"access_token[]=%s",
        b"access%%5ftoken=%s", b"access_token.0=%s", b"xaccess_token=%s",
        b"$Version=1; $access_token=%s", b"access_token==%s", b"access_token=Bearer %s", b"access_token=Bearer%%20%s",
        b'access_token="%s', b'access_token=%s"',
        b"access_token='%s'", b'access_token="\\"%s"', b"access_token=s:%s", b"access_token=; access_token=%s",
        b"access_token=%s; access_token=x",
        b'access_token="%s"; access_token=', b"access_token = x; access_token=%s",
        b"access_token=%s; x=1; access_token=y", b"access_token=x\0; access_token=%s",
    )  # fmt: skip
    let_in = values(came_in(app, [[(b"cookie", trick % good)] for trick in tricks]))
    assert let_in == []
    split: list[RawHeaders] = [
        [(b"cookie", b"access_token=" + good), (b"cookie", b"access_token=" + other)]
        for other in (good, b"x", b"", b'""')
    ]
    assert came_in(app, split) == []
    assert len(came_in(app, [[(b"cookie", b'a=1; access_token="%s"; b=2' % good), (b"cookie", b"c=3")]])) == 1


PREFLIGHT = (b"origin", b"https://evil.test"), (b"access-control-request-method", b"POST")


def test_only_a_whole_preflight_passes_and_it_is_nobodys(issuer: FakeIssuer, good: bytes) -> None:
    """The handler of OPTIONS runs for a preflight alone, and only a word of it on CORS comes out."""
    probe = Probe()
    app = guarded(issuer, probe, token_source=TokenSource.BOTH)
    methods = (
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "TRACE",
        "CONNECT",
        "QUERY",
        "options",
        "Options",
        "OPTIONS ",
        "OPTIONSX",
        "",
        "*",
    )
    lures: list[RawHeaders] = [
        [*PREFLIGHT], [*PREFLIGHT, (b"x-http-method-override", b"OPTIONS")],
        [*PREFLIGHT, (b"x-http-method", b"OPTIONS")], [*PREFLIGHT, (b"_method", b"OPTIONS")],
    ]  # fmt: skip
    for method in methods:
        assert [answer.status for answer in ask_all(app, lures, method=method)] == [401] * len(lures), method
    halves: list[RawHeaders] = [
        [PREFLIGHT[0]],
        [PREFLIGHT[1]],
        [(b"Origin", b"x"), (b"Access-Control-Request-Method", b"GET")],
        [],
    ]
    assert [answer.status for answer in ask_all(app, halves, method="OPTIONS")] == [401] * 4
    assert probe.scopes == []
    (answer,) = ask_all(app, [[*PREFLIGHT, (b"authorization", b"Bearer " + good)]], method="OPTIONS")
    assert (answer.status, probe.state["authenticated"], probe.state["user_id"]) == (401, False, None)
    wrong: RawHeaders = [(b"origin", b"https://evil.test"), (b"cookie", b"access_token=" + good)]
    assert [answer.status for answer in ask_all(app, [wrong], method="POST")] == [403]
