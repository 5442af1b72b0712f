"""The ways in: each takes a token for one of the sites, and says who came in or what was said in refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.types import ASGIApp

from oidcbridge import Issuer, OIDCMiddleware, TokenSource, Verifier
from oidcbridge.errors import BadSignatureError, CredentialError, KeyNotFoundError, TokenError
from oidcbridge.fastapi import CurrentPrincipal, protect
from tests.asgi.kit import Answer, Probe, deliver, http_scope, websocket_scope
from tests.attacks.forge import Site, World

ANSWERS = {
    (401, "missing_credential", "missing_credential"),  # an empty cookie is none
    (400, "invalid_request", "invalid_request"),
    (401, "invalid_token", "invalid_token"),
    (401, "invalid_token", "token_expired"),
}
SAID = (
    *("content-length", "content-type", "cache-control", "vary", "www-authenticate"),
    "access-control-expose-headers",
)


class Outcome(NamedTuple):
    """Who came in; or None, and all that was said to whoever asked. ``may_ask``: the provider may have been asked."""

    user: str | None
    said: str = ""
    may_ask: bool = False


@dataclass(frozen=True)
class Way:
    """How verifiers are configured, and how a token reaches them."""

    sync: bool = False
    token_cache: int = 10_000
    keys: str = "remote"
    several: bool = False
    carrier: str | None = None
    surface: str = "middleware"
    """Or ``websocket``; ``dependency``: only the route asks; ``anybody``: who brings no token passes as nobody."""


WAYS = {
    "async": Way(),
    "async, nothing remembered": Way(token_cache=0),
    "sync": Way(sync=True),
    "sync, nothing remembered": Way(sync=True, token_cache=0),
    "a key set that is written down": Way(sync=True, keys="jwks"),
    "PEM keys that are written down": Way(sync=True, keys="pem"),
    "several issuers": Way(several=True),
    "HTTP header": Way(carrier="header"),
    "HTTP cookie": Way(carrier="cookie", token_cache=0),
    "HTTP header, several issuers, nothing remembered": Way(carrier="header", several=True, token_cache=0),
    "HTTP header, where nobody has to have a token": Way(carrier="header", surface="anybody", token_cache=0),
    "HTTP header, asked for by a route": Way(carrier="header", surface="dependency", token_cache=0),
    "WebSocket": Way(carrier="header", surface="websocket", token_cache=0),
}


class Door:
    """One way, open: verifiers for every site."""

    def __init__(self, way: Way, verifiers: Mapping[str, Verifier], loop: asyncio.AbstractEventLoop) -> None:
        self.way = way
        self.verifiers = verifiers
        self._run = loop.run_until_complete
        self._apps = {name: _app(way, verifier) for name, verifier in verifiers.items()}

    def ask(self, site: str, token: str) -> Outcome:
        """Try ``token``. Whatever is neither entrance nor refusal is raised."""
        if self.way.carrier is not None:
            return self._ask_http(site, token)
        verifier = self.verifiers[site]
        try:
            principal = verifier.verify_now(token) if self.way.sync else self._run(verifier.verify(token))
        except (TokenError, CredentialError) as error:
            shown = f"{error} {error!r} {error.__cause__!r}"
            return Outcome(None, shown, isinstance(error, KeyNotFoundError | BadSignatureError))
        return Outcome(principal.user_id)

    def _ask_http(self, site: str, token: str) -> Outcome:
        name, before = (b"cookie", b"access_token=") if self.way.carrier == "cookie" else (b"authorization", b"Bearer ")
        scope = websocket_scope() if self.way.surface == "websocket" else http_scope()
        scope["headers"] = [(b"host", b"testserver"), (name, before + token.encode("utf-8", "surrogatepass"))]
        return outcome(self._run(deliver(self._apps[site], scope)))


def _app(way: Way, verifier: Verifier) -> ASGIApp:
    if way.surface == "dependency":
        app = protect(FastAPI(), verifier, middleware=False)
        app.get("/x")(who)
        return app
    source = TokenSource.COOKIE if way.carrier == "cookie" else TokenSource.HEADER
    required = way.surface != "anybody"
    return OIDCMiddleware(Probe(), verifier=verifier, token_source=source, require_authentication=required)


async def who(principal: CurrentPrincipal) -> dict[str, object]:
    """What `Probe` says, of a caller that the route itself has asked for."""
    return {"user_id": principal.user_id, "authenticated": True}


def outcome(answer: Answer) -> Outcome:
    """Who came in over HTTP; or the refusal, which is one of those that a client may see, to the letter."""
    found = answer.json()
    if answer.status in (101, 200):
        assert found["authenticated"] is True
        return Outcome(found["user_id"])
    assert (answer.status, found["error"], found["code"]) in ANSWERS, (answer.status, found)
    assert sorted(found) == ["code", "detail", "error"]
    assert sorted(name for name, _ in answer.headers) == sorted(SAID), answer.headers
    return Outcome(None, json.dumps([answer.headers, found]), may_ask=True)


@contextmanager
def open_door(way: Way, world: World) -> Iterator[Door]:
    """Verifiers for every site, with their keys at hand."""
    sites = world.sites.items()
    common: dict[str, Any] = {"token_cache": way.token_cache, "clock": world.clock}
    verifiers = {name: Verifier(**_arguments(way, site), **common) for name, site in sites}
    if way.several:
        issuers = [Issuer(name=name, **site.arguments) for name, site in sites if site.secret is None]
        verifiers |= dict.fromkeys(verifiers.keys() - {"secret"}, Verifier(issuers=issuers, **common))
    with closing(asyncio.new_event_loop()) as loop:
        for verifier in verifiers.values():
            loop.run_until_complete(verifier.warm(strict=True))
        yield Door(way, verifiers, loop)
        for verifier in verifiers.values():
            verifier.close()


def _arguments(way: Way, site: Site) -> dict[str, Any]:
    if site.secret is not None or way.keys == "remote":
        return site.arguments
    if way.keys == "jwks":
        return {**site.arguments, "jwks": site.issuer.jwks()}
    keys = [key for key in site.issuer.keys if not isinstance(key, Mapping)]
    algorithms = sorted({key.alg for key in keys} | ({"EdDSA"} if any(key.alg == "Ed25519" for key in keys) else set()))
    return {**site.arguments, "verification_keys": [key.public_pem() for key in keys], "algorithms": algorithms}
