"""Who is calling, as typed dependencies and as plain functions, on every kind of app."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, Security
from starlette.testclient import TestClient

from oidcbridge import ConfigurationError, OIDCMiddleware, Principal, TokenSource, Verifier
from oidcbridge.fastapi import (
    CurrentPrincipal,
    Dependencies,
    OptionalPrincipal,
    SecurityScopes,
    SessionState,
    UserId,
    optional_principal,
    protect,
    require_scopes,
)
from oidcbridge.testing import FakeIssuer, auth_header
from tests.fastapi.kit import add_whoami, get, protected

CLAIMS = {"sid": "login-1", "email": "ada@example.com", "tier": "gold"}
FULL = {
    "user_id": "ada",
    "session_id": "login-1",
    "dependencies": {"email": "ada@example.com"},
    "session_state": {"tier": "gold"},
    "scopes": ["agents:run"],
}


@pytest.mark.parametrize("path", ["/types", "/functions"])
@pytest.mark.parametrize("middleware", [True, False])
def test_every_type_and_function_gives_its_part_of_the_caller(issuer: FakeIssuer, middleware: bool, path: str) -> None:
    app = add_whoami(
        protected(issuer, middleware=middleware, dependencies_claims=["email"], session_state_claims=["tier"])
    )
    assert get(app, path, issuer.mint("ada", scope="agents:run", claims=CLAIMS)).json() == FULL
    sparse = get(app, path, issuer.mint("bob")).json()
    assert sparse == {"user_id": "bob", "session_id": None, "dependencies": {}, "session_state": {}, "scopes": []}
    assert get(app, path).status_code == 401
    assert get(app, path, "abc").status_code == 401


@pytest.mark.parametrize("middleware", [True, False])
def test_dependencies_are_this_requests_own_and_the_same_as_on_the_state(issuer: FakeIssuer, middleware: bool) -> None:
    app = protected(issuer, middleware=middleware, dependencies_claims=["profile"], session_state_claims=["profile"])

    @app.get("/write")
    async def write(request: Request, dependencies: Dependencies, session_state: SessionState) -> dict[str, Any]:
        assert dependencies is request.state.dependencies
        assert session_state is request.state.session_state
        before = {name: dict(value) for name, value in dependencies.items()}
        dependencies["profile"]["team"] = "evil"
        dependencies.clear()
        session_state.clear()
        return before

    token = issuer.mint("ada", claims={"profile": {"team": "ops"}})
    for _ in range(3):
        assert get(app, "/write", token).json() == {"profile": {"team": "ops"}}


@pytest.mark.parametrize("middleware", [True, False])
def test_an_optional_principal_is_none_for_nobody_and_a_bad_token_is_refused_all_the_same(
    issuer: FakeIssuer, middleware: bool
) -> None:
    app = protected(issuer, middleware=middleware, require_authentication=False)

    @app.get("/maybe")
    async def maybe(
        principal: OptionalPrincipal, again: Annotated[Principal | None, Depends(optional_principal)]
    ) -> str | None:
        assert principal is again
        return principal.user_id if principal else None

    assert get(app, "/maybe").json() is None
    assert get(app, "/maybe", issuer.mint("ada")).json() == "ada"
    assert get(app, "/maybe", issuer.mint("ada", audience="x")).status_code == 401
    assert get(app, "/maybe", "a b").status_code == 400


@pytest.mark.parametrize("middleware", [True, False])
def test_cookies_and_sites_are_judged_the_same_way(issuer: FakeIssuer, middleware: bool) -> None:
    app = protected(issuer, middleware=middleware, token_source=TokenSource.COOKIE)

    @app.post("/run")
    async def run(user_id: UserId) -> str:
        return user_id

    client = TestClient(app, cookies={"access_token": issuer.mint("ada")})
    assert client.post("/run", headers={"Origin": "http://testserver"}).json() == "ada"
    refused = client.post("/run", headers={"Origin": "https://evil.example"})
    assert (refused.status_code, refused.json()["error"]) == (403, "cross_site_request")
    assert refused.headers["vary"] == "Cookie"


def test_an_excluded_route_knows_nobody_whatever_it_is_sent(issuer: FakeIssuer) -> None:
    app = add_whoami(protected(issuer, excluded_route_paths=["/types", "/maybe"]))

    @app.get("/maybe")
    async def maybe(principal: OptionalPrincipal) -> bool:
        return principal is None

    token = issuer.mint("ada")
    assert get(app, "/types", token).status_code == 401, "a route that asks stays closed"
    assert get(app, "/functions", token).status_code == 200
    for sent in (None, token, "abc"):
        assert get(app, "/maybe", sent).json() is True


@pytest.mark.parametrize("middleware", [True, False])
def test_without_validation_nobody_is_the_current_principal(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_whoami(protect(FastAPI(), middleware=middleware, validate=False))

    @app.get("/scoped", dependencies=[require_scopes("agents:run")])
    async def scoped() -> None:
        raise AssertionError("nobody gets here")

    @app.get("/maybe")
    async def maybe(request: Request, principal: OptionalPrincipal) -> dict[str, Any]:
        assert principal is None
        return {"user_id": request.state.user_id, "authenticated": request.state.authenticated}

    token = issuer.mint("ada", scope="agents:run")
    for path in ("/types", "/functions", "/scoped"):
        assert get(app, path, token).status_code == 401, path
    assert get(app, "/maybe", token).json() == {"user_id": "ada", "authenticated": False}
    assert get(app, "/maybe").json() == {"user_id": None, "authenticated": False}


def test_a_token_is_verified_once_however_many_dependencies_ask(issuer: FakeIssuer) -> None:
    verified = []

    class Counting(Verifier):
        async def verify(self, token: str) -> Principal:
            verified.append(token)
            return await super().verify(token)

    verifier = Counting(issuer_url=issuer.issuer_url, audience=issuer.audience, token_cache=0)
    for middleware in (True, False):
        app = add_whoami(protect(FastAPI(), verifier, middleware=middleware))
        verified.clear()
        assert get(app, "/types", issuer.mint("ada")).status_code == 200
        assert len(verified) == 1


def test_the_dependencies_work_under_the_bare_middleware(issuer: FakeIssuer) -> None:
    app = add_whoami(FastAPI())
    app.add_middleware(
        OIDCMiddleware,
        issuer_url=issuer.issuer_url,
        audience=issuer.audience,
        dependencies_claims=["email"],
        session_state_claims=["tier"],
    )
    assert get(app, "/types", issuer.mint("ada", scope="agents:run", claims=CLAIMS)).json() == FULL
    assert get(app, "/types").status_code == 401


def test_a_verifier_put_on_the_app_by_hand_is_enough(issuer: FakeIssuer) -> None:
    app = add_whoami(FastAPI())
    app.state.oidcbridge = issuer.verifier()
    assert get(app, "/types", issuer.mint("ada")).json()["user_id"] == "ada"
    refused = get(app, "/types")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert get(app, "/types", issuer.mint(audience="x")).status_code == 401


@pytest.mark.parametrize("state", [{}, {"oidcbridge": None}, {"oidcbridge": "https://idp.test"}])
def test_without_a_verifier_a_route_that_asks_is_an_error_that_names_protect_and_never_open(
    issuer: FakeIssuer, state: dict[str, Any]
) -> None:
    app = FastAPI()
    for name, value in state.items():
        setattr(app.state, name, value)
    ran: list[Principal | None] = []

    @app.get("/mine")
    async def mine(principal: CurrentPrincipal) -> None:
        ran.append(principal)

    @app.get("/maybe")
    async def maybe(principal: OptionalPrincipal) -> None:
        ran.append(principal)

    for path in ("/mine", "/maybe"):
        for token in (None, issuer.mint("ada")):
            with pytest.raises(ConfigurationError, match=r"oidcbridge\.fastapi\.protect\(app"):
                get(app, path, token)
    assert ran == []


async def tenant(principal: CurrentPrincipal, scopes: SecurityScopes) -> str:
    return f"{principal.tenant}:{scopes.scope_str}"


def test_ones_own_dependency_may_be_built_on_ours(issuer: FakeIssuer) -> None:
    app = protected(issuer)

    @app.get("/tenant")
    async def whose(found: Annotated[str, Security(tenant, scopes=["a"])]) -> str:
        return found

    claims = {"tenant": "blue"}
    assert get(app, "/tenant", issuer.mint("ada", scope="a", claims=claims)).json() == "blue:a"
    assert get(app, "/tenant", issuer.mint("ada", claims=claims)).status_code == 403


def test_what_a_client_sends_never_fills_a_dependency(issuer: FakeIssuer) -> None:
    app = add_whoami(protected(issuer, dependencies_claims=["email"]))
    names = ["user_id", "session_id", "dependencies", "session_state", "principal", "scopes"]
    sent = dict.fromkeys(names, '{"evil": true}')
    answer = TestClient(app, cookies=sent).get("/types", params=sent, headers=sent | auth_header(issuer.mint("ada")))
    assert answer.json() == {
        "user_id": "ada",
        "session_id": None,
        "dependencies": {},
        "session_state": {},
        "scopes": [],
    }


def test_a_route_may_return_the_principal_itself_or_its_dict(issuer: FakeIssuer) -> None:
    app = FastAPI()

    @app.get("/itself")
    async def itself(principal: CurrentPrincipal):  # type: ignore[no-untyped-def]
        return principal

    @app.get("/annotated")
    async def annotated(principal: CurrentPrincipal) -> Principal:
        return principal

    @app.get("/dict")
    async def as_dict(principal: CurrentPrincipal) -> dict[str, Any]:
        return principal.as_dict()

    protected(issuer, app)
    token = issuer.mint("ada", claims={"groups": ["x"], "nested": {"list": [1]}})
    itself_, annotated_, dict_ = (get(app, path, token).json() for path in ("/itself", "/annotated", "/dict"))
    assert itself_ == annotated_ == dict_
    assert TestClient(app).get("/openapi.json").status_code == 200
    assert (itself_["user_id"], itself_["groups"], itself_["claims"]["nested"]) == ("ada", ["x"], {"list": [1]})
