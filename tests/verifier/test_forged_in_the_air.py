"""A forged token that meets a refresh in the air is a bad token, and no fault of a provider that answers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import TokenError
from oidcbridge.testing import Clock, FakeKey
from tests.faults.kit import eventually
from tests.remote.asking import settle
from tests.remote.hostile import PATIENCE, HeldIssuer


def waiters(verifier: Verifier) -> int:
    return verifier.metrics().issuers[0].waiters


@pytest.mark.parametrize("withdrawn", [True, False])
def test_a_forgery_under_a_kid_that_is_withdrawn_meanwhile_is_a_bad_token_as_under_one_that_stays(
    withdrawn: bool,
) -> None:
    issuer = HeldIssuer(clock=Clock())
    with issuer.serve(), issuer.verifier() as verifier, ThreadPoolExecutor(2) as pool:
        settle(verifier)
        forged = issuer.mint("eve", key=FakeKey.generate("ES256", kid=issuer.signing_key().kid))
        issuer.rotate()
        if withdrawn:
            issuer.retire()
        with issuer.hold():
            refresh = pool.submit(asyncio.run, verifier.refresh(force=True))
            issuer.wait_until_held()
            refreshing = waiters(verifier)
            request = pool.submit(verifier.verify_now, forged)
            eventually(lambda: waiters(verifier) > refreshing)
        refresh.result(PATIENCE)
        with pytest.raises(TokenError):
            request.result(PATIENCE)
        assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"
