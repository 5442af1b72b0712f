"""Mounted sub-apps, routers, and one gate below another."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from oidcbridge import ConfigurationError, OIDCMiddleware
from oidcbridge.fastapi import CurrentPrincipal, OptionalPrincipal, UserId, protect, require_scopes
from oidcbridge.testing import FakeIssuer, auth_header
from tests.fastapi.kit import get, protected


def add_routes(app: FastAPI | APIRouter) -> None:
    @app.get("/mine")
    async def mine(principal: CurrentPrincipal) -> str:
        return principal.user_id

    @app.get("/maybe")
    async def maybe(principal: OptionalPrincipal) -> str | None:
        return principal.user_id if principal else None

    @app.get("/open")
    async def open_(request: Request) -> str | None:
        user_id: str | None = request.state.user_id
        return user_id

    @app.get("/scoped", dependencies=[require_scopes("agents:run")])
    async def scoped() -> str:
        return "ran"


@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["routes", "router", "mount", "mount in a mount"])
def test_routes_are_protected_wherever_and_whenever_they_are_added(
    issuer: FakeIssuer, middleware: bool, when: str, kind: str
) -> None:
    app = FastAPI()

    def add() -> str:
        if kind == "routes":
            add_routes(app)
            return ""
        if kind == "router":
            router = APIRouter(prefix="/r")
            add_routes(router)
            app.include_router(router)
            return "/r"
        sub = FastAPI()
        add_routes(sub)
        app.mount("/m", Starlette(routes=[Mount("/n", sub)]) if kind == "mount in a mount" else sub)
        return "/m/n" if kind == "mount in a mount" else "/m"

    prefix = add() if when == "before" else ""
    protected(issuer, app, middleware=middleware)
    prefix = add() if when == "after" else prefix
    token, runner = issuer.mint("ada"), issuer.mint("ada", scope="agents:run")
    assert get(app, f"{prefix}/mine", token).json() == "ada"
    assert get(app, f"{prefix}/scoped", runner).json() == "ran"
    assert get(app, f"{prefix}/scoped", token).status_code == 403
    assert get(app, f"{prefix}/open", token).json() == ("ada" if middleware else None)
    anonymous = {path: get(app, prefix + path).status_code for path in ("/mine", "/scoped", "/maybe", "/open")}
    open_status = 401 if middleware else 200
    assert anonymous == {"/mine": 401, "/scoped": 401, "/maybe": open_status, "/open": open_status}


def test_a_refusal_in_a_mounted_app_has_its_status_and_challenge_with_nothing_installed_there(
    issuer: FakeIssuer,
) -> None:
    app, sub = protected(issuer, middleware=False), FastAPI()
    add_routes(sub)
    app.mount("/m", sub)
    refused = get(app, "/m/mine", issuer.mint(expires_in=-100))
    assert (refused.status_code, refused.json()["detail"]) == (401, "The token has expired")
    assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert refused.headers["cache-control"] == "no-store"


def test_a_mounted_starlette_app_finds_the_state(issuer: FakeIssuer) -> None:
    async def who(request: StarletteRequest) -> JSONResponse:
        return JSONResponse({"user_id": request.state.user_id, "name": request.user.display_name})

    app = protected(issuer)
    app.mount("/s", Starlette(routes=[Route("/who", who)]))
    assert get(app, "/s/who", issuer.mint("ada")).json() == {"user_id": "ada", "name": "ada"}
    assert get(app, "/s/who").status_code == 401


def test_exclusions_name_whole_paths_of_the_protected_app(issuer: FakeIssuer) -> None:
    app, sub = protected(issuer, excluded_route_paths=["/m/open"]), FastAPI()
    add_routes(sub)
    app.mount("/m", sub)
    assert get(app, "/m/open").json() is None
    assert get(app, "/m/mine").status_code == 401
    assert get(app, "/m/mine", issuer.mint("ada")).json() == "ada"


def test_a_protected_app_mounted_in_an_open_one_protects_itself(issuer: FakeIssuer) -> None:
    outer, inner = FastAPI(), protected(issuer, excluded_route_paths=["/open"])
    add_routes(inner)
    outer.mount("/in", inner)

    @outer.get("/free")
    async def free() -> str:
        return "free"

    assert get(outer, "/free").json() == "free"
    assert get(outer, "/in/open").json() is None
    assert get(outer, "/in/docs").status_code == 200
    assert get(outer, "/in/mine").status_code == 401
    assert get(outer, "/in/mine", issuer.mint("ada")).json() == "ada"


@pytest.mark.parametrize("middleware", [True, False])
def test_an_inner_app_that_trusts_another_issuer_takes_no_caller_of_the_outer_one(
    issuer: FakeIssuer, other_issuer: FakeIssuer, middleware: bool
) -> None:
    outer = protected(issuer)
    inner = protected(other_issuer, middleware=middleware)
    add_routes(inner)
    outer.mount("/in", inner)
    ours, theirs = issuer.mint("ada"), other_issuer.mint("ada")
    for path in ("/in/mine", "/in/scoped", "/in/maybe"):
        assert get(outer, path, ours).status_code == 401, "passed outside, and is nobody inside"
        assert get(outer, path, theirs).status_code == 401, "would be somebody inside, and does not get there"


@pytest.mark.parametrize("middleware", [True, False])
def test_an_inner_app_reads_its_own_header_and_decides_by_it(
    issuer: FakeIssuer, other_issuer: FakeIssuer, middleware: bool
) -> None:
    outer = protected(issuer)
    inner = protected(other_issuer, middleware=middleware, token_header_key="X-Inner")
    add_routes(inner)
    outer.mount("/in", inner)
    both = auth_header(issuer.mint("outer")) | {"X-Inner": other_issuer.mint("inner")}
    client = TestClient(outer)
    assert client.get("/in/mine", headers=both).json() == "inner"
    assert client.get("/in/open", headers=both).json() == ("inner" if middleware else "outer")
    answer = client.get("/in/mine", headers=both)
    assert set(answer.headers["vary"].split(", ")) == {"Authorization", "X-Inner"}
    assert client.get("/in/mine", headers=auth_header(issuer.mint("outer"))).status_code == 401


def test_an_open_route_of_an_inner_app_is_still_private_for_the_outer_one(
    issuer: FakeIssuer, other_issuer: FakeIssuer
) -> None:
    outer, inner = protected(issuer), protected(other_issuer, middleware=False)
    add_routes(inner)
    outer.mount("/in", inner)
    answer = get(outer, "/in/open", issuer.mint("ada"))
    assert (answer.json(), answer.headers["cache-control"], answer.headers["vary"]) == (
        "ada",
        "no-store",
        "Authorization",
    )


def test_the_same_verifier_inside_and_outside_knows_the_same_caller(issuer: FakeIssuer) -> None:
    verifier = issuer.verifier()
    outer, inner = FastAPI(), protect(FastAPI(), verifier, middleware=False)
    outer.add_middleware(OIDCMiddleware, verifier=verifier)
    add_routes(inner)
    outer.mount("/in", inner)
    assert get(outer, "/in/mine", issuer.mint("ada")).json() == "ada"
    assert get(outer, "/in/mine").status_code == 401


def test_a_sub_app_without_a_verifier_anywhere_above_is_an_error_and_not_open(issuer: FakeIssuer) -> None:
    outer, sub = FastAPI(), FastAPI()
    ran: list[Any] = []

    @sub.get("/mine")
    async def mine(user_id: UserId) -> None:
        ran.append(user_id)

    outer.mount("/m", sub)
    with pytest.raises(ConfigurationError, match="protect"):
        get(outer, "/m/mine", issuer.mint("ada"))
    assert ran == []
