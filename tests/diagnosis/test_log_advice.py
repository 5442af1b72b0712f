"""Advice in the log: seldom, bounded, harmless, about the right issuer, and no cost to those who are let in."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from oidcbridge import Issuer, OIDCMiddleware, TokenSource, Verifier
from oidcbridge.arguments import DynamicIssuers
from oidcbridge.diagnosis import log_advice
from oidcbridge.diagnosis.log_advice import LogAdvice
from oidcbridge.errors import (
    AudienceMismatchError,
    ExpiredTokenError,
    KeysUnavailableError,
    MalformedTokenError,
    OIDCBridgeError,
    TokenError,
)
from oidcbridge.settings import IssuerSettings, resolve
from oidcbridge.testing import FakeIssuer
from tests.asgi.kit import Probe, ask, bearer, cookie, guarded

pytestmark = pytest.mark.usefixtures("environment")

NOT_OURS = AudienceMismatchError("aud () does not name ['agent-api']", claim="aud")


class Watch:
    """Monotonic seconds, and how often a token was looked at."""

    def __init__(self, *issuers: IssuerSettings) -> None:
        self.now = 1000.0
        self.looks = 0
        self._advice = LogAdvice(lambda: issuers, lambda: self.now)

    def about(self, error: OIDCBridgeError, token: str) -> str:
        """What is put behind the error in the log."""
        return self._advice.about(error, lambda: self._look_at(token))

    def _look_at(self, token: str) -> str:
        self.looks += 1
        return token


def _settings(issuer_url: str) -> IssuerSettings:
    return resolve({"issuer_url": issuer_url, "audience": "agent-api"}, {}).issuers[0]


ACME, OTHER = FakeIssuer("https://id.example.com/realms/acme"), FakeIssuer("https://sso.example.com/realms/other")
OF_ACME, OF_OTHER = ACME.mint("ada", audience="x"), OTHER.mint("ada", audience="x")


@pytest.fixture
def watch() -> Watch:
    return Watch(_settings(ACME.issuer_url), _settings(OTHER.issuer_url))


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("https://teach.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


def test_the_same_advice_about_the_same_issuer_is_given_once_a_minute(watch: Watch) -> None:
    assert "audience mapper says so" in watch.about(NOT_OURS, OF_ACME)
    assert "audience mapper says so" in watch.about(NOT_OURS, OF_OTHER)
    for later in (0.0, 30.0, 29.0):
        watch.now += later
        assert (watch.about(NOT_OURS, OF_ACME), watch.about(NOT_OURS, OF_OTHER)) == ("", "")
    expired = watch.about(ExpiredTokenError("the token expired 90 s ago", claim="exp"), OF_ACME)
    assert expired.startswith(" -> get a new token"), "another piece of advice does not wait"
    watch.now += 1.0
    assert "audience mapper says so" in watch.about(NOT_OURS, OF_ACME)


def test_a_flood_is_looked_at_five_times_in_ten_seconds_and_hides_no_other_kind_of_fault(watch: Watch) -> None:
    junk = MalformedTokenError("not three parts")
    for _ in range(10_000):
        watch.about(junk, "junk")
    assert watch.looks == 5
    assert (watch.about(NOT_OURS, OF_ACME) != "", watch.looks) == (True, 6)
    watch.now += 9.9
    assert (watch.about(junk, "junk"), watch.looks) == ("", 6)
    watch.now += 0.1
    assert (watch.about(junk, "junk"), watch.looks) == ("", 7), "looked at, and said less than a minute ago"


def test_an_outage_is_nothing_about_a_token(watch: Watch) -> None:
    assert (watch.about(KeysUnavailableError("no keys"), OF_ACME), watch.looks) == ("", 0)


def test_what_was_said_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    monkeypatch.setattr(log_advice, "_MOST_SILENCES", 1)
    assert watch.about(NOT_OURS, OF_ACME) != ""
    assert watch.about(NOT_OURS, OF_ACME) == ""
    assert watch.about(NOT_OURS, OF_OTHER) != ""
    assert watch.about(NOT_OURS, OF_ACME) != "", "forgotten, and said once more"


def _line(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = [record for record in caplog.records if record.name == "oidcbridge.asgi"]
    return record.getMessage()


def test_a_refusal_says_what_mends_it_once_and_then_only_what_it_was(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app, token = guarded(issuer), issuer.mint("ada", audience="other")
    lines = []
    for _ in range(3):
        caplog.clear()
        ask(app, headers=bearer(token))
        lines.append(_line(caplog))
    assert lines[0].partition(" -> ")[2].startswith("the token is for other: have the client ask for this API")
    assert lines[0].partition(" -> ")[0] == lines[1] == lines[2]


def test_the_first_refusal_teaches_where_logging_was_never_set_up(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    app = guarded(issuer)
    ask(app, headers=bearer(issuer.mint("ada", audience="other")))
    assert "OIDCBRIDGE_AUDIENCE" in _line(caplog)


def test_advice_is_looked_up_for_lines_that_are_written_and_for_no_others(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[TokenError] = []

    def about(_self: LogAdvice, error: TokenError, _read_token: object) -> str:
        if isinstance(error, TokenError):
            looked_at.append(error)
        return ""

    monkeypatch.setattr(LogAdvice, "about", about)
    app = guarded(issuer)
    caplog.set_level(logging.WARNING)
    ask(app, headers=bearer(issuer.mint("ada")))
    assert (ask(app).status, looked_at) == (401, [])
    for _ in range(5):
        ask(app, headers=bearer(issuer.mint("ada", audience="other")))
        ask(app, headers=bearer(issuer.mint("ada", expires_in=-900)))
    assert [error.code for error in looked_at] == ["audience_mismatch"]
    caplog.set_level(logging.CRITICAL)
    ask(guarded(issuer), headers=bearer("junk"))
    assert len(looked_at) == 1
    caplog.set_level(logging.INFO)
    ask(app, headers=bearer(issuer.mint("ada", expires_in=-900)))
    assert [error.code for error in looked_at] == ["audience_mismatch", "token_expired"]


def test_a_cookies_token_is_advised_on_too_and_is_not_in_the_line(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    app, token = guarded(issuer, token_source=TokenSource.COOKIE), issuer.mint("ada", audience="other")
    assert ask(app, headers=cookie(token)).status == 401
    assert " -> the token is for other" in _line(caplog)
    assert [part for part in (token, *token.split(".")) if part in _line(caplog)] == []


def test_a_header_longer_than_any_token_is_refused_without_advice(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(guarded(issuer), headers=bearer("a" * 200_000))
    assert (answer.status, "malformed_token" in _line(caplog), " -> " in _line(caplog)) == (401, True, False)


def test_a_line_stays_short_whatever_the_token_says(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    hostile = [f"\x1b[2J\r\n{number}" + "x" * 190 for number in range(40)]
    ask(guarded(issuer), headers=bearer(issuer.mint("ada", audience=hostile)))
    line = _line(caplog)
    assert " -> the token is for " in line
    assert (line.isascii(), line.isprintable(), len(line) < 1_500) == (True, True, True)


def test_of_several_issuers_the_one_that_the_token_names_is_advised_on(caplog: pytest.LogCaptureFixture) -> None:
    acme = Issuer(issuer_url=ACME.issuer_url, audience="acme-api", name="acme")
    other = Issuer(issuer_url=OTHER.issuer_url, audience="other-api", name="other")
    with ACME.impersonate(), OTHER.impersonate(), Verifier(issuers=[acme, other]) as verifier:
        app = OIDCMiddleware(Probe(), verifier)
        assert ask(app, headers=bearer(OF_OTHER)).status == 401
        assert "Included Custom Audience = other-api" in _line(caplog)
        caplog.clear()
        slash = OTHER.mint("ada", claims={"iss": f"{OTHER.issuer_url}/"})
        assert ask(app, headers=bearer(slash)).status == 401
        assert f'write issuer_url="{OTHER.issuer_url}/"' in _line(caplog), "none of them was named; one was meant"


def test_a_tenant_without_a_place_is_not_taken_for_another_issuer(caplog: pytest.LogCaptureFixture) -> None:
    rule = DynamicIssuers(allow="https://{tenant}.id.example.com/", audience="tenant-api")
    tenant = FakeIssuer("https://blue.id.example.com/", provider="generic")
    acme = Issuer(issuer_url=ACME.issuer_url, audience="acme-api", name="acme")
    with ACME.impersonate(), tenant.impersonate(), Verifier(issuers=[acme, rule]) as verifier:
        app = OIDCMiddleware(Probe(), verifier)
        assert ask(app, headers=bearer(tenant.mint("ada", audience="other"))).status == 401
        assert ("audience_mismatch" in _line(caplog), "acme" in _line(caplog)) == (True, False)
        assert ask(app, headers=bearer(tenant.mint("ada", audience="tenant-api"))).status == 200
        caplog.clear()
        caplog.set_level(logging.INFO)
        assert ask(app, headers=bearer(tenant.mint("ada", audience="other"))).status == 401
        assert " -> the token is for other" in _line(caplog), "it has its place now, and its settings are known"


def test_without_verification_nothing_is_advised(caplog: pytest.LogCaptureFixture) -> None:
    app = OIDCMiddleware(Probe(), validate=False)
    assert ask(app, headers=bearer("junk")).status == 401
    assert " -> " not in _line(caplog)
