"""J: observability. What is seen from outside is true, gives no secret away, and cannot change what is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from functools import partial
from operator import setitem
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from oidcbridge import FetchOptions, OIDCMiddleware, Principal, TokenSource, Verifier
from oidcbridge.asgi.health import health_endpoint
from oidcbridge.testing import Clock, FakeKey
from tests.asgi.kit import Probe, ask, bearer, cookie
from tests.faults.kit import health
from tests.faults.table import Row, scenario
from tests.remote.asking import refuse, settle, stranger, unavailable
from tests.remote.hostile import HeldIssuer

HOUR = 3600.0


class Readiness:
    """A readiness probe, which is called whenever a state is asserted; ``flips`` are its answers without repeats."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._client = TestClient(Starlette(routes=[Route("/ready", health_endpoint(verifier))]))
        self.flips: list[bool] = []

    def expect(self, state: str, **expected: object) -> None:
        """The verifier's health and the endpoint say ``state`` and the rest, and that asks nobody."""
        now = health(self._verifier)
        assert {name: getattr(now, name) for name in ("state", *expected)} == {"state": state, **expected}
        answer = self._client.get("/ready")
        assert (answer.status_code == 200, answer.json()["ready"]) == (now.usable, now.usable)
        assert answer.json()["issuers"][0]["state"] == state
        if self.flips[-1:] != [now.usable]:
            self.flips.append(now.usable)


def fall_into_and_out_of_every_state(issuer: HeldIssuer, clock: Clock, verifier: Verifier, seen: Readiness) -> None:
    down: dict[str, Any] = {"last_error": f"{issuer.issuer_url}/jwks answered 503", "next_try_in": 300}
    well: dict[str, Any] = {"failures": 0, "last_error": None, "next_try_in": None}
    issuer.status, issuer.jwks_headers = 503, {"retry-after": "300"}
    seen.expect("empty", usable=False, keys=0, age=None, stale_budget_left=None, **well)
    unavailable(verifier, issuer.mint())
    seen.expect("empty", usable=False, keys=0, age=None, stale_budget_left=None, failures=1, **down)
    clock.advance(300)
    issuer.status = None
    settle(verifier)
    seen.expect("fresh", usable=True, keys=1, age=0.0, stale_budget_left=4 * HOUR, **well)
    clock.advance(299)
    seen.expect("fresh", usable=True, keys=1, age=299.0, stale_budget_left=4 * HOUR - 299, **well)
    clock.advance(1)
    seen.expect("stale", usable=True, keys=1, age=300.0, stale_budget_left=4 * HOUR - 300, **well)
    clock.advance(300)
    seen.expect("expired", usable=True, keys=1, age=600.0, stale_budget_left=4 * HOUR - 600, **well)
    issuer.status = 503
    verifier.verify_now(issuer.mint())
    seen.expect("degraded", usable=True, keys=1, age=600.0, stale_budget_left=4 * HOUR - 600, failures=1, **down)
    clock.advance(4 * HOUR - 600)
    seen.expect("expired", usable=False, keys=1, age=4 * HOUR, stale_budget_left=0.0, failures=1)
    unavailable(verifier, issuer.mint())
    seen.expect("dead", usable=False, keys=1, age=4 * HOUR, stale_budget_left=0.0, failures=2, **down)
    clock.advance(300)
    issuer.status = None
    verifier.verify_now(issuer.mint())
    seen.expect("fresh", usable=True, keys=1, age=0.0, stale_budget_left=4 * HOUR, **well)


@scenario("J86")
def test_j86_health_is_right_in_every_state_and_readiness_follows_the_usable_keys(
    issuer: HeldIssuer, clock: Clock, row: Row
) -> None:
    with issuer.verifier() as verifier:
        seen = Readiness(verifier)
        fall_into_and_out_of_every_state(issuer, clock, verifier, seen)
        assert seen.flips == [False, True, False, True]
        assert issuer.fetches["jwks"] == 5  # one for each attempt of the story: asking for health is none
        verifier.deny_key(issuer.signing_key().kid)
        seen.expect("fresh", usable=False, keys=0)
        issuer.rotate()
        verifier.verify_now(issuer.mint())
        seen.expect("fresh", usable=True, keys=1)
        assert seen.flips == [False, True, False, True, False, True]
    row.saw("right in all six; ready exactly while a key could be used", issuer.fetches)


class Secrets:
    """What must not be read in a log: tokens and their parts, cookies, secrets, members of private keys."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def token(self, token: str) -> str:
        """Remember a token, whole and in parts; returns it."""
        self._texts |= {token, *(part for part in token.split(".")[1:] if len(part) > 8)}
        return token

    def key(self, key: FakeKey) -> FakeKey:
        """Remember what of a key is private, and its public coordinates too."""
        material = key.private_key.as_dict(private=True)
        self._texts |= {str(material[name]) for name in ("d", "x", "y", "k") if name in material}
        return key

    def text(self, text: str) -> str:
        self._texts.add(text)
        return text

    def within(self, log: str) -> list[str]:
        return sorted(text for text in self._texts if text in log)


def presented(issuer: HeldIssuer, secrets: Secrets) -> Iterator[str]:
    """Tokens good and bad, of every kind of fault."""
    own, other = secrets.key(issuer.signing_key()), secrets.key(FakeKey.generate("ES256"))
    shared = FakeKey.from_secret(secrets.text("a shared secret of at least thirty-two bytes").encode())
    yield secrets.token(issuer.mint("ada", claims={"nickname": secrets.text("only-in-the-claims")}))
    for options in (
        {"key": FakeKey(own.kid, "ES256", other.private_key)},
        {"key": other},
        {"key": shared},
        {"expires_in": -3600},
        {"audience": "somebody else"},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"sub": ""}},
        {"header": {"crit": ["b64"]}},
    ):
        yield secrets.token(issuer.mint("eve", **options))
    for text in ("abcdefghijklmnop.qrstuvwxyz0123456789.ABCDEFGHIJKLMNOP", "an-opaque-token-1234567890"):
        yield secrets.token(text)


def live_through_everything(issuer: HeldIssuer, clock: Clock, verifier: Verifier, secrets: Secrets) -> None:
    app = OIDCMiddleware(Probe(), verifier=verifier, token_source=TokenSource.BOTH)
    strange = secrets.key(FakeKey.generate("ES256", kid="published-by-mistake"))

    def present() -> set[int]:
        ways: tuple[Callable[[str], list[tuple[str, str]]], ...] = (bearer, cookie)
        return {ask(app, headers=way(token)).status for token in presented(issuer, secrets) for way in ways}

    assert present() == {200, 401}
    issuer.rotate()
    issuer.publish(strange.private_key.as_dict(private=True, kid=strange.kid, alg="ES256", use="sig"))
    for override in (None, b"<html>", b'{"keys": []}', None):
        clock.advance(HOUR)
        issuer.jwks_override = override
        assert present() - {503} == {200, 401}  # 503: an unknown key, and no answer to be had about it
    with issuer.outage():
        clock.advance(5 * HOUR)
        assert present() == {401, 503}


@scenario("J87")
def test_j87_no_token_and_no_key_is_in_any_log_at_debug(
    issuer: HeldIssuer, clock: Clock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], row: Row
) -> None:
    secrets = Secrets()
    caplog.set_level(logging.DEBUG)
    with issuer.verifier() as verifier:
        live_through_everything(issuer, clock, verifier, secrets)
    proxy = FetchOptions(proxy=f"http://ada:{secrets.text('pass-of-the-proxy')}@127.0.0.1:9")
    with issuer.verifier(fetch=proxy) as verifier:
        unavailable(verifier, secrets.token(issuer.mint("ada")))
    log = caplog.text + "".join(capfd.readouterr())
    told = {record.name.partition(".")[0] for record in caplog.records} | {record.name for record in caplog.records}
    assert {"oidcbridge.asgi", "oidcbridge.keys", "httpcore2"} <= told
    assert "published-by-mistake" in log
    assert secrets.within(log) == []
    assert "bearer " not in log.lower()
    for secret in (planted := sorted(secrets._texts)):
        logging.getLogger("oidcbridge").debug("a slip: %s", secret)
    assert secrets.within(caplog.text) == planted
    assert issuer.fetches["jwks"] <= 20  # by the budgets, and by as many retries as the test had seconds
    row.saw(f"{len(planted)} secrets, none of them in {len(log.splitlines())} lines", issuer.fetches)


class Vandal:
    """An app that writes into everything it is handed, and remembers how it found it."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        names = ("dependencies", "session_state", "scopes")
        self.found.append({name: json.loads(json.dumps(state[name])) for name in names})
        state["dependencies"]["team"]["lead"] = state["user_id"] = "mallory"
        state["session_state"].clear()
        state["scopes"].append("admin")
        await Probe()(scope, receive, send)


def changes_of(claims: Any) -> tuple[Callable[[], object], ...]:
    """Attempts to write into a mapping of claims, on every level."""
    return (
        lambda: claims.update(sub="mallory"),
        lambda: setitem(claims, "team", {}),
        lambda: setitem(claims["team"], "lead", "mallory"),
        lambda: setitem(claims["team"]["members"], 0, "mallory"),
        lambda: setitem(claims["team"]["members"][1], "name", "mallory"),
        lambda: claims["team"]["members"].append("mallory"),
    )


def changes(principal: Principal, verifier: Verifier) -> list[Callable[[], object]]:
    """Attempts to write into what a verifier hands out."""
    return [
        *changes_of(principal.claims),
        *changes_of(principal.dependencies),
        lambda: setattr(principal, "user_id", "mallory"),
        lambda: setattr(health(verifier), "state", "fresh"),
        *(partial(setattr, metadata, "jwks_uri", "https://evil.example") for metadata in verifier.metadata()),
    ]


@scenario("J88")
def test_j88_what_is_handed_out_cannot_change_what_is_kept(issuer: HeldIssuer, row: Row) -> None:
    given = json.loads(json.dumps(issuer.jwks()))
    team = {"lead": "ada", "members": ["ada", {"name": "bob"}]}
    token = issuer.mint("ada", scope="read", claims={"team": team, "plan": "free"})
    claims: dict[str, Any] = {"dependencies_claims": ["team"], "session_state_claims": ["plan"]}
    with issuer.verifier(**claims) as verifier, issuer.verifier(jwks=given, **claims) as static:
        given["keys"].clear()
        for one in (verifier, static):
            app = Vandal()
            guarded = OIDCMiddleware(app, verifier=one)
            assert [ask(guarded, headers=bearer(token)).status for _ in range(3)] == [200] * 3
            untouched = {"dependencies": {"team": team}, "session_state": {"plan": "free"}, "scopes": ["read"]}
            assert app.found == [untouched] * 3
            principal = one.verify_now(token)
            principal.as_dict()["claims"]["team"]["members"][1]["name"] = "mallory"
            for change in changes(principal, one):
                with pytest.raises((TypeError, AttributeError, FrozenInstanceError)):
                    change()
            assert one.verify_now(token).as_dict()["claims"]["team"] == team
            assert one.verify_now(token).user_id == "ada"
            refuse(one, stranger(issuer))
    assert (issuer.fetches["discovery"], issuer.fetches["jwks"]) == (1, 2)  # the second looked for the stranger's key
    row.saw("every write was refused, or was to a copy", issuer.fetches)
