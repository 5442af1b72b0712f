"""Tenants in numbers: bounded, evicted and back again, and nothing that inventing names or tokens could push out."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from oidcbridge import ConfigurationError, DynamicIssuers, FetchOptions, Issuer, Verifier
from oidcbridge.asgi.health import health_endpoint
from oidcbridge.errors import KeyNotFoundError, KeysUnavailableError, RevokedTokenError, TokenError, UnknownIssuerError
from oidcbridge.testing import Clock, FakeKey
from tests.verifier.platform import ORIGIN, Platform, tenants, wait_until


def issuer_of(tenant: str) -> str:
    return f"{ORIGIN}/tenants/{tenant}"


def in_place(verifier: Verifier) -> set[str]:
    return {health.issuer.rpartition("/")[2] for health in verifier.health()}


def test_any_number_of_tenants_is_bounded_and_one_that_left_comes_back_with_one_fetch(
    platform: Platform, clock: Clock
) -> None:
    with Verifier(issuers=tenants(max_issuers=100), clock=clock) as verifier:
        threads = threading.active_count()
        for number in range(400):
            assert verifier.verify_now(platform.mint(f"t{number}")).user_id == f"t{number}:ada"
        assert in_place(verifier) == {f"t{number}" for number in range(300, 400)}
        assert threading.active_count() <= threads + 1
        assert (platform.fetches["discovery"], platform.fetches["jwks"]) == (400, 400)
        for _ in range(3):
            assert verifier.verify_now(platform.mint("t0")).user_id == "t0:ada"
        assert (platform.fetches["discovery"], platform.fetches["jwks"], platform.fetches["t0"]) == (401, 401, 4)


def test_the_tenant_that_was_not_used_for_longest_leaves_first_and_cached_tokens_are_use(
    platform: Platform, clock: Clock
) -> None:
    with Verifier(issuers=tenants(max_issuers=2), clock=clock) as verifier:
        first = platform.mint("a")
        for token in (first, platform.mint("b"), first, platform.mint("c")):
            clock.advance(1)
            verifier.verify_now(token)
        assert in_place(verifier) == {"a", "c"}


def test_a_cached_token_of_a_tenant_that_left_is_verified_anew(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(max_issuers=1), clock=clock) as verifier:
        token = platform.mint("a")
        verifier.verify_now(token)
        verifier.verify_now(platform.mint("b"))
        assert verifier.verify_now(token).user_id == "a:ada"
        assert platform.fetches["a"] == 4


def test_a_tenant_that_is_idle_for_a_day_leaves_and_one_in_use_stays(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.verify_now(platform.mint("idle"))
        for _ in range(24):
            clock.advance(3600)
            verifier.verify_now(platform.mint("busy"))
        assert in_place(verifier) == {"busy"}
        discovered = platform.fetches["discovery"]
        verifier.verify_now(platform.mint("idle"))
        assert platform.fetches["discovery"] == discovered + 1


def test_a_denied_key_stays_denied_through_leaving_and_coming_back(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(max_issuers=1), clock=clock) as verifier:
        token = platform.mint("a")
        verifier.verify_now(token)
        verifier.deny_key(platform.key_name(), issuer=issuer_of("a"))
        for _ in range(2):
            for refused in (token, platform.mint("a", "bob")):
                with pytest.raises(TokenError):
                    verifier.verify_now(refused)
            assert verifier.verify_now(platform.mint("b")).user_id == "b:ada"  # the same key, of another tenant
        assert in_place(verifier) == {"b"}


def test_a_key_may_be_denied_before_its_tenant_is_seen(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.deny_key(platform.key_name(), issuer=issuer_of("a"))
        with pytest.raises(RevokedTokenError):
            verifier.verify_now(platform.mint("a"))
        assert verifier.verify_now(platform.mint("b")).user_id == "b:ada"


def test_a_cached_token_of_a_tenant_that_left_does_not_outlive_the_denial_of_its_key(
    platform: Platform, clock: Clock
) -> None:
    with Verifier(issuers=tenants(max_issuers=1), clock=clock) as verifier:
        token = platform.mint("a")
        verifier.verify_now(token)
        verifier.verify_now(platform.mint("b"))
        verifier.deny_key(platform.key_name(), issuer=issuer_of("a"))
        with pytest.raises(RevokedTokenError):
            verifier.verify_now(token)


def test_a_key_is_denied_by_issuer_and_of_no_stranger(clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        with pytest.raises(ConfigurationError, match="needs issuer="):
            verifier.deny_key("1")
        with pytest.raises(ConfigurationError, match="no issuer that DynamicIssuers lets in"):
            verifier.deny_key("1", issuer="https://evil.test")
    both: list[Issuer | DynamicIssuers] = [
        Issuer(issuer_url="https://own.test", name="own", audience="agent-api"),
        tenants(),
    ]
    with Verifier(issuers=both, clock=clock) as verifier, pytest.raises(ConfigurationError, match="needs issuer="):
        verifier.deny_key("1")


def invented(platform: Platform, count: int) -> list[str]:
    names = [f"ghost{number}" for number in range(count)]
    platform.unknown.update(names)
    return names


def test_invented_tenants_cost_a_budget_and_those_in_place_do_not_notice(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.verify_now(platform.mint("acme"))
        refused = {KeysUnavailableError: 0, UnknownIssuerError: 0}
        for name in invented(platform, 200):
            with pytest.raises((KeysUnavailableError, UnknownIssuerError)) as caught:
                verifier.verify_now(platform.mint(name))
            refused[type(caught.value)] += 1
            assert verifier.verify_now(platform.mint("acme", name)).user_id == f"acme:{name}"
        assert refused == {KeysUnavailableError: 20, UnknownIssuerError: 180}
        assert sum(platform.fetches[f"ghost{number}"] for number in range(20, 200)) == 0
        with pytest.raises(UnknownIssuerError, match="looked for in vain"):
            verifier.verify_now(platform.mint("honest"))
        clock.advance(1)
        assert verifier.verify_now(platform.mint("honest")).user_id == "honest:ada"


def test_an_invented_tenant_is_not_asked_for_again_unless_a_request_asks(platform: Platform, clock: Clock) -> None:
    platform.unknown.add("ghost")
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        for _ in range(50):
            with pytest.raises(KeysUnavailableError):
                verifier.verify_now(platform.mint("ghost"))
        asked = platform.fetches["ghost"]
        assert asked == 2  # the two well-known addresses; then the backoff runs
        time.sleep(1.3)  # longer than the first backoff can be
        assert platform.fetches["ghost"] == asked
        clock.advance(20)
        platform.unknown.clear()
        assert verifier.verify_now(platform.mint("ghost")).user_id == "ghost:ada"


def test_a_tenant_in_place_is_retried_by_itself(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.verify_now(platform.mint("acme"))
        platform.down = True
        clock.advance(301)
        assert verifier.verify_now(platform.mint("acme", "bob")).user_id == "acme:bob"
        end = time.monotonic() + 10
        while platform.fetches["acme"] < 4:
            assert time.monotonic() < end, platform.fetches
            time.sleep(0.02)


def test_tokens_that_are_not_good_push_nobody_out_and_cost_a_budget(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(max_issuers=3), clock=clock) as verifier:
        for tenant in ("a", "b", "c"):
            verifier.verify_now(platform.mint(tenant))
        forged = FakeKey.generate("ES256")
        for number in range(300):
            with pytest.raises((KeyNotFoundError, UnknownIssuerError)):
                verifier.verify_now(platform.mint(f"real{number}", key=forged))
        assert in_place(verifier) == {"a", "b", "c"}
        fetched = {name for name in platform.fetches if name.startswith("real")}
        assert len(fetched) == 64 + 20  # a small room, and what may fall out of it


def test_a_crowd_of_honest_new_tenants_is_let_in_though_few_are_looked_for_at_once(
    platform: Platform, clock: Clock
) -> None:
    count = 120
    fetch = FetchOptions(request_wait=20.0)
    with Verifier(issuers=tenants(), clock=clock, fetch=fetch) as verifier:

        async def main() -> list[str]:
            tokens = [platform.mint(f"t{number}") for number in range(count)]
            return [principal.user_id for principal in await asyncio.gather(*map(verifier.verify, tokens))]

        assert asyncio.run(main()) == [f"t{number}:ada" for number in range(count)]
        assert platform.fetches["jwks"] == count
        assert len(in_place(verifier)) == count


def test_new_tenants_that_come_while_many_are_looked_for_wait_no_longer_than_they_may(
    platform: Platform, clock: Clock
) -> None:
    with Verifier(issuers=tenants(), clock=clock, fetch=FetchOptions(request_wait=0.1)) as verifier:

        async def main() -> list[BaseException | object]:
            tokens = [platform.mint(f"t{number}") for number in range(40)]
            return list(await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True))

        with platform.held():
            assert {type(outcome) for outcome in asyncio.run(main())} == {KeysUnavailableError}
            assert platform.fetches["discovery"] <= 16
        wait_until(lambda: platform.fetches["jwks"] == 16)  # what was begun goes on
        assert platform.fetches["discovery"] == 16


def test_health_shows_who_is_in_place_and_marks_them(platform: Platform, clock: Clock) -> None:
    both: list[Issuer | DynamicIssuers] = [
        Issuer(issuer_url="https://own.test", name="own", audience="agent-api"),
        tenants(),
    ]
    with Verifier(issuers=both, clock=clock) as verifier:
        verifier.verify_now(platform.mint("acme"))
        own, acme = verifier.health()
        assert (own.issuer, own.state, own.dynamic) == ("https://own.test", "empty", False)
        assert (acme.issuer, acme.state, acme.dynamic) == (issuer_of("acme"), "fresh", True)
        assert verifier.metadata() == ()  # a public page shows no tenants


def test_one_tenant_s_outage_does_not_make_the_app_unready(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock, fetch=FetchOptions(max_stale=0.0)) as verifier:
        app = Starlette(routes=[Route("/health", health_endpoint(verifier))])
        verifier.verify_now(platform.mint("acme"))
        platform.down = True
        clock.advance(3600)
        with pytest.raises(KeysUnavailableError):
            verifier.verify_now(platform.mint("acme"))
        answer = TestClient(app).get("/health")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert answer.json()["issuers"] == []
        assert sum(answer.json()["tenants"].values()) == 1
        assert "acme" not in answer.text, "the public page names no customer"


def test_a_forced_refresh_asks_the_tenants_in_place(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.verify_now(platform.mint("acme"))
        asyncio.run(verifier.refresh(force=True))
        assert platform.fetches["jwks"] == 2


def test_after_a_pause_the_tenants_are_still_there(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        verifier.verify_now(platform.mint("acme"))
        verifier.pause()
        verifier.verify_now(platform.mint("acme", "bob"))
        assert (in_place(verifier), platform.fetches["jwks"]) == ({"acme"}, 1)


def test_requests_that_are_cancelled_leave_room_for_the_next(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:

        async def main() -> str:
            with platform.held():
                tasks = [asyncio.ensure_future(verifier.verify(platform.mint(f"t{number}"))) for number in range(16)]
                await asyncio.sleep(0.05)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                with pytest.raises(KeysUnavailableError, match="too many new issuers"):
                    verifier.verify_now(platform.mint("next"))  # never waits here
            return (await verifier.verify(platform.mint("next"))).user_id

        assert asyncio.run(main()) == "next:ada"
        wait_until(lambda: platform.fetches["jwks"] == 17)
