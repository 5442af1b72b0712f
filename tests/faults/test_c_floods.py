"""C: abuse in numbers. What a flood of forged tokens makes us ask of a provider is a trickle, and nobody else pays."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat

from oidcbridge import Issuer, OIDCMiddleware, Verifier
from oidcbridge.errors import BadSignatureError, KeyNotFoundError, UnknownIssuerError
from oidcbridge.testing import Clock
from tests.asgi.kit import Probe, ask, bearer
from tests.faults.forging import Forger, refuse_all, resident_bytes
from tests.faults.kit import health, stopwatch
from tests.faults.table import Row, scenario
from tests.faults.watching import Watcher
from tests.remote.asking import settle, unavailable
from tests.remote.hostile import HeldIssuer


@scenario("C25")
def test_c25_random_kids_cost_nothing_from_another_issuer_and_the_budget_where_they_are_plausible(
    real_time_issuer: HeldIssuer, row: Row
) -> None:
    issuer, forger = real_time_issuer, Forger(real_time_issuer)
    kids = [secrets.token_hex(8) for _ in range(100_000)]
    with issuer.verifier() as verifier:
        refuse_all(verifier, (forger.forge(kid, iss="https://evil.example") for kid in kids), UnknownIssuerError)
        assert issuer.fetches.total() == 0
        settle(verifier)
        with stopwatch() as watch:
            refuse_all(verifier, map(forger.forge, kids))
        spent = issuer.fetches["jwks"] - 1
        assert 2 <= spent <= 2 + watch.seconds / 10
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    row.saw(f"all 401; 0 fetches for another iss, {spent} in {watch.seconds:.0f} s if plausible", issuer.fetches)


@scenario("C26")
def test_c26_one_unknown_kid_costs_one_fetch_in_thirty_seconds_however_often_it_comes(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, watcher: Watcher, row: Row
) -> None:
    token = Forger(issuer).forge("nobody")
    for pause, expected in ((0, 2), (29.5, 2), (1, 3), (29, 3)):
        clock.advance(pause)
        refuse_all(verifier, repeat(token, 25_000))
        assert issuer.fetches["jwks"] == expected
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    assert watcher.of("unknown_kid") == [{"kid": "nobody", "result": "absent"}] * 2
    assert verifier.metrics().issuers[0].negative_hits == 100_000 - 2
    row.saw("all 401, one fetch in 30 s", issuer.fetches)


@scenario("C27")
def test_c27_bad_signatures_under_a_known_kid_cost_one_fetch_a_minute_and_none_from_a_budget_in_use(
    clock: Clock, row: Row
) -> None:
    issuer = HeldIssuer(clock=clock, algorithms=("RS256",))
    with issuer.serve(), issuer.verifier() as verifier:
        settle(verifier)
        forged = Forger(issuer, "RS256").forge(issuer.signing_key().kid)
        for pause, size, expected in ((0.0, 20_000, 1), (61.0, 40_000, 2), (59.0, 20_000, 2), (2.0, 20_000, 3)):
            clock.advance(pause)
            refuse_all(verifier, repeat(forged, size), BadSignatureError)
            assert issuer.fetches["jwks"] == expected
        # An unknown kid takes one of the two, and its fetch fails: the keys stay old enough to be suspected.
        clock.advance(61)
        issuer.status, issuer.jwks_headers = 503, {"retry-after": "9"}
        unavailable(verifier, Forger(issuer, "RS256").forge("nobody"))
        issuer.status = None
        for pause, expected in ((9.5, 4), (1.0, 5)):  # the backoff is over both times, the bucket is full the second
            clock.advance(pause)
            refuse_all(verifier, repeat(forged, 500), BadSignatureError)
            assert issuer.fetches["jwks"] == expected
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    row.saw("all 401, one fetch a minute, none while the bucket was not full", issuer.fetches)


@scenario("C29")
def test_c29_kids_and_issuers_that_never_repeat_leave_nothing_behind(
    issuer: HeldIssuer, verifier: Verifier, clock: Clock, row: Row
) -> None:
    """Half a million of each. The memory of absent kids is filled in the one way there is: 2,000 that come at once."""
    forger = Forger(issuer)

    def kids(count: int) -> Iterator[str]:
        return (secrets.token_hex(100) for _ in range(count))

    refuse_all(verifier, map(forger.forge, kids(2_000)))  # what is made once, and the budget
    before = resident_bytes()
    refuse_all(verifier, map(forger.forge, kids(500_000)))
    issuers = (f"https://{name}.example" for name in kids(500_000))
    refuse_all(verifier, (forger.forge("k", iss=name) for name in issuers), UnknownIssuerError)
    assert resident_bytes() - before < 5_000_000
    assert (issuer.fetches["jwks"], verifier.issuer_urls) == (3, (issuer.issuer_url,))

    verifier.pause()  # no refresh is left over from the flood
    clock.advance(20)
    crowd = list(map(forger.forge, kids(2_000)))
    refuse_all_at_once(verifier, issuer, crowd)
    assert issuer.fetches["jwks"] == 5  # one began before most of them came, and proves nothing to those
    clock.advance(10)
    refuse_all(verifier, crowd)
    assert issuer.fetches["jwks"] == 6  # those of them that had been forgotten were worth the one fetch there was
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
    row.saw("less than 5 MB more; 2,000 absent kids were not all remembered", issuer.fetches)


def refuse_all_at_once(verifier: Verifier, issuer: HeldIssuer, tokens: list[str]) -> None:
    """Every one of ``tokens`` waits, and is refused by what the fetches bring."""

    async def main() -> list[object]:
        with issuer.hold():
            waiting = asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)
            await asyncio.to_thread(issuer.wait_until_held)
        return list(await waiting)

    assert {type(outcome) for outcome in asyncio.run(main())} == {KeyNotFoundError}


@scenario("C33")
def test_c33_a_flood_at_one_issuer_keeps_no_rotation_of_another_waiting(clock: Clock, row: Row) -> None:
    """Then at nine more of them, which together may not take what is left of the process's budget from the honest one.

    And then at twenty, where that budget is what holds.
    """
    honest, *flooded = (HeldIssuer(clock=clock) for _ in range(21))
    with ExitStack() as stack:
        for issuer in (honest, *flooded):
            stack.enter_context(issuer.serve())
        names = {issuer.issuer_url: f"issuer-{n}" for n, issuer in enumerate((honest, *flooded))}
        issuers = [Issuer(issuer_url=url, audience="agent-api", name=name) for url, name in names.items()]
        verifier = stack.enter_context(Verifier(issuers=issuers, clock=clock))
        settle(verifier)

        def flood(some: list[HeldIssuer], size: int) -> int:
            """What the flooded issuers have seen of it ever since."""
            for issuer in some:
                refuse_all(verifier, map(Forger(issuer).forge, (secrets.token_hex(8) for _ in range(size))))
            return sum(issuer.fetches["jwks"] - 1 for issuer in flooded)

        def rotate() -> None:
            honest.rotate()
            assert verifier.verify_now(honest.mint("ada")).user_id == "issuer-0:ada"

        for _ in range(2):
            assert flood(flooded[:1], 5_000) == 2
            rotate()
        verifier.pause()  # no refresh is left over from it
        clock.advance(20)
        assert flood(flooded[1:10], 100) < 20
        rotate()
        assert flood(flooded[1:], 100) == 2 + 20 - 1  # by the first flood, and all that there is but for the rotation
        assert honest.fetches["jwks"] == 1 + 3
        assert verifier.verify_now(flooded[0].mint("bob")).user_id == "issuer-1:bob"
    row.saw(
        "three rotations accepted in that request; 20 fetches in 10 s for all", f"{honest.fetches['jwks']} jwks at B"
    )


@scenario("C34")
def test_c34_an_unknown_kid_beyond_the_budget_is_a_bad_token_and_no_fault_of_a_healthy_provider(
    issuer: HeldIssuer, verifier: Verifier, watcher: Watcher, row: Row
) -> None:
    app, forger = OIDCMiddleware(Probe(), verifier=verifier), Forger(issuer)
    answers = [ask(app, headers=bearer(forger.forge(secrets.token_hex(8)))) for _ in range(1_000)]
    assert {(one.status, one.header("retry-after")) for one in answers} == {(401, None)}
    assert {one.json()["code"] for one in answers} == {"invalid_token"}
    assert issuer.fetches["jwks"] == 3  # two were looked for, 998 were suppressed
    assert (health(verifier).state, health(verifier).failures) == ("fresh", 0)
    assert watcher.of("refresh_suppressed") == [{"next_try_in": 10.0}]
    assert verifier.metrics().issuers[0].suppressed == 998
    assert ask(app, headers=bearer(issuer.mint("ada"))).status == 200
    row.saw("998 suppressed, each a 401", issuer.fetches)
