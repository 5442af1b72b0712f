"""Keys rotate and Keycloak goes away while 20 clients keep asking two workers: no good token is refused.

Good is a token whose key stands in the JWKS that Keycloak serves as the request arrives. All settings are defaults.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from oidcbridge.testing import FakeIssuer
from tests.e2e.agent_server import WORKER, AgentServer
from tests.e2e.keycloak_server import KeycloakServer
from tests.e2e.traffic import HealthWatch, Traffic

WORKERS = 2
REFILL = 10.0  # seconds in which the budget for unknown keys gains one fetch
BACKOFF = 60.0  # seconds: the longest pause between two attempts while a provider is down
SOFT = 60.0  # seconds: Keycloak says no-cache, which we read as the lower bound of freshness


@pytest.fixture
def agent(keycloak: KeycloakServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentServer]:
    log = tmp_path_factory.mktemp("agent") / "log"
    with AgentServer(keycloak.issuer_url, log, workers=WORKERS) as server:
        yield server


def signing_key(keycloak: KeycloakServer) -> str:
    """The component id of the key that signs RS256 tokens now."""
    active = {key["kid"]: key["providerId"] for key in keycloak.realm_keys() if key["use"] == "SIG"}
    kid: str = keycloak.admin("GET", "/keys").json()["active"]["RS256"]
    return str(active[kid])


def new_token(keycloak: KeycloakServer, client: str = "agent-ui") -> str:
    token: str = keycloak.password_token(client, "ada", "ada-pw")["access_token"]
    return token


def test_no_good_token_is_refused_while_keys_rotate(
    keycloak: KeycloakServer, agent: AgentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = Traffic(f"{agent.base_url}/whoami")
    first = signing_key(keycloak)
    keycloak.remove_keys("ES256")  # other tests may have asked for the first ES256 token before
    traffic.tokens = {"old": new_token(keycloak)}
    old_token = traffic.tokens["old"]

    def rotate() -> None:
        keycloak.rotate_key("RS256", priority=200)
        traffic.tokens |= {"new": new_token(keycloak)}
        keycloak.set_key(first, active=False)  # passive: listed, and its tokens in flight stay good

    def withdraw_old() -> None:
        del traffic.tokens["old"]  # from the next line on such a token is not good any more
        time.sleep(0.5)
        keycloak.set_key(first, enabled=False)

    def rotate_again() -> None:
        second = signing_key(keycloak)
        keycloak.rotate_key("RS256", priority=300)
        traffic.tokens |= {"newer": new_token(keycloak)}
        keycloak.set_key(second, active=False)

    def first_es256() -> None:
        traffic.tokens |= {"es256": new_token(keycloak, "agent-es")}

    async def story() -> float:
        async with traffic.flowing():
            await traffic.change("rotation", rotate, then=REFILL)
            await traffic.change("old key withdrawn", withdraw_old, then=0)
            withdrawn = time.monotonic()
            await traffic.change("second rotation", rotate_again, then=REFILL)
            await traffic.change("first ES256 token", first_es256, then=REFILL)
            while (await asyncio.to_thread(agent.get, "/whoami", old_token)).status_code == 200:
                assert time.monotonic() - withdrawn < SOFT + 5, "the withdrawn key's tokens still pass"
                await asyncio.sleep(0.5)
            return time.monotonic() - withdrawn

    lived_on = asyncio.run(story())
    with capsys.disabled():
        print(f"\n{traffic.report('rotation')}; refused good tokens: {len(traffic.refused())}")
        print(f"rotation: the withdrawn key's token was refused {lived_on:.0f} s after the withdrawal")
    assert traffic.refused() == []
    assert {answer.token_name for answer in traffic.answered} == {"old", "new", "newer", "es256"}
    assert all(traffic.rate_around(change) >= 50 for change in traffic.changes)
    assert len(traffic.by_worker()) == WORKERS


def test_known_keys_go_on_until_both_workers_are_degraded_and_an_unknown_key_is_503(
    keycloak: KeycloakServer, agent: AgentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = Traffic(f"{agent.base_url}/whoami")
    traffic.tokens = {"known": new_token(keycloak)}
    health = HealthWatch(agent, traffic.tokens["known"])
    unseen: list[str] = []
    during: list[tuple[int, str | None]] = []

    def rotate_and_stop() -> None:
        keycloak.rotate_key("RS256", priority=400)
        unseen.append(new_token(keycloak))
        keycloak.stop()

    def ask_both_workers_with_the_unseen_key() -> None:
        asked: set[str] = set()
        deadline = time.monotonic() + 10
        while len(asked) < WORKERS:
            assert time.monotonic() < deadline, "one worker could not be reached"
            answer = agent.get("/whoami", unseen[0])
            asked.add(answer.headers[WORKER])
            during.append((answer.status_code, answer.headers.get("retry-after")))

    def the_unseen_key_is_never_401() -> None:
        assert agent.get("/whoami", unseen[0]).status_code in (200, 503)

    async def story() -> None:
        await asyncio.to_thread(health.wait_until_all_say, "fresh", workers=WORKERS, within=10)
        async with traffic.flowing():
            await traffic.change("outage", rotate_and_stop, then=1)
            await asyncio.to_thread(ask_both_workers_with_the_unseen_key)
            await asyncio.to_thread(health.wait_until_all_say, "degraded", workers=WORKERS, within=SOFT + 10)
            await traffic.change("both degraded", ask_both_workers_with_the_unseen_key, then=5)
            await traffic.change("recovery", keycloak.start, then=0)
            # A worker asks again after its own backoff, a minute at most.
            await asyncio.to_thread(
                health.wait_until_all_say,
                "fresh",
                workers=WORKERS,
                within=BACKOFF + 5,
                meanwhile=the_unseen_key_is_never_401,
            )
            traffic.tokens |= {"unseen": unseen[0]}
            await traffic.change("both fresh again", lambda: None, then=3)

    asyncio.run(story())
    rate = traffic.rate_between("outage", "recovery")
    with capsys.disabled():
        print(f"\n{traffic.report('outage')}; refused good tokens: {len(traffic.refused())}; unknown key: {during}")
        print(f"outage: {rate:.0f} requests/s until the recovery; {health.report(traffic.changes['outage'])}")
    assert traffic.refused() == []
    assert rate >= 50
    assert all(traffic.rate_around(change) >= 50 for change in traffic.changes)
    assert len(traffic.by_worker()) == WORKERS
    assert {answer.token_name for answer in traffic.answered} == {"known", "unseen"}
    assert {state for states in health.seen.values() for state, _ in states} <= {"fresh", "stale", "degraded"}
    assert {status for status, _ in during} == {503}
    assert all(seconds is not None and 1 <= int(seconds) <= 300 for _, seconds in during)
    assert "known keys go on" in agent.log
    assert agent.log.count("fetching keys failed") <= WORKERS, "said once by each worker, not for each request"


def test_a_forged_key_is_401_while_keycloak_is_up_and_503_while_it_cannot_be_asked(
    keycloak: KeycloakServer, agent: AgentServer
) -> None:
    forger = FakeIssuer(keycloak.issuer_url, audience="agent-api")
    agent.get("/whoami", new_token(keycloak)).raise_for_status()
    assert agent.get("/whoami", forger.mint("ada")).status_code == 401
    keycloak.stop()
    try:
        assert agent.get("/whoami", forger.mint("ada", key=forger.rotate("RS256"))).status_code == 503
    finally:
        keycloak.start()
