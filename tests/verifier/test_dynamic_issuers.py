"""Issuers by a rule: who is let in, under which name, and what may be written."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from oidcbridge import ConfigurationError, DynamicIssuers, Issuer, Verifier
from oidcbridge.errors import AudienceMismatchError, ExpiredTokenError, KeyNotFoundError, UnknownIssuerError
from oidcbridge.testing import OMIT, Clock, FakeIssuer, FakeKey
from tests.verifier.platform import ORIGIN, PATTERN, Platform, Rule, tenants, user_of


@pytest.fixture
def verifier(platform: Platform, clock: Clock) -> Iterator[Verifier]:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        yield verifier


def test_equal_subjects_of_two_tenants_are_two_users(platform: Platform, verifier: Verifier) -> None:
    users = [user_of(verifier, platform.mint(tenant, "ada")) for tenant in ("acme", "other", "acme.ada", "client-x")]
    assert users == ["acme:ada", "other:ada", "acme.ada:ada", "client-x:ada"]
    machine = platform.mint("acme", "svc", client_id="svc")
    assert user_of(verifier, machine) == "acme:client:svc"


def test_a_tenant_s_token_counts_for_its_own_audience_and_key_set(platform: Platform, verifier: Verifier) -> None:
    for wrong, error in (
        ({"audience": "other-api"}, AudienceMismatchError),
        ({"key": FakeKey.generate("ES256")}, KeyNotFoundError),
        ({"expires_in": -600}, ExpiredTokenError),
    ):
        with pytest.raises(error):
            verifier.verify_now(platform.mint("acme", **wrong))
    assert user_of(verifier, platform.mint("acme")) == "acme:ada"


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.test/tenants/acme",
        f"{ORIGIN}/tenants/acme/",
        f"{ORIGIN}/tenants/",
        f"{ORIGIN}/tenants/..",
        f"{ORIGIN}/tenants/a%2f",
        f"{ORIGIN}:443/tenants/acme",
        f"{ORIGIN}/tenants/acme?x",
        f"{ORIGIN}/tenants/{{tenant}}",
        "http://id.platform.test/tenants/acme",
        "https://u@id.platform.test/tenants/acme",
        f"{ORIGIN}/tenants/{'a' * 600}",
        "file:///etc/passwd",
        "",
        None,
        7,
        [f"{ORIGIN}/tenants/acme"],
        OMIT,
    ],
)
@pytest.mark.parametrize("allow", [PATTERN, lambda _issuer: False])
def test_a_stranger_is_refused_without_a_fetch_or_a_look_up(
    platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch, iss: object, allow: Any
) -> None:
    looked_up: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **_: looked_up.append(asked))
    with Verifier(issuers=tenants(allow), clock=clock) as verifier, pytest.raises(UnknownIssuerError):
        verifier.verify_now(platform.mint("acme", claims={"iss": iss}))
    assert (looked_up, platform.fetches.total()) == ([], 0)


def test_an_issuer_that_is_written_down_goes_before_the_rule(platform: Platform, clock: Clock, rule: Rule) -> None:
    with FakeIssuer(f"{ORIGIN}.own", clock=clock, algorithms=("ES256",)).impersonate() as own:
        listed: list[Issuer | DynamicIssuers] = [
            Issuer(issuer_url=own.issuer_url, name="own", audience="agent-api"),
            tenants(rule),
        ]
        with Verifier(issuers=listed, clock=clock) as verifier:
            assert user_of(verifier, own.mint("ada")) == "own:ada"
            assert rule.asked == []
            assert user_of(verifier, platform.mint("acme")) == "acme:ada"
            assert verifier.issuer_urls == (own.issuer_url,)


def test_a_tenant_called_like_an_issuer_beside_it_is_refused_and_the_operator_told_once(
    platform: Platform, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    listed: list[Issuer | DynamicIssuers] = [
        Issuer(issuer_url="https://own.test", name="own", audience="agent-api"),
        tenants(),
    ]
    with Verifier(issuers=listed, clock=clock) as verifier:
        for _ in range(3):
            with pytest.raises(UnknownIssuerError, match="their users would be one"):
                verifier.verify_now(platform.mint("own"))
        assert user_of(verifier, platform.mint("owner")) == "owner:ada"
    assert [record.levelname for record in caplog.records if "their users would be one" in record.message] == ["ERROR"]


@pytest.mark.parametrize("name", ["client", "a:b", ":"])
def test_a_name_that_cannot_go_before_ids_is_refused_and_the_operator_told_once(
    platform: Platform, clock: Clock, rule: Rule, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    rule.answers["acme"] = name
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        for _ in range(3):
            with pytest.raises(UnknownIssuerError, match="a name has no colon"):
                verifier.verify_now(platform.mint("acme"))
    assert len([record for record in caplog.records if "a name has no colon" in record.message]) == 1
    assert platform.fetches.total() == 0


def test_a_function_that_gives_one_name_to_two_issuers_does_not_make_one_user_of_two(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    rule.answers["sister"] = "acme"
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        assert user_of(verifier, platform.mint("acme")) == "acme:ada"
        with pytest.raises(UnknownIssuerError, match="has the name of another one"):
            verifier.verify_now(platform.mint("sister"))
        assert user_of(verifier, platform.mint("other")) == "other:ada"


def test_true_makes_a_name_of_the_issuer(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(lambda _issuer: True), clock=clock) as verifier:
        assert user_of(verifier, platform.mint("acme")) == "id.platform.test%2Ftenants%2Facme:ada"


def test_a_profile_that_the_other_arguments_do_not_fit_is_refused_and_told(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab"
    token = FakeIssuer(pool, clock=clock, algorithms=("ES256",)).mint("ada")
    with Verifier(issuers=tenants(lambda _issuer: True), clock=clock) as verifier:
        for _ in range(2):
            with pytest.raises(UnknownIssuerError):
                verifier.verify_now(token)
    assert len([record for record in caplog.records if "client_ids" in record.message]) == 1


# What may be written


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"allow": "https://*.id.test/"}, "placeholder"),
        ({"allow": "https://{tenant}.test/"}, "last two labels"),
        ({"allow": 7}, "a pattern or a plain function"),
        ({"allow": None}, "a pattern or a plain function"),
        ({"max_issuers": 0}, "at least 1"),
        ({"max_issuers": True}, "at least 1"),
        ({"allowed_networks": "10.0.0.1/8"}, "no network"),
        ({"allowed_networks": [7]}, "allowed_networks"),
        ({"audience": None}, "audience is missing"),
        ({"audience": ()}, "audience"),
        ({"client_ids": None}, "client_ids=None"),
        ({"algorithms": ["HS256"]}, "shared secrets"),
        ({"provider": "keyclok"}, "keyclok"),
    ],
)
def test_a_mistake_shows_on_the_line_where_it_is_written(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Verifier(issuers=tenants(**{"allow": PATTERN, **said}))
    assert repr(Verifier(issuers=tenants())) == "Verifier(issuers=['DynamicIssuers'])"


def test_a_coroutine_function_is_refused_what_it_returns_would_count_as_true() -> None:
    async def decide(_issuer: str) -> bool:
        return False

    class Decides:
        async def __call__(self, _issuer: str) -> bool:
            return False

    for allow in (decide, Decides()):
        with pytest.raises(ConfigurationError, match="no coroutine function"):
            Verifier(issuers=tenants(allow))


def test_two_rules_are_refused_they_could_give_one_name_to_two_tenants() -> None:
    with pytest.raises(ConfigurationError, match="takes one DynamicIssuers"):
        Verifier(issuers=[tenants(), tenants("https://{tenant}.other.test/")])


def test_nothing_else_may_be_said_beside_the_rule() -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        Verifier(issuers=tenants(), audience="agent-api")
    with pytest.raises(TypeError, match="jwks_uri"):
        tenants(jwks_uri="https://id.test/jwks")
    assert repr(Verifier(issuers=tenants(), leeway=5))


def test_what_is_said_of_the_tenants_counts_for_each(platform: Platform, clock: Clock) -> None:
    said = tenants(roles_claim="groups", client_ids=["agent-ui"], dependencies_claims=["email"])
    with Verifier(issuers=said, clock=clock) as verifier:
        claims = {"groups": ["analyst"], "email": "ada@acme.test"}
        principal = verifier.verify_now(platform.mint("acme", claims=claims, client_id="agent-ui"))
        assert (principal.roles, dict(principal.dependencies)) == (("analyst",), {"email": "ada@acme.test"})
        with pytest.raises(AudienceMismatchError):
            verifier.verify_now(platform.mint("acme", claims=claims, client_id="another"))


def test_a_warning_about_the_arguments_comes_once_and_not_for_each_tenant(
    platform: Platform, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with Verifier(issuers=tenants(user_id_claim="email"), clock=clock) as verifier:
        for tenant in ("acme", "other", "third"):
            claims = {"email": f"ada@{tenant}.test", "email_verified": True}
            assert user_of(verifier, platform.mint(tenant, claims=claims)) == f"{tenant}:ada@{tenant}.test"
    assert len([record for record in caplog.records if "user_id_claim" in record.message]) == 1
