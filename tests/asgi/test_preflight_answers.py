"""A preflight passes without a credential, so its answer carries CORS headers and nothing of the app's pages.

Apps that do not look at the method are apps too: a bare callable, one that is mounted, an ASGI app as a route. Anybody
can write the two headers of a preflight, so to them it is a request like any other, from nobody.
"""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import ask, bearer, guarded

PREFLIGHT = [("Origin", "https://ui.example.com"), ("Access-Control-Request-Method", "GET")]


class MethodBlind:
    """Serves its page to every method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("a page for those who are known", headers={"X-Page": "1"})(scope, receive, send)


APPS: dict[str, ASGIApp] = {
    "a bare callable": MethodBlind(),
    "a mounted app": Starlette(routes=[Mount("/x", MethodBlind())]),
    "an app as a route": Starlette(routes=[Route("/x", MethodBlind())]),
}


@pytest.mark.parametrize("name", APPS)
def test_a_preflight_brings_no_page_out_of_an_app_that_is_blind_to_methods(issuer: FakeIssuer, name: str) -> None:
    app = guarded(issuer, APPS[name])
    for path in ("/x", "/x/"):
        answer = ask(app, path, method="OPTIONS", headers=PREFLIGHT)
        assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
        assert b"a page" not in answer.body
        assert answer.header("x-page") is None
    known = ask(app, "/x/" if "mounted" in name else "/x", headers=bearer(issuer.mint("ada")))
    assert (known.status, known.body) == (200, b"a page for those who are known")


@pytest.mark.parametrize("name", APPS)
def test_cors_inside_still_answers_preflights(issuer: FakeIssuer, name: str) -> None:
    inside = CORSMiddleware(APPS[name], allow_origins=["https://ui.example.com"], allow_methods=["GET"])
    answer = ask(guarded(issuer, inside), "/x", method="OPTIONS", headers=PREFLIGHT)
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, "https://ui.example.com")
    assert answer.header("access-control-allow-methods") == "GET"
