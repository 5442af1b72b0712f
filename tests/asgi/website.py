"""A site with public and protected routes, and what a client may send to move one into the other."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

PUBLIC = ["/health", "/public/*", "/exact/"]
#: What a client may send for a path, as the server hands it over: (path, raw_path). None: the path as UTF-8.
TRICKS: list[tuple[str, bytes | None]] = [
    ("/health", None),
    ("/health/", None),
    ("/health\n", b"/health%0a"),
    ("/health\r\n", b"/health%0d%0a"),
    ("/health\x00", b"/health%00"),
    ("/health ", b"/health%20"),
    ("/health;x", None),
    ("/health.", None),
    ("/HEALTH", None),
    ("/health?", b"/health%3f"),
    ("/health#", b"/health%23"),
    ("//health", None),
    ("/./health", None),
    ("/x/../health", None),
    ("/health/../admin", None),
    ("/health/../admin", b"/health/%2e%2e/admin"),
    ("/health/..%2fadmin", b"/health/..%252fadmin"),
    ("/health/..\\admin", b"/health/..%5cadmin"),
    ("/public", None),
    ("/public/", None),
    ("/public/a", None),
    ("/public/a/b", None),
    ("/public/a/b", b"/public/a%2fb"),
    ("/public/a/b", b"/public/a%2Fb"),
    ("/public/a\\b", b"/public/a%5Cb"),
    ("/public/a%2fb", b"/public/a%252fb"),
    ("/public/a%5cb", b"/public/a%255cb"),
    ("/public/../admin", None),
    ("/public/../admin", b"/public/%2E%2E/admin"),
    ("/public/../admin", b"/public%2f..%2fadmin"),
    ("/public/./admin", None),
    ("/public//admin", None),
    ("/public/..", None),
    ("/public/.", None),
    ("/public/admin\n", b"/public/admin%0a"),
    ("/public/\x7f", None),
    ("/public/\u2028x", None),
    ("/publicx", None),
    ("/Public/a", None),
    ("/exact", None),
    ("/exact/", None),
    ("/exact//", None),
    ("/admin", None),
    ("/admin/", None),
    ("/admin\n", b"/admin%0a"),
    ("/admin?/health", b"/admin%3f/health"),
    ("/admin#/health", b"/admin%23/health"),
    ("/admin;/health", None),
    ("/admin/../health", None),
    ("/admin", b"/%61dmin"),
    ("http://evil.example/health", None),
    ("http://evil.example/public/a", None),
    ("health", None),
    ("", b""),
    ("/", None),
    ("*", None),
]
#: Pieces to put paths together from.
ATOMS = ("/", "//", "/.", "/..", "/public", "/health", "/exact", "/admin", "/x", "\\", "%2f", "%2E", "\n", ";", "?")
#: The handlers whose routes PUBLIC declares public.
DECLARED = {"health", "public", "exact"}


def site() -> tuple[ASGIApp, list[tuple[str, HTTPConnection]]]:
    """An app with public and protected routes; the list says which handler ran for whom."""
    ran: list[tuple[str, HTTPConnection]] = []

    def page(name: str) -> Any:
        async def handler(request: Request) -> Response:
            ran.append((name, request))
            return JSONResponse({"handler": name})

        return handler

    def socket(name: str) -> Any:
        async def handler(websocket: WebSocket) -> None:
            ran.append((name, websocket))
            await websocket.accept()
            await websocket.close()

        return handler

    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    routes: list[Any] = []
    for path, name in {
        "/health": "health",
        "/exact/": "exact",
        "/public/{rest:path}": "public",
        "/admin": "admin",
        "/{rest:path}": "catch-all",
    }.items():
        routes += [Route(path, page(name), methods=methods), WebSocketRoute(path, socket(name))]
    return Starlette(routes=routes), ran
