"""The pages of a FastAPI app that ``protect`` makes public, as doors to something else."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp

from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import bearer, deliver, http_scope, websocket_scope
from tests.asgi.website import TRICKS


def documented(issuer: FakeIssuer) -> tuple[ASGIApp, list[tuple[str, bool]]]:
    """A FastAPI app with its own pages, and a route that takes every other path; who ran, and verified or not."""
    app, ran = FastAPI(), list[tuple[str, bool]]()
    protect(app, issuer_url=issuer.issuer_url, audience=issuer.audience, excluded_route_paths=["/health"])

    async def catch_all(request: Request) -> dict[str, str]:
        ran.append((request.scope["path"], request.state.authenticated))
        return {}

    for path in ("/health", "/{rest:path}"):
        app.add_api_route(path, catch_all, methods=["GET", "HEAD", "POST", "OPTIONS"], include_in_schema=False)
    return app, ran


DOCS = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")


@pytest.mark.parametrize("root_path", ["", "/api"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_the_docs_pages_are_a_door_to_themselves_alone(issuer: FakeIssuer, method: str, root_path: str) -> None:
    app, ran = documented(issuer)
    paths = [
        (path.replace("/health", page), raw and raw.replace(b"/health", page.encode()))
        for page in DOCS
        for path, raw in TRICKS
    ]

    async def try_all() -> list[tuple[str, int]]:
        outcomes = []
        for path, raw in paths:
            target = root_path + path
            scope = http_scope(target, method=method, raw_path=raw or target.encode(), root_path=root_path)
            outcomes.append((path, (await deliver(app, scope)).status))
        return outcomes

    statuses = asyncio.run(try_all())
    assert [entry for entry in ran if not entry[1]] == []
    public = {path for path, status in statuses if status == 200}
    assert public == (set(DOCS) if method in ("GET", "HEAD") else set())
    assert {status for path, status in statuses if path not in public} <= {401, 405}


def test_a_websocket_at_a_public_page_of_http_is_refused(issuer: FakeIssuer) -> None:
    app, ran = documented(issuer)
    for path in DOCS:
        answer = asyncio.run(deliver(app, websocket_scope(path)))
        assert (answer.status, answer.json()["error"]) == (401, "missing_credential")
    assert ran == []
    scope = http_scope("/docs/of/mine", headers=bearer(issuer.mint("ada")))
    assert asyncio.run(deliver(app, scope)).status == 200
    assert ran == [("/docs/of/mine", True)]
