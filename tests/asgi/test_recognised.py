"""A token that was verified before is let in by a look-up alone; nothing but that token is, and no rule is left out."""

from __future__ import annotations

import pytest

from oidcbridge import OIDCMiddleware, Principal, Verifier
from oidcbridge.errors import RevokedTokenError
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Headers, Probe, ask, bearer, guarded


class Revoking(Verifier):
    """A user's own verifier, with a rule of its own."""

    revoked = False

    async def verify(self, token: str) -> Principal:
        principal = await super().verify(token)
        if self.revoked:
            raise RevokedTokenError("logged out")
        return principal


def test_what_a_subclass_adds_to_verify_holds_for_tokens_seen_before_too(issuer: FakeIssuer, probe: Probe) -> None:
    verifier = Revoking(issuer_url=issuer.issuer_url, audience=issuer.audience)
    app = OIDCMiddleware(probe, verifier)
    headers = bearer(issuer.mint("ada"))
    assert [ask(app, headers=headers).status for _ in range(2)] == [200, 200]
    verifier.revoked = True
    assert ask(app, headers=headers).status == 401


@pytest.mark.parametrize("change", ["{}.", "{}=", "{} ", " {}", "{}\xa0", "\xe9{}", "{},{}", "{}\x00"])
def test_only_the_very_token_is_recognised(issuer: FakeIssuer, probe: Probe, change: str) -> None:
    app, token = guarded(issuer, probe), issuer.mint("ada")
    assert ask(app, headers=bearer(token)).status == 200
    changed: Headers = [("Authorization", "Bearer " + change.replace("{}", token))]
    probe.scopes.clear()
    status = ask(app, headers=changed).status
    assert status == (200 if change == " {}" else 401 if change in ("{}.", "{}=") else 400)
    assert len(probe.scopes) == (status == 200)  # RFC 6750 lets any number of spaces stand before the token


def test_a_header_that_stands_twice_is_no_credential_though_both_are_known(issuer: FakeIssuer, probe: Probe) -> None:
    app, one = guarded(issuer, probe), bearer(issuer.mint("ada"))
    assert ask(app, headers=one).status == 200
    assert ask(app, headers=[*one, *one]).status == 400


def test_hits_and_misses_are_counted_once_a_request(issuer: FakeIssuer, probe: Probe) -> None:
    verifier = issuer.verifier()
    app = OIDCMiddleware(probe, verifier)
    for token in (issuer.mint("ada"), issuer.mint("bob")):
        for _ in range(3):
            assert ask(app, headers=bearer(token)).status == 200
    metrics = verifier.metrics()
    assert (metrics.token_cache_hits, metrics.token_cache_misses) == (4, 2)
