"""What the endpoint finds on the state: always set, this request's own, and never filled by anybody else."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.authentication import UnauthenticatedUser, requires
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from oidcbridge import OIDCMiddleware, Principal, TokenSource
from oidcbridge.asgi.state import OIDCUser
from oidcbridge.testing import OMIT, FakeIssuer, auth_header
from tests.asgi.kit import STATE, Probe, ask, bearer, deliver, face, guarded, http_scope

NESTED = {"profile": {"team": {"name": "ops"}, "tags": ["a", ["b"]]}, "level": 3}


def test_a_verified_request_finds_every_name_set(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(
        issuer,
        probe,
        dependencies_claims=["email", "profile"],
        session_state_claims={"tier": "https://acme.example/tier"},
    )
    claims = {"sid": "login-1", "email": "ada@example.com", "https://acme.example/tier": "gold", **NESTED}
    token = issuer.mint("ada", scope="agents:read agents:run", claims=claims)
    assert ask(app, headers=bearer(token)).status == 200
    state = probe.state
    assert isinstance(state["principal"], Principal)
    assert state["principal"].user_id == state["user_id"] == "ada"
    assert state["session_id"] == "login-1"
    assert state["dependencies"] == {"email": "ada@example.com", "profile": NESTED["profile"]}
    assert state["session_state"] == {"tier": "gold"}
    assert state["scopes"] == ["agents:read", "agents:run"]
    assert state["claims"]["email"] == "ada@example.com"
    assert state["token"] == token
    assert state["authenticated"] is True


def test_names_without_a_claim_are_set_and_empty(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, dependencies_claims=["email"], session_state_claims=["tier"])
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200
    assert {name: probe.state[name] for name in ("session_id", "dependencies", "session_state", "scopes")} == {
        "session_id": None,
        "dependencies": {},
        "session_state": {},
        "scopes": [],
    }


@pytest.mark.parametrize("headers", [[], "token"])
def test_nothing_that_stood_on_the_state_before_remains(issuer: FakeIssuer, probe: Probe, headers: Any) -> None:
    app = guarded(issuer, probe, require_authentication=False)
    planted = {name: {"user_id": "root", "roles": ["admin"]} for name in (*STATE, "principal")}
    sent = bearer(issuer.mint("ada")) if headers == "token" else headers
    assert ask(app, headers=sent, state={**planted, "other": 1}).status == 200
    assert probe.state["other"] == 1, "what is not ours stays"
    assert "root" not in repr([probe.state[name] for name in planted])
    assert probe.state["user_id"] == ("ada" if sent else None)


def test_the_state_is_changed_in_place(issuer: FakeIssuer, probe: Probe) -> None:
    kept: dict[str, Any] = {"mine": object()}
    scope = http_scope(headers=bearer(issuer.mint("ada")), state=kept)
    asyncio.run(deliver(guarded(issuer, probe), scope))
    assert probe.state is kept
    assert kept["user_id"] == "ada"


def test_a_scope_without_a_state_gets_one(issuer: FakeIssuer, probe: Probe) -> None:
    scope = http_scope(headers=bearer(issuer.mint("ada")))
    del scope["state"]
    assert asyncio.run(deliver(guarded(issuer, probe), scope)).json()["user_id"] == "ada"


def deface(values: Any) -> None:
    """Change everything in a container, all the way down."""
    if isinstance(values, dict):
        for value in values.values():
            deface(value)
        values.clear()
        values["evil"] = True
    elif isinstance(values, list):
        for value in values:
            deface(value)
        values[:] = ["agents:*"]
    else:
        assert not isinstance(values, Mapping | tuple), "agents write into it, so it is no read-only view"


@pytest.mark.parametrize("token_cache", [0, 100])
@pytest.mark.parametrize("values", [NESTED, {"level": 3, "profile": "flat"}])
def test_what_one_request_writes_into_its_state_no_other_finds(
    issuer: FakeIssuer, probe: Probe, token_cache: int, values: dict[str, object]
) -> None:
    wanted = ["profile", "level"]
    app = guarded(issuer, probe, dependencies_claims=wanted, session_state_claims=wanted, token_cache=token_cache)
    token = issuer.mint("ada", scope="agents:run", claims=values)
    first = ask(app, headers=bearer(token)).json()
    assert first["dependencies"] == first["session_state"] == values
    for name in ("dependencies", "session_state", "scopes"):
        deface(probe.state[name])
    for _ in range(2):  # the second one is remembered, and the third answered as it was
        assert ask(app, headers=bearer(token)).json() == first
        for name in ("dependencies", "session_state", "scopes"):
            deface(probe.state[name])
    _, earlier, later = (scope["state"] for scope in probe.scopes)
    for name in ("dependencies", "session_state", "scopes"):
        assert earlier[name] is not later[name]
    assert (earlier["principal"] is later["principal"]) == bool(token_cache)


@pytest.mark.parametrize("token_cache", [0, 5])
def test_requests_at_the_same_time_never_see_each_others_caller(issuer: FakeIssuer, token_cache: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        before = dict(scope["state"])
        for _ in range(3):
            await asyncio.sleep(0)
            assert scope["state"] == before
        await JSONResponse(face(scope))(scope, receive, send)

    gate = guarded(issuer, app, dependencies_claims=["email"], token_cache=token_cache)
    who = [f"user-{number}" for number in range(10)]
    tokens = {user: issuer.mint(user, claims={"email": f"{user}@example.com"}) for user in who}

    async def storm() -> list[Any]:
        calls = [deliver(gate, http_scope(headers=bearer(tokens[user]))) for user in who * 10]
        return [(answer.json()["user_id"], answer.json()["dependencies"]) for answer in await asyncio.gather(*calls)]

    assert asyncio.run(storm()) == [(user, {"email": f"{user}@example.com"}) for user in who * 10]


def test_dependencies_and_session_state_share_nothing_with_each_other(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, dependencies_claims=["profile"], session_state_claims=["profile"])
    ask(app, headers=bearer(issuer.mint("ada", claims=NESTED)))
    deface(probe.state["dependencies"])
    assert probe.state["session_state"] == {"profile": NESTED["profile"]}


def test_the_principal_and_its_claims_cannot_be_changed(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, dependencies_claims=["profile"])
    ask(app, headers=bearer(issuer.mint("ada", claims=NESTED)))
    principal, claims = probe.state["principal"], probe.state["claims"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.user_id = "root"
    with pytest.raises(TypeError):
        claims["sub"] = "root"
    with pytest.raises(TypeError):
        claims["profile"]["team"]["name"] = "root"
    with pytest.raises(TypeError):
        principal.dependencies["profile"]["team"] = {}
    assert claims["profile"]["tags"] == ("a", ("b",))


def test_the_claims_are_a_mapping_like_any_other(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe)
    ask(app, headers=bearer(issuer.mint("ada", claims=NESTED)))
    claims, principal = probe.state["claims"], probe.state["principal"]
    assert isinstance(probe.state["claims"], Mapping)
    assert claims == principal.claims == dict(claims)
    assert len(claims) == len(principal.claims)
    assert {**claims}["sub"] == claims.get("sub") == "ada"
    assert claims | {"sub": "bob"} == {**principal.claims, "sub": "bob"}
    mine = claims.copy()
    mine["sub"] = "root"
    assert claims["sub"] == "ada"
    assert claims.get("admin") is None
    assert "admin" not in claims
    assert repr(claims) == repr(principal.claims)
    for twin in (copy.copy(claims), copy.deepcopy(claims), pickle.loads(pickle.dumps(claims))):
        assert twin == claims


def test_a_route_may_answer_with_its_claims(issuer: FakeIssuer) -> None:
    app = FastAPI()

    @app.get("/plain", response_model=None)
    def plain(request: Request) -> Any:
        return request.state.claims

    @app.get("/within", response_model=None)
    def within(request: Request) -> Any:
        return {"claims": request.state.claims}

    app.add_middleware(OIDCMiddleware, verifier=issuer.verifier())
    client = TestClient(app, headers=auth_header(issuer.mint("ada", claims=NESTED)))
    assert client.get("/plain").json()["profile"] == NESTED["profile"]
    assert client.get("/within").json()["claims"]["profile"] == NESTED["profile"]


@pytest.mark.parametrize(
    ("claims", "display_name"),
    [({"name": "Ada Lovelace"}, "Ada Lovelace"), ({}, "ada"), ({"name": ""}, "ada"), ({"name": [1]}, "ada")],
)
def test_starlettes_user_and_auth_speak_for_the_principal(
    issuer: FakeIssuer, probe: Probe, claims: dict[str, object], display_name: str
) -> None:
    ask(guarded(issuer, probe), headers=bearer(issuer.mint("ada", scope="agents:run", claims=claims)))
    user, auth = probe.scopes[-1]["user"], probe.scopes[-1]["auth"]
    assert isinstance(user, OIDCUser)
    assert (user.is_authenticated, user.identity, user.display_name) == (True, "ada", display_name)
    assert auth.scopes == ["agents:run"]
    assert auth.scopes is not probe.state["scopes"]


def test_requires_of_starlette_works_and_refuses(issuer: FakeIssuer) -> None:
    @requires("agents:run", status_code=403)
    async def run(request: Request) -> JSONResponse:
        return JSONResponse({"who": request.user.display_name})

    app = Starlette(
        routes=[Route("/run", run)],
        middleware=[
            Middleware(
                OIDCMiddleware,
                issuer_url=issuer.issuer_url,
                audience=issuer.audience,
                require_authentication=False,
            )
        ],
    )
    client = TestClient(app)
    assert client.get("/run", headers=auth_header(issuer.mint("ada", scope="agents:run"))).json() == {"who": "ada"}
    assert client.get("/run", headers=auth_header(issuer.mint("ada", scope="agents:read"))).status_code == 403
    assert client.get("/run").status_code == 403


def test_an_anonymous_request_is_fully_set_too(issuer: FakeIssuer, probe: Probe) -> None:
    ask(guarded(issuer, probe, require_authentication=False))
    state, scope = probe.state, probe.scopes[-1]
    assert face(scope).keys() == set(STATE)
    assert (state["principal"], state["user_id"], state["token"], state["authenticated"]) == (None, None, None, False)
    assert isinstance(scope["user"], UnauthenticatedUser)
    assert scope["auth"].scopes == []
    state["dependencies"]["x"] = state["session_state"]["x"] = 1
    state["scopes"].append("agents:*")
    ask(guarded(issuer, probe, require_authentication=False))
    assert (probe.state["dependencies"], probe.state["session_state"], probe.state["scopes"]) == ({}, {}, [])


@pytest.mark.parametrize("claim", [OMIT, "", 7, None, ["ada"], {"id": "ada"}])
def test_a_token_that_names_no_user_is_refused_and_the_log_teaches_why(
    issuer: FakeIssuer, probe: Probe, claim: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = guarded(issuer, probe)
    answer = ask(app, headers=bearer(issuer.mint("ada", claims={"sub": claim})))
    assert (answer.status, answer.json()["error"]) == (401, "invalid_token")
    assert probe.scopes == []
    assert "user_id_claim" in caplog.text
    assert "basic" in caplog.text
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200


def test_a_machine_is_a_client_and_never_mistaken_for_a_user(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe)
    ask(app, headers=bearer(issuer.mint("agent-svc", client_id="agent-svc")))
    assert (probe.state["user_id"], probe.state["principal"].kind) == ("client:agent-svc", "machine")
    assert ask(app, headers=bearer(issuer.mint("client:agent-svc"))).status == 401, "a user may not pose as one"
    with FakeIssuer("https://kc.idp.test/realms/acme", algorithms=("ES256",)).impersonate() as keycloak:
        own_sub = keycloak.mint("4711", client_id="agent-svc", claims={"jti": "trrtcc:1", "typ": "Bearer"})
        assert ask(guarded(keycloak, probe), headers=bearer(own_sub)).status == 200
        assert (probe.state["user_id"], probe.state["principal"].kind) == ("4711", "machine")


@pytest.mark.parametrize("source", list(TokenSource))
def test_without_validation_the_unverified_values_are_shown_and_nobody_is_authenticated(
    issuer: FakeIssuer, probe: Probe, source: TokenSource
) -> None:
    app = OIDCMiddleware(
        probe,
        validate=False,
        token_source=source,
        user_id_claim="email",
        dependencies_claims=["profile"],
        session_state_claims=["level"],
    )
    claims = {"email": "ada@example.com", "sid": "s", "scope": "agents:*", **NESTED}
    token = issuer.sign({"alg": "none"}, claims, None) + "AA"
    sent = [("Cookie", f"access_token={token}")] if source is TokenSource.COOKIE else bearer(token)
    found = ask(app, headers=sent).json()
    assert (found["user_id"], found["session_id"]) == ("ada@example.com", "s")
    assert (found["dependencies"], found["session_state"]) == ({"profile": NESTED["profile"]}, {"level": 3})
    assert (found["scopes"], found["authenticated"], found["token"]) == ([], False, token)
    assert found["claims"] == claims
    assert probe.state["principal"] is None
    assert isinstance(probe.scopes[-1]["user"], UnauthenticatedUser)
    assert probe.scopes[-1]["auth"].scopes == []
    deface(probe.state["dependencies"])
    assert ask(app, headers=sent).json() == found


def test_without_validation_a_request_without_a_token_passes_as_nobody(probe: Probe) -> None:
    app = OIDCMiddleware(probe, validate=False)
    assert ask(app).status == 200
    assert (probe.state["user_id"], probe.state["authenticated"], probe.state["claims"]) == (None, False, {})
    assert ask(app, headers=bearer("no token")).status == 400
    assert ask(app, headers=bearer("abc")).status == 401
