"""Exclusions, by one oracle: where a handler ran, the identity was verified or the route was declared public."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from oidcbridge import ConfigurationError, OIDCMiddleware
from oidcbridge.asgi.paths import route_path
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Probe, ask, ask_websocket, bearer, deliver, guarded, http_scope, websocket_scope
from tests.asgi.website import ATOMS, DECLARED, PUBLIC, TRICKS, site


def send(app: ASGIApp, kind: str, path: str, raw_path: bytes | None, **more: Any) -> Answer:
    raw = path.encode("utf-8") if raw_path is None else raw_path
    if kind == "websocket":
        return ask_websocket(app, path, raw_path=raw, **more)
    return ask(app, path, method=kind, raw_path=raw, **more)


def prefixed(prefix: str, path: str, raw_path: bytes | None) -> tuple[str, bytes | None]:
    return prefix + path, None if raw_path is None else prefix.encode() + raw_path


@pytest.mark.parametrize("kind", ["GET", "HEAD", "POST", "OPTIONS", "websocket"])
@pytest.mark.parametrize("shape", ["plain", "root_path", "mounted", "inside_a_mount"])
def test_no_path_trick_runs_a_handler_for_nobody_but_a_public_one(issuer: FakeIssuer, shape: str, kind: str) -> None:
    inner, ran = site()
    app: ASGIApp = guarded(issuer, inner, excluded_route_paths=PUBLIC)
    prefix, more = "", {}
    if shape == "root_path":
        prefix, more = "/api", {"root_path": "/api"}
    elif shape == "mounted":
        # The whole site lies below a mount, inside the middleware: exclusions name whole paths.
        public = [f"/sub{path}" for path in PUBLIC]
        prefix, app = "/sub", guarded(issuer, Starlette(routes=[Mount("/sub", inner)]), excluded_route_paths=public)
    elif shape == "inside_a_mount":
        prefix, app = "/sub", Starlette(routes=[Mount("/sub", app)])
    token = issuer.mint("ada")
    for path, raw_path in TRICKS:
        target, raw = prefixed(prefix, path, raw_path)
        for headers in ((), bearer(token)):
            ran.clear()
            answer = send(app, kind, target, raw, headers=headers, **more)
            for name, connection in ran:
                verified = connection.state.authenticated and connection.state.user_id == "ada"
                assert verified or name in DECLARED, f"{name} ran for nobody at {target!r} ({answer.status})"


def test_no_path_put_together_from_odd_pieces_runs_a_handler_for_nobody_either(issuer: FakeIssuer) -> None:
    inner, ran = site()
    app = guarded(issuer, inner, excluded_route_paths=PUBLIC)

    async def try_all() -> list[int]:
        scopes = [http_scope("".join(pieces)) for count in (1, 2, 3) for pieces in product(ATOMS, repeat=count)]
        return [(await deliver(app, scope)).status for scope in scopes]

    statuses = asyncio.run(try_all())
    assert {name for name, _ in ran} == DECLARED
    assert statuses.count(200) == len(ran)
    assert statuses.count(401) == len(statuses) - len(ran)


def test_the_oracle_sees_every_handler_when_there_is_a_token(issuer: FakeIssuer) -> None:
    inner, ran = site()
    app = guarded(issuer, inner, excluded_route_paths=PUBLIC)
    for path, raw_path in TRICKS:
        send(app, "GET", path, raw_path, headers=bearer(issuer.mint("ada")))
    assert {name for name, _ in ran} == {"health", "exact", "public", "admin", "catch-all"}
    anonymous = {name for name, connection in ran if not connection.state.authenticated}
    assert anonymous == DECLARED


@pytest.mark.parametrize(
    ("pattern", "passes", "needs_a_token"),
    [
        ("/health", ["/health"], ["/health/", "/healthz", "/Health", "/health\n", "/x/health", "/", ""]),
        ("/docs/*", ["/docs/a", "/docs/a/b", "/docs/"], ["/docs", "/docsx", "/docs//a", "/docs/../a", "/a/docs/x"]),
        ("/docs*", ["/docs", "/docs/a", "/docsx"], ["/doc", "/docs/.", "/docs/a\\b", "/docs/a%2Fb", "/docs\x1b"]),
        ("/v?/x", ["/v1/x", "/v2/x"], ["/v10/x", "/v/x"]),
        ("/v[12]/x", ["/v1/x", "/v2/x"], ["/v3/x", "/v[12]/x"]),
        ("*/ready", ["/ready", "/a/ready", "/a/b/ready"], ["/ready/", "/ready/a", "//ready", "/a/./ready"]),
        ("/a.b", ["/a.b"], ["/aXb"]),
        ("/...", ["/..."], ["/..", "/."]),
        ("/ü", ["/ü"], ["/u"]),
    ],
)
def test_a_pattern_matches_the_whole_path_case_sensitively(
    issuer: FakeIssuer, probe: Probe, pattern: str, passes: list[str], needs_a_token: list[str]
) -> None:
    app = guarded(issuer, probe, excluded_route_paths=[pattern])
    for path in passes:
        assert ask(app, path).status == 200, path
        assert ask_websocket(app, path).status == 101, path
    for path in needs_a_token:
        assert ask(app, path).status == 401, path
        assert ask_websocket(app, path).status == 401, path
        assert ask(app, path, headers=bearer(issuer.mint("ada"))).status == 200, path


@pytest.mark.parametrize(
    ("root_path", "path", "passes"),
    [
        ("/api", "/api/health", True),
        ("/api", "/health", True),  # a server that strips the prefix
        ("/api", "/apihealth", False),
        ("/api", "/api", False),
        ("/api", "/api/api/health", False),
        ("/v", "/v1/health", False),
        ("/api/", "/api/health", False),
        ("", "/api/health", False),
    ],
)
def test_root_path_counts_by_whole_segments(issuer: FakeIssuer, root_path: str, path: str, passes: bool) -> None:
    app = guarded(issuer, excluded_route_paths=["/health"])
    assert ask(app, path, root_path=root_path).status == (200 if passes else 401)


def test_the_path_is_the_one_that_starlettes_router_takes() -> None:
    roots = ("", "/", "/api", "/api/", "/v", "/api/v1", "api")
    paths = ("", "/", "/api", "/api/", "/apix", "/api/x", "/api//x", "/v1/x", "/api/v1", "/api/v1/x", "/x/api", "apix")
    for root_path, path in product(roots, paths):
        scope = http_scope(path, root_path=root_path)
        assert route_path(scope) == get_route_path(scope), (root_path, path)


def test_neither_host_nor_query_nor_forwarded_headers_move_the_path(issuer: FakeIssuer) -> None:
    app = guarded(issuer, excluded_route_paths=["/health"])
    tricks = [
        ("Host", "x/health?"),
        ("Host", "x/health#"),
        ("X-Forwarded-Uri", "/health"),
        ("X-Forwarded-Prefix", "/admin"),
        ("X-Original-URL", "/health"),
        ("X-Rewrite-URL", "/health"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Middleware-Subrequest", "middleware"),
    ]
    for header in tricks:
        assert ask(app, "/admin", headers=[header]).status == 401, header
    assert ask(app, "/admin", query_string=b"/health").status == 401
    assert ask(app, "/health", query_string=b"/admin").status == 200


def test_an_excluded_path_reads_no_credential_and_knows_nobody(issuer: FakeIssuer, probe: Probe) -> None:
    app = guarded(issuer, probe, excluded_route_paths=["/health"], dependencies_claims=["email"])
    token = issuer.mint("ada", claims={"email": "ada@example.com"})
    sent: list[list[tuple[str, str]]] = [[], bearer(token), bearer("not a token"), [*bearer(token), *bearer(token)]]
    for headers in sent:
        answer = ask(app, "/health", headers=headers)
        assert answer.status == 200
        assert answer.json() == {
            "user_id": None,
            "session_id": None,
            "dependencies": {},
            "session_state": {},
            "scopes": [],
            "claims": {},
            "token": None,
            "authenticated": False,
        }
        assert answer.header("cache-control") is None, "the answer does not depend on the caller"


@pytest.mark.parametrize("missing", [{}, {"raw_path": None}])
def test_a_server_that_tells_no_raw_path_is_served_by_the_decoded_one(
    issuer: FakeIssuer, missing: dict[str, None]
) -> None:
    app = guarded(issuer, excluded_route_paths=["/public/*"])
    for path, status in {"/public/a": 200, "/public/../a": 401, "/admin": 401}.items():
        scope = http_scope(path)
        del scope["raw_path"]
        assert asyncio.run(deliver(app, {**scope, **missing})).status == status
    scope = websocket_scope("/public/a")
    del scope["raw_path"]
    assert asyncio.run(deliver(app, scope)).status == 101


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ("/health", r'excluded_route_paths=\["/health"\]'),
        (["health"], "begins with '/'"),
        ([""], "begins with '/'"),
        (["/ok", "?x"], r"'\?x'"),
        ([7], "begins with '/'"),
    ],
)
def test_exclusions_that_could_not_match_are_a_configuration_error(
    issuer: FakeIssuer, patterns: Any, says: str
) -> None:
    arguments: Any = {"excluded_route_paths": patterns}
    with pytest.raises(ConfigurationError, match=says):
        ask(OIDCMiddleware(Probe(), issuer_url=issuer.issuer_url, audience=issuer.audience, **arguments))


def test_without_exclusions_every_path_needs_a_token(issuer: FakeIssuer) -> None:
    app = guarded(issuer)
    for (path, raw_path), kind in product(TRICKS, ("GET", "websocket")):
        assert send(app, kind, path, raw_path).status == 401, path
