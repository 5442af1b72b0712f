"""Every attack by the ways in that `test_attacks` does not take, and what none of them may cause or tell.

Verification asks nothing of the machine: no socket, no name, no file, no program. And whoever sends bad tokens
learns from the answers' bytes that a token is malformed, expired or bad, and not a bit more.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from oidcbridge import DynamicIssuers, OIDCMiddleware, TokenSource, Verifier
from oidcbridge.errors import CredentialError, KeysUnavailableError, TokenError
from oidcbridge.fastapi import CurrentPrincipal, protect
from tests.asgi.kit import Answer, Probe, deliver, http_scope, websocket_scope
from tests.attacks.families import Family
from tests.attacks.forge import Attack, World, telling
from tests.attacks.watch import watched

Ask = Callable[[str, str], "Met"]
"""Takes the name of a site and a token."""


class Met(NamedTuple):
    """Who came in; else the answer, to the byte, where there is one."""

    user: str | None
    answer: tuple[int, tuple[tuple[str, str], ...], bytes] | None = None


class Ways:
    """The ways, each with verifiers of its own for every site."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self._run = loop.run_until_complete
        self.verifiers: list[Verifier] = []

    def verifier(self, **arguments: Any) -> Verifier:
        verifier = Verifier(**arguments, clock=self.world.clock, token_cache=0)
        self._run(verifier.warm(strict=True))
        self.verifiers.append(verifier)
        return verifier

    def each_site(self) -> dict[str, Verifier]:
        return {name: self.verifier(**site.arguments) for name, site in self.world.sites.items()}

    def plain_call_on_a_loop(self) -> Ask:
        verifiers = self.each_site()

        async def ask(site: str, token: str) -> Met:
            return verify_now(verifiers[site], token)

        return lambda site, token: self._run(ask(site, token))

    def tenants_let_in_by_a_rule(self) -> Ask:
        sites = {"main", "strict", "clients"}
        let_in = {site.issuer.issuer_url: name for name, site in self.world.sites.items() if name in sites}
        verifiers = {}
        for name in sites:
            said = {key: value for key, value in self.world.sites[name].arguments.items() if key != "issuer_url"}
            verifiers[name] = self.verifier(issuers=DynamicIssuers(allow=let_in.get, **said))
        return lambda site, token: verify_now(verifiers[site], token)

    def a_cookie_of_somebody_beside_it(self) -> Ask:
        good = {name: site.sign(header={"typ": "JWT"}) for name, site in self.world.sites.items() if name != "strict"}
        apps = {
            name: OIDCMiddleware(Probe(), verifier=verifier, token_source=TokenSource.BOTH)
            for name, verifier in self.each_site().items()
        }

        def ask(site: str, token: str) -> Met:
            beside = [(b"cookie", b"access_token=" + good.get(site, "").encode())]
            return self.over_http(apps[site], token, beside)

        return ask

    def a_custom_header_with_the_bare_token(self) -> Ask:
        apps = {
            name: OIDCMiddleware(Probe(), verifier=verifier, token_header_key="X-Token")
            for name, verifier in self.each_site().items()
        }
        return lambda site, token: self.over_http(apps[site], token, name=b"x-token", scheme=b"")

    def a_route_behind_the_middleware_of_a_mounted_app(self) -> Ask:
        apps = {}
        for name, verifier in self.each_site().items():
            app = protect(FastAPI(), verifier)
            app.get("/x")(who)
            apps[name] = Starlette(routes=[Mount("/sub", app)])
        return lambda site, token: self.over_http(apps[site], token, path="/sub/x")

    def a_websocket_route_that_asks(self) -> Ask:
        apps = {}
        for name, verifier in self.each_site().items():
            app = protect(FastAPI(), verifier, middleware=False)
            app.websocket("/x")(who_on_a_socket)
            apps[name] = app
        return lambda site, token: self.over_http(apps[site], token, make=websocket_scope)

    def over_http(
        self,
        app: ASGIApp,
        token: str,
        more: list[tuple[bytes, bytes]] | None = None,
        *,
        name: bytes = b"authorization",
        scheme: bytes = b"Bearer ",
        path: str = "/x",
        make: Callable[[str], Any] = http_scope,
    ) -> Met:
        scope = make(path)
        scope["headers"] = [(name, scheme + token.encode("utf-8", "surrogatepass")), *(more or [])]
        return met(self._run(deliver(app, scope)))


def verify_now(verifier: Verifier, token: str) -> Met:
    try:
        return Met(verifier.verify_now(token).user_id)
    except (TokenError, CredentialError, KeysUnavailableError):  # on a loop it never waits for an unknown key
        return Met(None)


def met(answer: Answer) -> Met:
    if answer.status in (101, 200):
        return Met(answer.json()["user_id"])
    return Met(None, (answer.status, tuple(answer.headers), answer.body))


async def who(principal: CurrentPrincipal) -> dict[str, str]:
    return {"user_id": principal.user_id}


async def who_on_a_socket(websocket: WebSocket, principal: CurrentPrincipal) -> None:
    await websocket.accept()
    await websocket.send_text(f'{{"user_id": "{principal.user_id}"}}')
    await websocket.close()


WAYS: tuple[Callable[[Ways], Ask], ...] = (
    Ways.plain_call_on_a_loop,
    Ways.tenants_let_in_by_a_rule,
    Ways.a_cookie_of_somebody_beside_it,
    Ways.a_custom_header_with_the_bare_token,
    Ways.a_route_behind_the_middleware_of_a_mounted_app,
    Ways.a_websocket_route_that_asks,
)
DIRECT = {"plain_call_on_a_loop", "tenants_let_in_by_a_rule"}


@contextmanager
def ways_of(world: World) -> Iterator[Ways]:
    with closing(asyncio.new_event_loop()) as loop:
        ways = Ways(world, loop)
        yield ways
        for verifier in ways.verifiers:
            verifier.close()


def attacks_on(sites: set[str], families: dict[str, Family], way: str) -> list[Attack]:
    attacks = [attack for family in families.values() for attack in family.attacks if attack.site in sites]
    if way not in DIRECT:
        attacks = [attack for attack in attacks if "header" not in attack.harmless_as]
    if way == "a_custom_header_with_the_bare_token":  # which may carry ``Bearer x`` as well
        attacks = [attack for attack in attacks if attack.name != "Bearer round it"]
    return attacks


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_attack_is_refused_by_the_other_ways_too_and_asks_nothing_of_the_machine(
    world: World, families: dict[str, Family], way: Callable[[Ways], Ask], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sites = {"main", "strict", "clients"} if way is Ways.tenants_let_in_by_a_rule else set(world.sites)
    attacks = attacks_on(sites, families, way.__name__)
    assert len(attacks) > 1000
    with ways_of(world) as ways:
        ask = way(ways)
        for twin in (twin for family in families.values() for twin in family.twins if twin.site in sites):
            assert (ask(twin.site, twin.token).user or "").endswith("ada"), twin.name
        with watched() as asked_of_the_machine:
            outcomes = [(attack, ask(attack.site, attack.token)) for attack in attacks]
    assert [(attack.name, found.user) for attack, found in outcomes if found.user is not None] == []
    assert asked_of_the_machine == []
    told = "\n".join(f"{record.getMessage()} {record.args!r} {record.exc_info!r}" for record in caplog.records)
    told += repr({found.answer for _, found in outcomes})
    assert [attack.name for attack in attacks if any(piece in told for piece in telling(attack.token))] == []
    answers = {found.answer for _, found in outcomes if found.answer}
    codes = {body for _, _, body in answers}
    assert len(answers) == len(codes) <= 4, "malformed, missing, bad, expired: one answer each, to the byte"
    assert bool(answers) == (way.__name__ not in DIRECT)


def test_the_watch_hears_what_it_is_for(tmp_path: Path) -> None:
    with watched() as heard:
        (tmp_path / "x").write_bytes(b"x")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("127.0.0.1", 9))
        socket.getaddrinfo("127.0.0.1", 80)
        subprocess.run([sys.executable, "-c", ""], check=True)
        eval("1 + 1")
    events = {line.split(" ")[0] for line in heard}
    assert {"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "compile", "exec"} <= events
    before = len(heard)
    (tmp_path / "x").unlink()
    assert len(heard) == before
