"""The OpenAPI document: where to log in, what needs it, and what is answered; and it never waits for the provider."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from fastapi import FastAPI, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader
from starlette.testclient import TestClient

from oidcbridge import Issuer
from oidcbridge.fastapi import CurrentPrincipal, current_principal, protect, require_roles, require_scopes
from oidcbridge.testing import Clock, FakeIssuer
from tests.fastapi.kit import get, protected

BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def add_routes(app: FastAPI) -> FastAPI:
    @app.get("/open")
    async def open_() -> str:
        return ""

    @app.get("/health")
    async def health() -> str:
        return ""

    @app.get("/mine")
    async def mine(principal: CurrentPrincipal) -> str:
        return principal.user_id

    @app.post("/run/{agent_id}", dependencies=[require_scopes("agents:run")])
    async def run(agent_id: str, principal: CurrentPrincipal) -> str:
        return principal.user_id

    @app.post("/stop", dependencies=[Security(current_principal, scopes=["agents:stop"]), require_roles("admin")])
    async def stop() -> str:
        return ""

    return app


def two_issuers(one: FakeIssuer, two: FakeIssuer) -> list[Issuer]:
    return [
        Issuer(issuer_url=one.issuer_url, name="one", audience=one.audience),
        Issuer(issuer_url=two.issuer_url, name="two", audience=two.audience),
    ]


def document(app: FastAPI) -> Any:
    answer = get(app, "/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def eventually(read: Callable[[], Any], accept: Callable[[Any], bool]) -> Any:
    """What ``read`` gives once it is accepted; discovery is read on another thread."""
    give_up = time.monotonic() + 5
    while not accept(found := read()):
        assert time.monotonic() < give_up, found
        time.sleep(0.01)
    return found


def scheme_type(found: Any) -> Any:
    return found["components"]["securitySchemes"]["oidcbridge"]["type"]


def described(app: FastAPI) -> Any:
    return eventually(lambda: document(app), lambda found: scheme_type(found) == "oauth2")


def test_the_login_is_the_providers_with_the_scopes_that_routes_need(issuer: FakeIssuer) -> None:
    found = described(add_routes(protected(issuer)))
    assert found["components"]["securitySchemes"] == {
        "oidcbridge": {
            "type": "oauth2",
            "description": issuer.issuer_url,
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": f"{issuer.issuer_url}/authorize",
                    "tokenUrl": f"{issuer.issuer_url}/token",
                    "scopes": {
                        "openid": "Log in",
                        "agents:run": "Needed by some operations",
                        "agents:stop": "Needed by some operations",
                    },
                }
            },
        }
    }


@pytest.mark.parametrize("middleware", [True, False])
def test_routes_that_need_a_token_say_so_and_how_they_refuse(issuer: FakeIssuer, middleware: bool) -> None:
    app = add_routes(protected(issuer, middleware=middleware, excluded_route_paths=["/health", "/stop"]))
    paths = described(app)["paths"]
    security = {path: operation.get("security") for path, item in paths.items() for operation in item.values()}
    assert security == {
        "/open": [{"oidcbridge": []}] if middleware else None,
        "/health": None,
        "/mine": [{"oidcbridge": []}],
        "/run/{agent_id}": [{"oidcbridge": ["agents:run"]}],
        "/stop": [{"oidcbridge": ["agents:stop"]}],
    }
    for path, item in paths.items():
        for operation in item.values():
            assert ({"401", "403", "503"} <= operation["responses"].keys()) == bool(security[path]), path


def test_the_documented_refusal_is_the_one_that_comes(issuer: FakeIssuer) -> None:
    app = add_routes(protected(issuer))
    found = document(app)
    content = found["paths"]["/mine"]["get"]["responses"]["401"]["content"]["application/json"]
    name = content["schema"]["$ref"].removeprefix("#/components/schemas/")
    schema = found["components"]["schemas"][name]
    refused = get(app, "/mine").json()
    assert refused.keys() == schema["properties"].keys()
    assert set(schema["required"]) <= refused.keys()


def test_an_answer_that_the_route_documents_itself_stays(issuer: FakeIssuer) -> None:
    app = protected(issuer)

    @app.get("/own", responses={401: {"description": "my own words"}})
    async def own(principal: CurrentPrincipal) -> str:
        return principal.user_id

    responses = document(app)["paths"]["/own"]["get"]["responses"]
    assert responses["401"]["description"] == "my own words"
    assert "403" in responses


def test_a_scheme_of_the_apps_own_stays_beside_ours(issuer: FakeIssuer) -> None:
    app = protected(issuer)

    @app.get("/both", dependencies=[Security(APIKeyHeader(name="X-Key", scheme_name="key"))])
    async def both(principal: CurrentPrincipal) -> str:
        return principal.user_id

    found = document(app)
    assert {"key": []} in found["paths"]["/both"]["get"]["security"]
    assert {"oidcbridge": []} in found["paths"]["/both"]["get"]["security"]
    assert found["components"]["securitySchemes"].keys() == {"key", "oidcbridge"}


def test_the_document_never_waits_first_a_plain_bearer_then_the_login(frail_issuer: FakeIssuer) -> None:
    frail_issuer.slow = 1.5
    app = add_routes(protected(frail_issuer))
    begun = time.perf_counter()
    first = document(app)
    assert time.perf_counter() - begun < 1.0
    assert first["components"]["securitySchemes"]["oidcbridge"] == BEARER
    assert first["paths"]["/mine"]["get"]["security"] == [{"oidcbridge": []}]
    frail_issuer.slow = 0.0
    assert scheme_type(described(app)) == "oauth2"


def test_with_the_provider_down_docs_still_render_and_recover(frail_issuer: FakeIssuer) -> None:
    clock = Clock()
    app = add_routes(protected(frail_issuer, clock=clock))
    with frail_issuer.outage():
        assert scheme_type(document(app)) == "http"
        assert "SwaggerUIBundle" in get(app, "/docs").text
        eventually(lambda: frail_issuer.fetches["discovery"], lambda count: count >= 1)
        assert scheme_type(document(app)) == "http"
    clock.advance(60)  # the provider is not asked again at once
    assert scheme_type(described(app)) == "oauth2"


def test_once_it_is_known_the_document_is_made_once(issuer: FakeIssuer) -> None:
    app = add_routes(protected(issuer))
    described(app)
    assert app.openapi() is app.openapi()


def test_routes_added_later_are_described_too(issuer: FakeIssuer) -> None:
    app = add_routes(protected(issuer))
    described(app)

    @app.get("/late", dependencies=[require_scopes("late:scope")])
    async def late() -> str:
        return ""

    found = document(app)
    assert found["paths"]["/late"]["get"]["security"] == [{"oidcbridge": ["late:scope"]}]
    flow = found["components"]["securitySchemes"]["oidcbridge"]["flows"]["authorizationCode"]
    assert "late:scope" in flow["scopes"]


def test_a_document_of_the_apps_own_making_is_described_and_not_doubled(
    issuer: FakeIssuer, other_issuer: FakeIssuer
) -> None:
    app = add_routes(FastAPI())
    made = get_openapi(title="Mine", version="7", routes=app.routes)
    made["paths"]["/mine"]["summary"] = "no operation, and none of ours"
    before = deepcopy(made)
    app.openapi = lambda: made  # type: ignore[method-assign]
    both = two_issuers(issuer, other_issuer)
    protect(app, issuers=both)
    complete = eventually(lambda: document(app), lambda found: len(found["components"]["securitySchemes"]) == len(both))
    assert complete["info"] == {"title": "Mine", "version": "7"}
    assert complete["paths"]["/mine"]["get"]["security"] == [{"oidcbridge": []}, {"oidcbridge-2": []}]
    assert complete["paths"]["/mine"]["summary"] == "no operation, and none of ours"
    assert document(app) == complete
    assert made == before, "the app's own document is not touched"


def test_a_document_that_was_changed_and_put_back_is_not_described_twice(
    issuer: FakeIssuer, other_issuer: FakeIssuer
) -> None:
    app = add_routes(protect(FastAPI(), issuers=two_issuers(issuer, other_issuer)))
    changed = eventually(lambda: document(app), lambda found: len(found["components"]["securitySchemes"]) == 2)
    changed["info"]["x-logo"] = "logo.png"
    app.openapi_schema = changed
    found = document(app)
    assert found["info"]["x-logo"] == "logo.png"
    assert found["paths"]["/mine"]["get"]["security"] == [{"oidcbridge": []}, {"oidcbridge-2": []}]


def test_several_issuers_are_alternatives(issuer: FakeIssuer, other_issuer: FakeIssuer) -> None:
    both = two_issuers(issuer, other_issuer)
    app = add_routes(protect(FastAPI(), issuers=both))
    found = eventually(lambda: document(app), lambda found: len(found["components"]["securitySchemes"]) == len(both))
    schemes = found["components"]["securitySchemes"]
    assert {name: scheme["description"] for name, scheme in schemes.items()} == {
        "oidcbridge": issuer.issuer_url,
        "oidcbridge-2": other_issuer.issuer_url,
    }
    run = found["paths"]["/run/{agent_id}"]["post"]["security"]
    assert run == [{"oidcbridge": ["agents:run"]}, {"oidcbridge-2": ["agents:run"]}]


@pytest.mark.parametrize("missing", ["authorization_endpoint", "token_endpoint"])
def test_a_provider_without_a_login_page_leaves_a_plain_bearer(frail_issuer: FakeIssuer, missing: str) -> None:
    kept = {name: value for name, value in frail_issuer.discovery().items() if name != missing}
    frail_issuer.discovery_override = json.dumps(kept).encode()
    app = add_routes(protected(frail_issuer))
    eventually(
        lambda: (document(app), app.state.oidcbridge.metadata())[1],
        lambda metadata: len(metadata) == 1,
    )
    assert document(app)["components"]["securitySchemes"]["oidcbridge"] == BEARER


def test_static_keys_leave_a_plain_bearer_and_ask_nobody(issuer: FakeIssuer) -> None:
    before = issuer.fetches.copy()
    app = add_routes(protect(FastAPI(), verification_keys=issuer.signing_key().public_pem(), algorithm="ES256"))
    assert document(app)["components"]["securitySchemes"]["oidcbridge"] == BEARER
    assert (
        document(add_routes(protect(FastAPI(), validate=False)))["components"]["securitySchemes"]["oidcbridge"]
        == BEARER
    )
    assert issuer.fetches == before


def test_an_app_without_routes_has_a_document_too(issuer: FakeIssuer) -> None:
    assert document(protected(issuer))["components"]["securitySchemes"].keys() == {"oidcbridge"}


def init_oauth(app: FastAPI) -> Any:
    page: str = get(app, "/docs").text
    return json.loads(page.partition("ui.initOAuth(")[2].partition(")\n")[0])


def test_swagger_ui_logs_in_with_pkce_as_the_named_client(issuer: FakeIssuer) -> None:
    assert init_oauth(protected(issuer, swagger_client_id="agent-ui")) == {
        "usePkceWithAuthorizationCodeGrant": True,
        "scopes": "openid",
        "clientId": "agent-ui",
    }
    assert "clientId" not in init_oauth(protected(issuer))


def test_what_the_app_said_about_the_login_stands(issuer: FakeIssuer) -> None:
    app = FastAPI(swagger_ui_init_oauth={"clientId": "mine", "scopes": "openid agents:run", "appName": "Agents"})
    assert init_oauth(protected(issuer, app, swagger_client_id="other")) == {
        "usePkceWithAuthorizationCodeGrant": True,
        "scopes": "openid agents:run",
        "clientId": "mine",
        "appName": "Agents",
    }


def test_the_document_of_an_app_that_is_not_public_needs_a_token(issuer: FakeIssuer) -> None:
    app = add_routes(protected(issuer, public_docs=False))
    client = TestClient(app)
    assert client.get("/openapi.json").status_code == 401
    assert get(app, "/openapi.json", issuer.mint("ada")).status_code == 200
