"""The benchmarks do what they say; how fast anything is, no test asserts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidSignature

from benchmarks.compare import peers
from benchmarks.figures import Bar, Effort
from benchmarks.harness import DAY, ISSUER_URL, bare_work, keycloak_token, lowest_decile
from benchmarks.in_process import BareMiddleware, agent_app, requests
from benchmarks.many_tokens import minter, see
from benchmarks.middleware import protection, tokens_of
from benchmarks.over_http import exchange, serving
from benchmarks.peers import PEERS
from benchmarks.verify import verification
from oidcbridge import Verifier
from oidcbridge.testing import FakeIssuer

TINY = Effort(rounds=2, calls=3, http_rounds=2, http_requests=40, token_counts=(2, 5))


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        yield issuer


def test_verification_has_a_bar_for_each_algorithm_and_for_a_token_seen_before(issuer: FakeIssuer) -> None:
    figures = verification(issuer, TINY)
    assert {figure.key: figure.bar.limit for figure in figures if figure.bar} == {
        "cold_await_verify_rs256": 1.12,
        "cold_verify_now_rs256": 1.12,
        "seen_await_verify_rs256": 0.1,
        "seen_verify_now_rs256": 0.1,
        "cold_await_verify_es256": 1.05,
        "cold_verify_now_es256": 1.05,
    }
    assert all(figure.value > 0 for figure in figures)


def test_protection_is_measured_with_new_tokens_seen_ones_streams_and_refusals(issuer: FakeIssuer) -> None:
    figures = protection(issuer, tokens_of(issuer), TINY)
    assert [figure.key for figure in figures if figure.bar] == [
        "added_seen",
        "added_new",
        "added_new_uncached",
        "stream",
        "refused_junk",
        "refused_expired",
        "refused_stranger",
    ]


def test_a_real_uvicorn_serves_each_protection_and_new_tokens_stay_new() -> None:
    figures = serving("plain", TINY)
    assert [(figure.key, str(figure.bar or "")) for figure in figures] == [
        ("http_plain_seen", "≥ 0.97"),
        ("http_plain_least", ""),
        ("http_plain_new", "≥ 0.75"),
        ("http_plain_bare", ""),
    ]
    assert all(figure.value > 0 for figure in figures)


def test_the_http_client_fails_on_an_answer_that_is_no_200() -> None:
    provider = FakeIssuer(url=None)
    with provider.serve():
        port = urlsplit(provider.issuer_url).port
        assert port
        with pytest.raises(RuntimeError, match="404"):
            exchange(port, [b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
        exchange(port, [b"GET /jwks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])


def test_seen_tokens_are_weighed_and_asked_again_within_a_bound_and_without() -> None:
    assert see(30, remembered=30, rounds=2, ask=60).hit > 0
    assert see(30, remembered=10, rounds=2, ask=20).hit > 0


def test_a_million_tokens_would_be_a_million_users_of_the_size_of_keycloaks() -> None:
    issuer = FakeIssuer(ISSUER_URL, algorithms=("EdDSA",))
    token_of = minter(issuer)
    with issuer.impersonate():
        verifier = Verifier(issuer_url=ISSUER_URL, audience="agent-api")
        first, second = (verifier.verify_now(token_of(number)) for number in (1, 2))
    assert first.user_id != second.user_id
    assert token_of(1) == token_of(1)
    assert 800 < len(token_of(1).split(".")[1]) * 3 // 4 < 1000


def test_the_bare_work_refuses_what_it_must_and_so_is_a_verification(issuer: FakeIssuer) -> None:
    verify = bare_work(issuer, "RS256")
    good = keycloak_token(issuer, "RS256")
    assert verify(good)
    other = keycloak_token(issuer, "RS256")
    for bad in (
        keycloak_token(issuer, "RS256", expires_in=-DAY),
        keycloak_token(issuer, "RS256", claims={"iss": "https://other.example.com"}),
        keycloak_token(issuer, "RS256", claims={"aud": ["other"]}),
    ):
        with pytest.raises(ValueError, match=r"exp|iss or aud"):
            verify(bad)
    with pytest.raises(InvalidSignature):
        verify(f"{good.rpartition('.')[0]}.{other.rpartition('.')[2]}")


def test_a_request_that_is_answered_otherwise_than_meant_is_no_measurement(issuer: FakeIssuer) -> None:
    tokens = [keycloak_token(issuer, "RS256")]
    app = BareMiddleware(agent_app(), bare_work(issuer, "RS256"))
    assert requests(app, "/agents", tokens)(2) > 0
    with pytest.raises(RuntimeError, match="answered 200, not 401"):
        requests(app, "/agents", tokens, status=401)(1)


def test_every_peer_has_a_row_with_figures_or_with_the_reason_why_not(issuer: FakeIssuer) -> None:
    rows = {row.name: row for row in peers(issuer, TINY)}
    assert set(rows) == set(PEERS)
    for name in ("PyJWT", "joserfc"):  # of the test environment itself
        assert {"RS256", "ES256"} == set(rows[name].figures)
    assert all(bool(row.figures) != bool(row.reason) for row in rows.values())


def test_a_peer_that_breaks_is_reported_with_its_error(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError("no such key")

    monkeypatch.setattr("benchmarks.peers.joserfc.verifier", broken)
    rows = {row.name: row for row in peers(issuer, TINY)}
    assert rows["joserfc"].reason == "failed: LookupError: no such key"
    assert rows["PyJWT"].figures


def test_a_bar_is_at_most_or_at_least() -> None:
    assert Bar(1.12).holds(1.12)
    assert not Bar(1.12).holds(1.13)
    assert Bar(0.97, at_least=True).holds(0.97)
    assert not Bar(0.97, at_least=True).holds(0.96)


def test_the_lowest_decile_is_unmoved_by_rounds_that_were_disturbed() -> None:
    assert lowest_decile([5.0, 5.0, 5.1, 90.0, 200.0]) == pytest.approx(5.0)
    assert lowest_decile([7.0]) == pytest.approx(7.0)
