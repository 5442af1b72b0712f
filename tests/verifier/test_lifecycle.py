"""Warming a verifier up, pausing it and closing it."""

from __future__ import annotations

import asyncio

import pytest
import trio

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import (
    DiscoveryError,
    KeysUnavailableError,
    ProviderError,
    VerifierClosedError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.verifier.ways import WAYS, Verify


def test_it_fetches_so_that_no_request_has_to_wait(issuer: FakeIssuer) -> None:
    async def start_up() -> None:
        async with issuer.verifier() as verifier:
            await verifier.warm()
            fetched = issuer.fetches.total()
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"  # never waits on this thread
            assert issuer.fetches.total() == fetched == 2
            await verifier.warm(strict=True)
            assert issuer.fetches.total() == fetched

    asyncio.run(start_up())


def test_it_works_on_trio(issuer: FakeIssuer) -> None:
    async def start_up() -> None:
        async with issuer.verifier() as verifier:
            await verifier.warm(strict=True)
            assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"

    trio.run(start_up)


def test_strictly_it_raises_the_cause_each_time_it_is_asked(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier, issuer.outage():
        for _ in range(3):  # also while the backoff after the first failure runs
            with pytest.raises(DiscoveryError, match="down"):
                asyncio.run(verifier.warm(strict=True))


def test_otherwise_it_logs_and_lets_the_app_start(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    with issuer.verifier() as verifier:
        with issuer.outage():
            asyncio.run(verifier.warm())
        assert "there are no keys yet" in caplog.text
        with pytest.raises(KeysUnavailableError):
            verifier.verify_now(issuer.mint())


def test_a_failed_look_for_an_unknown_key_does_not_make_good_keys_bad(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        asyncio.run(verifier.warm(strict=True))
        with issuer.outage(), pytest.raises(KeysUnavailableError):
            verifier.verify_now(issuer.mint(key=FakeKey.generate("ES256")))
        asyncio.run(verifier.warm(strict=True))


def test_a_provider_that_hangs_is_given_up_in_time(issuer: FakeIssuer) -> None:
    issuer.slow = 60
    with issuer.verifier(fetch=FetchOptions(deadline=0.1)) as verifier, pytest.raises(ProviderError):
        asyncio.run(verifier.warm(strict=True))


def test_it_can_be_begun_without_waiting(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        verifier.start_warming()
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
        assert issuer.fetches["jwks"] == 1


@WAYS
def test_a_closed_verifier_refuses_all_use(issuer: FakeIssuer, verify: Verify) -> None:
    verifier = issuer.verifier()
    token = issuer.mint("ada")
    assert verify(verifier, token).user_id == "ada"
    verifier.close()
    verifier.close()
    for unknown_or_remembered in (token, issuer.mint("bob")):
        with pytest.raises(VerifierClosedError):
            verify(verifier, unknown_or_remembered)
    with pytest.raises(VerifierClosedError):
        asyncio.run(verifier.warm())
    with pytest.raises(VerifierClosedError):
        verifier.start_warming()


def test_both_kinds_of_with_close_it(issuer: FakeIssuer) -> None:
    with issuer.verifier() as plain:
        assert plain.verify_now(issuer.mint("ada")).user_id == "ada"

    async def use() -> Verifier:
        async with issuer.verifier() as verifier:
            assert (await verifier.verify(issuer.mint("ada"))).user_id == "ada"
            return verifier

    for closed in (plain, asyncio.run(use())):
        with pytest.raises(VerifierClosedError):
            closed.verify_now(issuer.mint())


def test_closed_it_still_says_what_it_knows_and_asks_for_nothing(issuer: FakeIssuer) -> None:
    used, unused = issuer.verifier(), issuer.verifier()
    used.verify_now(issuer.mint())
    used.close()
    unused.close()
    before = issuer.fetches.total()
    assert [metadata.issuer for metadata in used.metadata()] == [issuer.issuer_url]
    assert unused.metadata() == ()
    assert issuer.fetches.total() == before


def test_a_paused_one_goes_on_with_the_next_use(issuer: FakeIssuer, clock: Clock) -> None:
    with issuer.verifier() as verifier:
        for user in ("ada", "bob"):  # as with two test clients on one app
            assert verifier.verify_now(issuer.mint(user)).user_id == user
            verifier.pause()
            clock.advance(700)
        assert issuer.fetches["jwks"] == 2


def test_its_name_shows_its_issuers_and_no_more(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        assert repr(verifier) == f"Verifier(issuers=['{issuer.issuer_url}'])"
