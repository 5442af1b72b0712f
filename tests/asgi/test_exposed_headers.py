"""What a page on another origin may read of a refusal where the app says nothing of it (RFC 9449 section 7.1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from oidcbridge.fastapi import CurrentPrincipal, protect
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Headers, Probe, ask, bearer, guarded

UI = ("Origin", "https://ui.example.com")


def behind_middleware(issuer: FakeIssuer) -> ASGIApp:
    return guarded(issuer, Probe())


def behind_a_dependency(issuer: FakeIssuer) -> ASGIApp:
    app = protect(FastAPI(), issuer_url=issuer.issuer_url, audience=issuer.audience, middleware=False)

    @app.get("/x")
    async def route(principal: CurrentPrincipal) -> dict[str, str]:
        return {"user_id": principal.user_id}

    return app


def exposed(answer: Answer) -> set[str]:
    """The headers that a browser shows to script beside the usual ones (Fetch standard)."""
    return {name.strip().lower() for name in (answer.header("access-control-expose-headers") or "").split(",")} - {""}


@pytest.mark.parametrize("make", [behind_middleware, behind_a_dependency])
def test_a_browser_may_show_the_challenge_and_the_time_to_try_again(
    frail_issuer: FakeIssuer, make: Callable[[FakeIssuer], ASGIApp]
) -> None:
    app = CORSMiddleware(make(frail_issuer), allow_origins=[UI[1]])
    sent: list[Headers] = [[UI], [UI, *bearer("a b")], [UI, *bearer(frail_issuer.mint(expires_in=-100))]]
    for headers in sent:
        answer = ask(app, headers=headers)
        assert answer.header("www-authenticate") is not None
        assert "www-authenticate" in exposed(answer), answer.status
    with frail_issuer.outage():
        answer = ask(app, headers=[UI, *bearer(frail_issuer.mint("ada"))])
    assert answer.status == 503
    assert "retry-after" in exposed(answer)


def test_what_the_app_itself_exposes_stands_and_no_answer_is_opened_to_a_stranger(issuer: FakeIssuer) -> None:
    app = CORSMiddleware(guarded(issuer), allow_origins=[UI[1]], expose_headers=["WWW-Authenticate", "X-Own"])
    refused, passed = ask(app, headers=[UI]), ask(app, headers=[UI, *bearer(issuer.mint("ada"))])
    assert {"www-authenticate", "x-own"} <= exposed(refused)
    assert exposed(passed) == {"www-authenticate", "x-own"}
    stranger = ask(app, headers=[("Origin", "https://evil.example")])
    assert stranger.header("access-control-allow-origin") is None
    assert ask(guarded(issuer), headers=[UI]).header("access-control-allow-origin") is None
