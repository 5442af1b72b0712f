"""Where cases are tried: the sites of tests/attacks and a few more, each with verifiers that have to agree.

All is the same in every run but for the material of the keys, so an input means the same tomorrow.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

from joserfc.jws import JWSRegistry
from starlette.types import ASGIApp

from oidcbridge import FetchOptions, Issuer, OIDCMiddleware, TokenSource, Verifier
from oidcbridge.errors import KeyNotFoundError, UnknownIssuerError
from oidcbridge.testing import FakeIssuer, FakeKey
from tests.asgi.kit import Probe
from tests.attacks.forge import CLIENT, Site, World, decode, encode
from tests.fuzz.wrong import WrongError

Result = TypeVar("Result")
WEEK = 7 * 86400.0
MOMENT = 1_900_000_000.0
ALLOWED_ORIGIN = b"https://ui.example.com"
MAPPED = {"mail": "email", "all": "roles", "deep": "a.b.c", "id": "sub", "web": "https://acme.example/x"}


def the_same_world() -> World:
    """The world of tests/attacks with its clock and the names of its keys standing still, and with more sites."""
    numbers = count()
    with (
        patch("time.time", return_value=MOMENT),
        patch("secrets.token_hex", lambda _size: f"{next(numbers):08x}"),
    ):
        world = World("fuzz.test", "eu-west-3")
        mapped = {"dependencies_claims": MAPPED, "session_state_claims": ["sid", "a", "groups"]}
        _add(world, "auth0", "https://acme.auth0.com/", roles_claim=["https://acme.example/roles", "roles"], **mapped)
        _add(world, "tenants", "https://tenants.idp.test", tenants=["acme"], tenant_claim=["org", "o.id"], **mapped)
        _add(world, "email", "https://email.idp.test", user_id_claim="email", **mapped)
        _add(world, "named", "https://named.idp.test/realms/acme", client_ids=[CLIENT, "x"], leeway=0, **mapped)
    return world


def _add(world: World, name: str, url: str, **arguments: Any) -> None:
    issuer = FakeIssuer(url, clock=world.clock, algorithms=("ES256",), default_claims=MORE.get(name))
    world.sites[name] = Site(issuer, {"issuer_url": url, "audience": issuer.audience, **arguments})


#: What tokens of a site need beside the usual claims.
MORE: Mapping[str, Mapping[str, object]] = {
    "tenants": {"org": "acme"},
    "email": {"email": "ada@acme.example", "email_verified": True},
}


class Place(NamedTuple):
    """A site with its verifiers: ``fixed`` has its keys written down, ``remote`` fetches them and remembers tokens."""

    name: str
    site: Site
    keys: tuple[FakeKey, ...]
    fixed: Verifier
    remote: Verifier
    several: Verifier | None

    def key(self, choice: int) -> FakeKey | None:
        """One of the site's keys; None means the forger's."""
        number = choice % (len(self.keys) + 1)
        return self.keys[number] if number < len(self.keys) else None

    def has_signed(self, token: str) -> bool:
        """Whether one of the keys made this signature, in its one spelling, by joserfc's word: not by ours."""
        message, _, spelled = token.rpartition(".")
        signature = decode(spelled)
        return encode(signature) == spelled and any(
            JWSRegistry.algorithms[key.alg].verify(message.encode(), signature, key.private_key) for key in self.keys
        )


class Arena:
    """All places and apps, open."""

    def __init__(self, world: World, places: tuple[Place, ...]) -> None:
        self.world = world
        self.places = places
        self.main = places[0]
        self.fetches = world.fetches()
        self.good = world.main.sign()
        self.forged = world.main.sign(key=world.forger)
        self.apps = _apps(self.main.remote)


def run_now(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that has nothing to wait for, without an event loop; waiting is an error here."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        coroutine.close()
    raise WrongError("it waits, with all keys at hand")


def _apps(verifier: Verifier) -> dict[str, ASGIApp]:
    origins = [ALLOWED_ORIGIN.decode()]
    cookie: dict[str, Any] = {"token_source": TokenSource.COOKIE, "allowed_origins": origins}
    arguments: dict[str, dict[str, Any]] = {
        "header": {},
        "cookie": cookie,
        "both": {**cookie, "token_source": TokenSource.BOTH},
        "custom header": {"token_header_key": "X-Token"},
        "anybody": {**cookie, "token_source": TokenSource.BOTH, "require_authentication": False},
    }
    apps = {name: OIDCMiddleware(Probe(), verifier=verifier, **said) for name, said in arguments.items()}
    return {**apps, "unverified": OIDCMiddleware(Probe(), validate=False, provider="keycloak")}


@contextmanager
def open_arena() -> Iterator[Arena]:
    """The arena with all keys at hand."""
    world = the_same_world()
    # Keys are renewed by real time; nothing may be asked here but for a token, however long the fuzzer runs.
    fetch = FetchOptions(max_age=WEEK, max_max_age=WEEK, hard_age=WEEK)
    common: dict[str, Any] = {"clock": world.clock, "fetch": fetch}
    with ExitStack() as stack:
        stack.enter_context(world.open())
        issuers = [Issuer(name=name, **_named(site)) for name, site in world.sites.items() if site.secret is None]
        several = stack.enter_context(Verifier(issuers=issuers, token_cache=0, **common))
        places = tuple(
            Place(
                name,
                site,
                _keys(site),
                stack.enter_context(Verifier(**_fixed(site), token_cache=0, **common)),
                stack.enter_context(Verifier(**site.arguments, token_cache=64, **common)),
                several if site.secret is None and "leeway" not in site.arguments else None,
            )
            for name, site in world.sites.items()
        )
        for place in places:
            for verifier in (place.remote, several):
                _spend(verifier, place.site)
        yield Arena(world, places)


def _spend(verifier: Verifier, site: Site) -> None:
    """Have the keys fetched, and whatever strangers may cause to be fetched: the bucket is not filled again here."""
    for number in range(4):
        with suppress(KeyNotFoundError, UnknownIssuerError):
            verifier.verify_now(site.sign(header={"kid": f"stranger-{number}"}))


def _named(site: Site) -> dict[str, Any]:
    return {name: value for name, value in site.arguments.items() if name != "leeway"}


def _fixed(site: Site) -> dict[str, Any]:
    return site.arguments if site.secret is not None else {**site.arguments, "jwks": site.issuer.jwks()}


def _keys(site: Site) -> tuple[FakeKey, ...]:
    if site.secret is not None:
        return (site.secret,)
    return tuple(key for key in site.issuer.keys if isinstance(key, FakeKey))
