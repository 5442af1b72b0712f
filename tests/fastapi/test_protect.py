"""``protect``: one line, where it puts itself, what it leaves public, and what it refuses to do."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.authentication import requires
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge import ConfigurationError, TokenSource, Verifier
from oidcbridge.fastapi import CurrentPrincipal, OptionalPrincipal, protect
from oidcbridge.testing import FakeIssuer, auth_header
from tests.fastapi.kit import get, protected

UI = "https://ui.example.com"


def add_routes(app: FastAPI) -> FastAPI:
    @app.get("/open")
    async def open_() -> str:
        return "open"

    @app.get("/mine")
    async def mine(principal: CurrentPrincipal) -> str:
        return principal.user_id

    @app.get("/maybe")
    async def maybe(principal: OptionalPrincipal) -> str | None:
        return principal.user_id if principal else None

    return app


@pytest.mark.parametrize(
    ("middleware", "path", "anonymous"),
    [
        (True, "/open", 401),
        (True, "/mine", 401),
        (True, "/maybe", 401),
        (False, "/open", 200),
        (False, "/mine", 401),
        (False, "/maybe", 200),
    ],
)
def test_with_the_middleware_every_route_is_protected_and_without_it_those_that_ask(
    issuer: FakeIssuer, middleware: bool, path: str, anonymous: int
) -> None:
    app = add_routes(protected(issuer, middleware=middleware))
    assert get(app, path).status_code == anonymous
    assert get(app, path, issuer.mint("ada")).status_code == 200
    refused = get(app, path, issuer.mint("ada", audience="other"))
    assert refused.status_code == (401 if middleware or path != "/open" else 200)


@pytest.mark.parametrize("middleware", [True, False])
def test_refusals_of_both_kinds_look_alike(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_routes(protected(issuer, middleware=middleware))
    sent: list[dict[str, str]] = [{}, auth_header("abc"), auth_header("a b"), auth_header(issuer.mint(expires_in=-99))]
    answers = [get(app, "/mine", headers=headers) for headers in sent]
    assert [answer.status_code for answer in answers] == [401, 401, 400, 401]
    assert [answer.json()["code"] for answer in answers] == [
        "missing_credential",
        "invalid_token",
        "invalid_request",
        "token_expired",
    ]
    for answer in answers:
        assert answer.json().keys() == {"detail", "error", "code"}
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Authorization"
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("middleware", [True, False])
def test_the_log_says_which_fault_it_was(
    issuer: FakeIssuer, middleware: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = add_routes(protected(issuer, middleware=middleware))
    get(app, "/mine", issuer.mint("ada", audience="other-api"))
    (line,) = [record.getMessage() for record in caplog.records if record.name == "oidcbridge.asgi"]
    assert line.startswith("refused http '/mine': audience_mismatch: ")


def test_an_answer_is_private_where_a_route_asked_who_is_calling(issuer: FakeIssuer) -> None:
    app = add_routes(protected(issuer, middleware=False, token_source=TokenSource.BOTH))
    for path in ("/mine", "/maybe"):
        answer = get(app, path, issuer.mint("ada"))
        assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Authorization, Cookie")
    anonymous = get(app, "/maybe")
    assert (anonymous.headers["cache-control"], anonymous.headers["vary"]) == ("no-store", "Authorization, Cookie")
    public = get(app, "/open", issuer.mint("ada"))
    assert "cache-control" not in public.headers
    assert "vary" not in public.headers


def test_without_the_middleware_a_route_that_does_not_ask_finds_nobody(issuer: FakeIssuer) -> None:
    app = protected(issuer, middleware=False)

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        found = request.state
        assert request.user.is_authenticated is False
        return {"user_id": found.user_id, "authenticated": found.authenticated, "dependencies": found.dependencies}

    @app.get("/right")
    @requires("agents:run")
    async def right(request: Request) -> str:
        return "ran"

    token = issuer.mint("ada", scope="agents:run")
    assert get(app, "/state", token).json() == {"user_id": None, "authenticated": False, "dependencies": {}}
    assert get(app, "/right", token).status_code == 403, "nobody asked, so nobody is known"


@pytest.mark.parametrize("middleware", [True, False])
def test_requires_of_starlette_works_on_a_route_that_knows_its_caller(issuer: FakeIssuer, middleware: bool) -> None:
    app = protected(issuer, middleware=middleware)

    @app.get("/run")
    @requires("agents:run", status_code=403)
    async def run(request: Request, _: CurrentPrincipal) -> str:
        name: str = request.user.display_name
        return name

    assert get(app, "/run", issuer.mint("ada", scope="agents:run")).json() == "ada"
    assert get(app, "/run", issuer.mint("ada", scope="agents:read")).status_code == 403
    assert get(app, "/run").status_code == 401


def test_the_app_itself_comes_back_with_its_verifier(issuer: FakeIssuer) -> None:
    class OwnApp(FastAPI):
        pass

    own = OwnApp()
    app: OwnApp = protect(own, issuer_url=issuer.issuer_url, audience=issuer.audience)
    assert app is own
    assert isinstance(app.state.oidcbridge, Verifier)
    assert app.state.oidcbridge.issuer_urls == (issuer.issuer_url,)
    with issuer.verifier() as verifier:
        assert protect(FastAPI(), verifier).state.oidcbridge is verifier
    assert protect(FastAPI(), validate=False).state.oidcbridge is None


def test_the_verifier_on_the_app_verifies_what_came_another_way(issuer: FakeIssuer) -> None:
    app = protected(issuer, excluded_route_paths=["/ticket"])

    @app.get("/ticket")
    async def ticket(request: Request, ticket: str) -> str:
        principal = await request.app.state.oidcbridge.verify(ticket)
        return str(principal.user_id)

    good, bad = issuer.mint("ada"), issuer.mint("ada", audience="x")
    assert get(app, "/ticket", params={"ticket": good}).json() == "ada"
    refused = get(app, "/ticket", params={"ticket": bad})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_protecting_twice_is_a_configuration_error(issuer: FakeIssuer) -> None:
    app = protected(issuer)
    with pytest.raises(ConfigurationError, match=r"protected already.*issuers="):
        protected(issuer, app)
    assert get(app).status_code == 401


@pytest.mark.parametrize("middleware", [True, False])
def test_protecting_an_app_that_has_started_is_a_configuration_error(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_routes(FastAPI())
    assert get(app, "/open").status_code == 200
    with pytest.raises(ConfigurationError, match="started already"):
        protected(issuer, app, middleware=middleware)


def test_a_mistake_is_raised_on_the_line_and_leaves_the_app_unprotected_but_unchanged(issuer: FakeIssuer) -> None:
    app = FastAPI()
    arguments: Any
    for arguments, says in (
        ({"issuer_url": issuer.issuer_url}, "audience is missing"),
        ({"issuer_url": issuer.issuer_url, "audience": "a", "excluded_route_paths": "/health"}, r'\["/health"\]'),
        ({"issuer_url": issuer.issuer_url, "audience": "a", "excluded_route_paths": "/*"}, r'\["/\*"\]'),
        ({"verifier": issuer.issuer_url}, "issuer_url="),
    ):
        with pytest.raises(ConfigurationError, match=says):
            protect(app, **arguments)
    arguments = {"issuer_url": issuer.issuer_url, "audience": "a", "exclude": ["/health"]}
    with pytest.raises(TypeError, match="'exclude'"):
        protect(app, **arguments)
    assert app.user_middleware == []
    assert protected(issuer, app) is app


@pytest.mark.parametrize("also", [[], [GZipMiddleware]])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_browser_on_another_origin_can_read_our_401(issuer: FakeIssuer, when: str, also: list[Any]) -> None:
    app = FastAPI()

    def allow_ui() -> None:
        app.add_middleware(CORSMiddleware, allow_origins=[UI], allow_methods=["POST"])
        for outer in also:
            app.add_middleware(outer)

    if when == "before":
        allow_ui()
        protected(issuer, app)
    else:
        protected(issuer, app)
        allow_ui()
    refused = get(app, headers={"Origin": UI})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, UI)
    asked = {"Origin": UI, "Access-Control-Request-Method": "POST"}
    assert TestClient(app).options("/x", headers=asked).status_code == 200


def test_a_cors_middleware_of_ones_own_class_is_stepped_inside_too(issuer: FakeIssuer) -> None:
    class OwnCORS(CORSMiddleware):
        pass

    app = FastAPI()
    app.add_middleware(OwnCORS, allow_origins=[UI])
    assert get(protected(issuer, app), headers={"Origin": UI}).headers["access-control-allow-origin"] == UI


def test_without_cors_it_is_outermost_so_nothing_runs_for_nobody(issuer: FakeIssuer) -> None:
    ran = []
    app = FastAPI()

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        ran.append(request.state.user_id)
        return await call_next(request)

    protected(issuer, app)
    assert get(app).status_code == 401
    assert ran == []
    assert get(app, "/x", issuer.mint("ada")).status_code == 404
    assert ran == ["ada"]


def test_keys_are_fetched_when_the_app_starts_and_two_clients_in_a_row_work(frail_issuer: FakeIssuer) -> None:
    for middleware in (True, False):
        app = add_routes(protected(frail_issuer, middleware=middleware))
        for _ in range(2):
            with TestClient(app) as client:
                answer = client.get("/mine", headers=auth_header(frail_issuer.mint("ada")))
                assert (answer.status_code, answer.json()) == (200, "ada")


@pytest.mark.parametrize("middleware", [True, False])
def test_an_outage_is_a_503_with_and_without_the_middleware(frail_issuer: FakeIssuer, middleware: bool) -> None:
    app = add_routes(protected(frail_issuer, middleware=middleware))
    with frail_issuer.outage():
        answer = get(app, "/mine", frail_issuer.mint("ada"))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_middleware_that_stays_outside_of_the_protection_is_named(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    class Answering:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    app = FastAPI()
    app.add_middleware(CORSMiddleware)
    app.add_middleware(Answering)
    protected(issuer, app)
    assert "Answering" in caplog.text
    caplog.clear()
    inside = FastAPI()
    inside.add_middleware(Answering)
    inside.add_middleware(CORSMiddleware)
    protected(issuer, inside)
    assert "Answering" not in caplog.text
