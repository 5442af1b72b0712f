"""``X-Forwarded-*`` and its kind are anybody's words: the server's scope alone says where a request was sent."""

from __future__ import annotations

import pytest

from oidcbridge import TokenSource
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Probe, ask, ask_websocket, cookie, guarded

EVIL = "https://evil.example"
CLAIMED = [
    [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")],
    [("X_Forwarded_Host", "evil.example"), ("X_Forwarded_Proto", "https")],
    [("Forwarded", "for=127.0.0.1;host=evil.example;proto=https")],
    [("X-Original-Host", "evil.example"), ("X-Forwarded-Scheme", "https"), ("X-Forwarded-Port", "443")],
    [("X-Host", "evil.example"), ("X-Forwarded-Server", "evil.example"), ("Front-End-Https", "on")],
    [("X-Forwarded-Origin", "http://agents.example"), ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1")],
    [("Referer", "http://agents.example/"), ("X-Origin", "http://agents.example")],
    [("X-Forwarded-User", "ada"), ("X-Remote-User", "ada"), ("X-Forwarded-Prefix", "/health")],
]


@pytest.mark.parametrize("claimed", CLAIMED, ids=lambda claimed: claimed[0][0])
def test_no_forwarded_header_makes_another_site_ours(
    issuer: FakeIssuer, probe: Probe, claimed: list[tuple[str, str]]
) -> None:
    app = guarded(issuer, probe, token_source=TokenSource.COOKIE, excluded_route_paths=["/health"])
    sent = [("Host", "agents.example"), *cookie(issuer.mint("ada")), *claimed]
    foreign, own = ("Origin", EVIL), ("Origin", "http://agents.example")
    assert ask(app, method="POST", headers=[*sent, foreign]).status == 403
    assert ask_websocket(app, headers=[*sent, foreign]).status == 403
    assert ask(app, method="POST", headers=claimed).status == 401
    assert probe.scopes == []
    assert ask(app, method="POST", headers=[*sent, own]).status == 200
    assert ask_websocket(app, headers=[*sent, own]).status == 101


def test_the_servers_own_word_counts(issuer: FakeIssuer) -> None:
    """A server that trusts its proxy puts what that says into the scope."""
    app = guarded(issuer, token_source=TokenSource.COOKIE)
    sent = [("Host", "agents.example"), *cookie(issuer.mint("ada")), ("Origin", "https://agents.example")]
    assert ask(app, method="POST", headers=sent, scheme="https").status == 200
    assert ask(app, method="POST", headers=sent, scheme="http").status == 403
