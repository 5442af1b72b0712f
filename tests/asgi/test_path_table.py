"""The table of paths: every shape of app x every kind of connection x every credential x every target.

One oracle: where a handler ran, its caller was verified, or its route was declared public, or it answered a preflight
and knew nobody. The same targets go through a real server at the end, which shows that the scopes here are its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Scope

from oidcbridge.fastapi import protect
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Headers, Probe, bearer, deliver, guarded, http_scope, websocket_scope
from tests.asgi.targets import TARGETS, Target
from tests.asgi.website import DECLARED, PUBLIC, site

Ran = list[tuple[str, HTTPConnection]]
PREFLIGHT = [("Origin", "https://ui.example.com"), ("Access-Control-Request-Method", "POST")]
KINDS = ("GET", "HEAD", "POST", "OPTIONS", "preflight", "websocket", "websocket without denial")
WHOLE_SITE = frozenset({"health", "exact", "public", "admin", "catch-all"})


class Shape(NamedTuple):
    """An app with its handlers' diary, and how a server hands it a target."""

    app: ASGIApp
    ran: Ran
    prefix: str = ""
    """What a server puts before the path, or what a client has to write before it to reach the site."""
    root_path: str = ""
    public: frozenset[str] = frozenset(DECLARED)
    """The handlers that anybody reaches."""
    all: frozenset[str] = WHOLE_SITE
    """The handlers that can be reached at all."""


def plain(issuer: FakeIssuer) -> Shape:
    inner, ran = site()
    return Shape(guarded(issuer, inner, excluded_route_paths=PUBLIC), ran)


def mounted(issuer: FakeIssuer) -> Shape:
    inner, ran = site()
    public = [f"/sub{path}" for path in PUBLIC]
    return Shape(guarded(issuer, Starlette(routes=[Mount("/sub", inner)]), excluded_route_paths=public), ran, "/sub")


def protecting_itself(issuer: FakeIssuer) -> Shape:
    """Mounted in an open app: its exclusions are its own paths."""
    shape = plain(issuer)
    return shape._replace(app=Starlette(routes=[Mount("/sub", shape.app)]), prefix="/sub")


def sub_app_with_routes_of_its_own(issuer: FakeIssuer) -> Shape:
    """Its routes have the names of public ones of the app above, which are not public here."""
    inner, ran = site()
    return Shape(
        guarded(issuer, Starlette(routes=[Mount("/sub", inner)]), excluded_route_paths=PUBLIC),
        ran,
        "/sub",
        public=frozenset(),
    )


def fastapi_sub_app(issuer: FakeIssuer) -> Shape:
    """The same with `protect`; the sub-app has documentation pages, and a route for every other path."""
    ran: Ran = []
    app, sub = FastAPI(), FastAPI()
    protect(app, issuer_url=issuer.issuer_url, audience=issuer.audience, excluded_route_paths=["/health"])

    async def anything(request: Request) -> str:
        ran.append(("sub", request))
        return "sub"

    sub.add_api_route("/{rest:path}", anything, methods=["GET", "HEAD", "POST", "OPTIONS"])
    app.mount("/sub", sub)
    return Shape(app, ran, "/sub", public=frozenset(), all=frozenset({"sub"}))


def below_root_path(issuer: FakeIssuer) -> Shape:
    return plain(issuer)._replace(prefix="/api", root_path="/api")


def below_root_path_with_a_slash(issuer: FakeIssuer) -> Shape:
    return plain(issuer)._replace(prefix="/api/", root_path="/api/")


def root_path_that_a_proxy_has_cut_off(issuer: FakeIssuer) -> Shape:
    return plain(issuer)._replace(root_path="/api")


def root_path_inside_a_segment(issuer: FakeIssuer) -> Shape:
    """What begins with ``/v`` need not lie below ``/v``: no page of the site is at ``/v1/health``."""
    return plain(issuer)._replace(prefix="/v1", root_path="/v", public=frozenset(), all=frozenset({"catch-all"}))


SHAPES: tuple[Callable[[FakeIssuer], Shape], ...] = (
    plain,
    mounted,
    protecting_itself,
    sub_app_with_routes_of_its_own,
    fastapi_sub_app,
    below_root_path,
    below_root_path_with_a_slash,
    root_path_that_a_proxy_has_cut_off,
    root_path_inside_a_segment,
)


def scope_of(shape: Shape, kind: str, target: Target, headers: Headers) -> Scope:
    """The connection as a server hands it over."""
    more: dict[str, Any] = {
        "raw_path": shape.prefix.encode() + target.raw_path,
        "query_string": target.query,
        "root_path": shape.root_path,
    }
    path = shape.prefix + target.path
    if kind.startswith("websocket"):
        return websocket_scope(path, headers=headers, denial="without" not in kind, **more)
    if kind == "preflight":
        return http_scope(path, method="OPTIONS", headers=[*headers, *PREFLIGHT], **more)
    return http_scope(path, method=kind, headers=headers, **more)


def reads_one_way(target: Target) -> bool:
    """The rule for public paths, written a second time: no two readers could take this path for two."""
    path, raw = target.path.lower(), target.raw_path.lower()
    *folders, last = path.split("/")[1:]
    return (
        path.startswith("/")
        and not any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in path)
        and {"", ".", ".."}.isdisjoint(folders)
        and last not in {".", ".."}
        and not any(code in raw for code in (b"%2f", b"%5c"))
        and not any(code in path for code in ("\\", "%2e", "%2f", "%5c", "%25"))
    )


def judge(shape: Shape, kind: str, credential: str, target: Target) -> Iterator[str]:
    """What is wrong with these handlers having run."""
    for name, connection in shape.ran:
        state = connection.state
        verified = state.authenticated and state.user_id == "ada"
        if kind == "preflight":
            if verified or state.token is not None:
                yield f"{name} took the preflight for somebody's"
        elif not verified and name not in shape.public:
            yield f"{name} ran for nobody"
        elif not verified and not reads_one_way(target):
            yield f"{name} is public, and this is no plain spelling of its path"
        elif verified and credential != "good":
            yield f"{name} ran for ada, who has sent a {credential} token"


@pytest.fixture(scope="module")
def credentials(issuer: FakeIssuer) -> dict[str, Headers]:
    return {"no": [], "bad": bearer(issuer.mint("ada", audience="other-api")), "good": bearer(issuer.mint("ada"))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_a_handler_runs_for_a_verified_caller_or_where_its_route_is_public(
    issuer: FakeIssuer, credentials: dict[str, Headers], make: Callable[[FakeIssuer], Shape], kind: str
) -> None:
    shape = make(issuer)
    reached: dict[str, set[str]] = {credential: set() for credential in credentials}

    async def try_all() -> list[str]:
        complaints = []
        for credential, headers in credentials.items():
            for target in TARGETS:
                shape.ran.clear()
                answer = await deliver(shape.app, scope_of(shape, kind, target, headers))
                reached[credential] |= {name for name, _ in shape.ran}
                wrong = [*judge(shape, kind, credential, target), *odd(kind, answer, shape.ran)]
                complaints += [f"{one} at {target.written!r}, {credential} token" for one in wrong]
        return complaints

    assert asyncio.run(try_all()) == []
    everywhere = shape.all if "fastapi" not in make.__name__ or not kind.startswith("websocket") else frozenset()
    assert reached["good"] == everywhere, "else this has shown nothing"
    nobody = everywhere if kind == "preflight" else shape.public
    assert reached["no"] == nobody
    assert reached["bad"] == nobody


def odd(kind: str, answer: Answer, ran: Ran) -> Iterator[str]:
    """A refusal or the app's own word, and nothing else: no crash, no answer in the middle.

    A handler that answers a preflight without a word on CORS has run for nobody, and nobody hears what it says.
    """
    whole = answer.close_code is not None or answer.status in {101, 200, 307, 401, 403, 404, 405}
    if not whole:
        yield f"answered {answer.status}"
    if ran and answer.status not in ({200, 401} if kind == "preflight" else {101, 200}):
        yield f"a handler ran, and the answer is {answer.status}"


def test_the_lifespan_has_no_caller_and_no_path_of_it_reaches_a_handler(issuer: FakeIssuer) -> None:
    """A server may hand over whatever else it likes: nothing of it is read."""
    probe = Probe()
    inbox: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {**http_scope("/admin", method="OPTIONS", headers=PREFLIGHT), "type": "lifespan"}
    asyncio.run(guarded(issuer, probe, excluded_route_paths=PUBLIC)(scope, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert probe.scopes == []
