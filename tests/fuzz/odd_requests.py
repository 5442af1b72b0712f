"""Requests with odd headers through the middleware, in process."""

from __future__ import annotations

import re
from collections.abc import Iterator

from starlette.types import Scope

from tests.asgi.kit import Answer, deliver, http_scope, websocket_scope
from tests.fuzz.arena import ALLOWED_ORIGIN, Arena, run_now
from tests.fuzz.cases import Case
from tests.fuzz.oracle import must_tell_nothing
from tests.fuzz.wrong import must

NAMES = (b"authorization", b"cookie", b"x-token", b"origin", b"sec-fetch-site", b"x-requested-with", b"host", b"accept")
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "WEBSOCKET", "DELETE")
SAFE = ("GET", "HEAD", "OPTIONS")
ANSWERS = {
    (401, "missing_credential", "missing_credential"),
    (400, "invalid_request", "invalid_request"),
    (401, "invalid_token", "invalid_token"),
    (401, "invalid_token", "token_expired"),
    (403, "cross_site_request", "cross_site_request"),
}
SAID = {"content-length", "content-type", "cache-control", "vary", "www-authenticate", "access-control-expose-headers"}
Headers = list[tuple[bytes, bytes]]


def try_request(arena: Arena, case: Case) -> str:
    """What became of a request: ``principal``, ``anonymous`` or the code of the refusal."""
    name = [*arena.apps][case.place % len(arena.apps)]
    method = METHODS[case.choice % len(METHODS)]
    tokens = {b"{token}": arena.good.encode(), b"{forged}": arena.forged.encode()}
    headers = [*_headers(case, tokens)]
    scope = websocket_scope() if method == "WEBSOCKET" else http_scope(method=method)
    scope["headers"] = headers
    answer = run_now(deliver(arena.apps[name], scope))
    if answer.status in (101, 200):
        return _let_in(arena, scope, name, method)
    return _refused(arena, answer, method)


def _headers(case: Case, tokens: dict[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    for field in case.fields:
        if field:
            value = field[1:]
            for written, token in tokens.items():
                value = value.replace(written, token)
            yield NAMES[field[0] % len(NAMES)], value


def _let_in(arena: Arena, scope: Scope, name: str, method: str) -> str:
    state, headers = scope["state"], scope["headers"]
    if not state["authenticated"]:
        must(name in ("anybody", "unverified"), "nobody came in where a token is asked for")
        must(state["principal"] is None and not state["scopes"], "nobody has come in as somebody")
        return "anonymous"
    must(name != "unverified", "unverified claims passed for verified ones")
    token = state["token"]
    must(token == arena.good or arena.main.has_signed(token), "in with a token nobody signed")
    source = _source(headers, token.encode(), name)
    must(source, "a token was found where none may be")
    if source == "cookie" and method not in SAFE:
        _must_be_same_site(headers)
    return "principal"


def _must_be_same_site(headers: Headers) -> None:
    origins = [value.lower() for name, value in headers if name == b"origin"]
    hosts = [b"http://" + value.lower().removesuffix(b":80") for name, value in headers if name == b"host"]
    must(not origins or origins in ([one] for one in (ALLOWED_ORIGIN, *hosts)), f"a cookie of another site: {origins}")
    must(origins or {b"sec-fetch-site", b"x-requested-with"} & dict(headers).keys(), "a cookie from nowhere")


def _source(headers: Headers, token: bytes, name: str) -> str | None:
    """Where this app may have read ``token``: a header that stands once, or one of the cookies."""
    wanted = b"x-token" if name == "custom header" else b"authorization"
    values = [value for header, value in headers if header == wanted]
    if name != "cookie" and values:
        fits = len(values) == 1 and re.fullmatch(b"(?i:bearer) +" + re.escape(token), values[0])
        return "header" if fits or (name == "custom header" and values == [token]) else None
    cookies = b";".join(value for header, value in headers if header == b"cookie")
    pairs = [pair.partition(b"=") for pair in cookies.split(b";")]
    # Without an equals sign it is the value of a cookie without a name (Starlette and browsers read it so).
    named = [(cookie.strip(b" \t"), value.strip(b" \t")) for cookie, equals, value in pairs if equals]
    values = [value for cookie, value in named if cookie == b"access_token"]
    alone = values in ([token], [b'"' + token + b'"'])
    return "cookie" if alone and name in ("cookie", "both", "anybody") else None


def _refused(arena: Arena, answer: Answer, method: str) -> str:
    """A refusal that a client may see, to the letter, and in no headers but these."""
    must({name for name, _ in answer.headers} <= SAID, f"headers {answer.headers}")
    must(answer.header("cache-control") == "no-store", "a refusal that may be stored")
    must((answer.status == 403) == (answer.header("www-authenticate") is None), "the challenge")
    must_tell_nothing(f"{answer.headers} {answer.body!r}", arena.good, "an answer")
    if method == "HEAD":
        must(not answer.body, "HEAD with a body")
        return "refused to HEAD"
    found = answer.json()
    must(sorted(found) == ["code", "detail", "error"], f"the body {found}")
    must((answer.status, found["error"], found["code"]) in ANSWERS, f"{answer.status} {found}")
    code: str = found["code"]
    return code
