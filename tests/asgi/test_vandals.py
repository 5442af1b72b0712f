"""Apps that write into everything they are handed: the next request with the same token finds nothing of it.

The vandal goes down every container and every attribute that can be reached from a request, and tries all ways of
writing that need no trick. What lets itself be written into has to be this request's own; the rest has to refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge import Principal
from oidcbridge.core.strict_json import thaw
from oidcbridge.fastapi import CurrentPrincipal, Dependencies, SessionState, protect
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Answer, Probe, bearer, deliver, face, guarded, http_scope, websocket_scope

CLAIMS: dict[str, object] = {
    "email": "ada@example.com",
    "sid": "login-1",
    "roles": ["reader", "writer"],
    "groups": ["g1"],
    "permissions": ["p1"],
    "profile": {"team": {"name": "ops", "tags": ["a", ["b", {"deep": [1]}]]}, "empty": {}, "none": None},
    "flat": "text",
}
WANTED = ["profile", "roles", "flat", "email"]
SCALARS = str | bytes | int | float | bool | None


class Vandal:
    """Writes into all that can be reached from some values; ``refused`` counts what could not be written into."""

    def __init__(self, *spared: object) -> None:
        self.written = self.refused = 0
        self._seen = list(spared)  # kept alive, so that no two have one id

    def deface(self, value: Any) -> None:
        """Everything below ``value`` first, then ``value`` itself."""
        if isinstance(value, SCALARS) or any(value is seen for seen in self._seen):
            return
        self._seen.append(value)
        for part in list(parts(value)):
            self.deface(part)
        for method, *arguments in attempts(value):
            try:
                getattr(value, method)(*arguments)
            except (TypeError, AttributeError):  # read-only; FrozenInstanceError is an AttributeError
                self.refused += 1
            else:
                self.written += 1


def parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    else:
        yield from attributes(value).values()


def attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(value, name) for name in [*getattr(value, "__dict__", ()), *slots] if hasattr(value, name)}


def attempts(value: Any) -> Iterator[tuple[Any, ...]]:
    """The ways to write into ``value``: a method and its arguments."""
    if isinstance(value, Mapping):
        yield from (("__setitem__", name, "evil") for name in list(value))
        yield "__setitem__", "evil", True
        yield "__ior__", {"evil": True}
        yield "pop", "evil", None
        yield ("clear",)
        yield "update", {"sub": "root", "scope": "agents:*", "evil": True}
    elif isinstance(value, list | tuple):
        yield "append", "agents:*"
        yield "__setitem__", 0, "evil"
        yield ("clear",)
        yield "extend", ["admin", "agents:*"]
    else:
        yield from (("__setattr__", name, "root") for name in [*attributes(value), "user_id", "evil"])


def reachable(scope: Scope) -> list[Any]:
    """What a request is handed of its caller."""
    return [scope["user"], scope["auth"], scope["state"]]


def known(scope: Scope) -> dict[str, Any]:
    """All that is known of the caller, as plain values."""
    user, auth, principal = scope["user"], scope["auth"], scope["state"]["principal"]
    assert isinstance(principal, Principal)
    return {
        **face(scope),
        "principal": principal.as_dict(),
        "user": (user.identity, user.display_name, user.is_authenticated),
        "auth": list(auth.scopes),
        "names": sorted(scope["state"]),
    }


def send(app: ASGIApp, kind: str, token: str) -> Answer:
    make = websocket_scope if kind == "websocket" else http_scope
    return asyncio.run(deliver(app, make(headers=bearer(token))))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("token_cache", [0, 100])
def test_whatever_an_app_writes_into_the_next_request_finds_as_it_was(
    issuer: FakeIssuer, kind: str, token_cache: int
) -> None:
    probe, before, vandals = Probe(), list[dict[str, Any]](), list[Vandal]()

    async def vandalise(scope: Scope, receive: Receive, send: Send) -> None:
        before.append(known(scope))
        await probe(scope, receive, send)
        vandals.append(vandal := Vandal(scope["state"]["oidcbridge_gate"]))  # the app's own, and no word of a caller's
        for value in reachable(scope):
            vandal.deface(value)

    app = guarded(issuer, vandalise, dependencies_claims=WANTED, session_state_claims=WANTED, token_cache=token_cache)
    token = issuer.mint("ada", scope="agents:read agents:run", client_id="ui", claims=CLAIMS)
    said = [send(app, kind, token).json() for _ in range(3)]
    assert said[0] == said[1] == said[2]
    assert before[0] == before[1] == before[2]
    assert before[0]["dependencies"] == {name: CLAIMS[name] for name in WANTED}
    assert before[0]["principal"]["claims"]["profile"] == CLAIMS["profile"]
    assert min(vandal.written for vandal in vandals) > 20, "else nothing was tried"
    assert min(vandal.refused for vandal in vandals) > 100, "the principal and its claims are read-only"
    assert probe.state == {"sub": "root", "scope": "agents:*", "evil": True}, "it was written into, and its own alone"


@pytest.mark.parametrize("middleware", [True, False])
def test_whatever_a_route_writes_into_its_dependencies_the_next_finds_as_they_were(
    issuer: FakeIssuer, middleware: bool
) -> None:
    app = protect(
        FastAPI(),
        issuer_url=issuer.issuer_url,
        audience=issuer.audience,
        dependencies_claims=WANTED,
        session_state_claims=WANTED,
        middleware=middleware,
    )
    vandals: list[Vandal] = []

    @app.get("/x")
    async def route(principal: CurrentPrincipal, dependencies: Dependencies, session: SessionState) -> dict[str, Any]:
        found = thaw([principal.as_dict(), dependencies, session])
        vandals.append(vandal := Vandal())
        for value in (principal, dependencies, session):
            vandal.deface(value)
        return {"found": found}

    token = issuer.mint("ada", scope="agents:run", claims=CLAIMS)
    said = [send(app, "http", token).json() for _ in range(3)]
    assert said[0] == said[1] == said[2]
    assert said[0]["found"][1] == said[0]["found"][2] == {name: CLAIMS[name] for name in WANTED}
    assert min(vandal.written for vandal in vandals) > 10


def test_the_vandal_writes_into_what_can_be_written_into() -> None:
    class Open:
        def __init__(self) -> None:
            self.list = [[1]]

    mutable: dict[str, object] = {"a": [1, {"b": 2}]}
    frozen: Mapping[str, object] = MappingProxyType({"a": (1, MappingProxyType({"b": 2}))})
    open_ = Open()
    vandal = Vandal()
    for value in (mutable, frozen, open_):
        vandal.deface(value)
    assert mutable == {"sub": "root", "scope": "agents:*", "evil": True}
    assert frozen == {"a": (1, {"b": 2})}
    assert vars(open_) == {"list": "root", "user_id": "root", "evil": "root"}
