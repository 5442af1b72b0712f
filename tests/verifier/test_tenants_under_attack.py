"""Dynamic issuers before those who invent tenants, lose them, or take them away."""

from __future__ import annotations

import asyncio
import socket

import pytest

from oidcbridge import ConfigurationError, DynamicIssuers, FetchOptions, Issuer, Verifier
from oidcbridge.core.addresses import AddressRule
from oidcbridge.core.issuer_patterns import is_issuer_text
from oidcbridge.errors import (
    BadSignatureError,
    KeyNotFoundError,
    KeysUnavailableError,
    ProviderError,
    TokenError,
    UnknownIssuerError,
)
from oidcbridge.remote.refresher import MAX_FETCHES_FOR_STRANGERS
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.verifier.platform import Platform, Rule, tenants, user_of, wait_until


def outcome(verifier: Verifier, token: str) -> str:
    try:
        return user_of(verifier, token)
    except (TokenError, ProviderError) as error:
        return type(error).__name__


def test_an_outage_of_the_platform_is_no_401_for_any_tenant(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        platform.down = True
        names = [f"t{number}" for number in range(60)]
        assert {outcome(verifier, platform.mint(name)) for name in names} == {"KeysUnavailableError"}
        platform.down = False
        clock.advance(20)
        assert [outcome(verifier, platform.mint(name)) for name in names] == [f"{name}:ada" for name in names]


def test_issuers_that_are_none_are_paid_for_each_time_they_are_asked_for(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        invented = [f"none{number}" for number in range(40)]
        platform.unknown |= set(invented)
        for _ in range(60):
            for name in invented:
                assert outcome(verifier, platform.mint(name)) in ("UnknownIssuerError", "KeysUnavailableError")
            clock.advance(1)
        searches = sum(platform.fetches[name] for name in invented) / 2  # two well-known places each
        assert searches <= 20 + 60 / 0.5 + 16, "the burst, one each half second, and those under way"
        clock.advance(11)
        assert user_of(verifier, platform.mint("acme")) == "acme:ada"


def test_a_search_that_is_suppressed_can_be_503(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(), clock=clock, fetch=FetchOptions(on_suppressed="503")) as verifier:
        platform.unknown |= {f"none{number}" for number in range(40)}
        for number in range(40):
            outcome(verifier, platform.mint(f"none{number}"))
        with pytest.raises(KeysUnavailableError, match="looked for in vain"):
            verifier.verify_now(platform.mint("acme"))


def test_tenants_that_hang_do_not_hold_up_an_issuer_that_is_written_down(platform: Platform, clock: Clock) -> None:
    own = FakeIssuer("https://own.test", clock=clock, algorithms=("ES256",))
    issuers: list[Issuer | DynamicIssuers] = [tenants(), own_issuer(own)]
    with own.impersonate(), Verifier(issuers=issuers, clock=clock) as verifier:
        asyncio.run(verifier.warm(strict=True))

        async def main() -> None:
            hanging = [
                asyncio.create_task(verifier.verify(platform.mint(f"t{number}")))
                for number in range(3 * MAX_FETCHES_FOR_STRANGERS)
            ]
            await asyncio.to_thread(wait_until, lambda: platform.fetches["discovery"] >= MAX_FETCHES_FOR_STRANGERS)
            own.rotate()
            assert (await asyncio.wait_for(verifier.verify(own.mint("ada")), 2.0)).user_id == "own:ada"
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

        with platform.held():
            asyncio.run(main())


def own_issuer(issuer: FakeIssuer) -> Issuer:
    return Issuer(issuer_url=issuer.issuer_url, name="own", audience="agent-api")


def test_a_tenant_that_is_let_in_no_more_is_refused_though_its_token_is_remembered(
    platform: Platform, clock: Clock, rule: Rule
) -> None:
    with Verifier(issuers=tenants(rule), clock=clock) as verifier:
        token = platform.mint("acme", expires_in=86_400)
        assert user_of(verifier, token) == "acme:ada"
        rule.answers["acme"] = None
        for _ in range(4):
            clock.advance(300)
            seen = outcome(verifier, token)
            wait_until(lambda: len(rule.asked) >= 2)
        assert seen == "UnknownIssuerError"


def test_a_rule_that_only_raises_keeps_nobody_in_for_ever(platform: Platform, clock: Clock, rule: Rule) -> None:
    options = FetchOptions(max_stale=1000)
    with Verifier(issuers=tenants(rule), clock=clock, fetch=options) as verifier:
        token = platform.mint("acme", expires_in=86_400)
        assert user_of(verifier, token) == "acme:ada"
        rule.error = LookupError("the directory is down")
        clock.advance(900)
        assert user_of(verifier, token) == "acme:ada"
        clock.advance(200)
        with pytest.raises(ProviderError):
            verifier.verify_now(token)
        rule.error = None
        clock.advance(1)
        assert user_of(verifier, token) == "acme:ada"


def test_a_key_denied_before_the_first_good_token_stays_denied_under_any_name(platform: Platform, clock: Clock) -> None:
    lost = platform.signing_key()
    with Verifier(issuers=tenants(), clock=clock) as verifier:
        with pytest.raises(BadSignatureError):  # known from now on, and no token of it was good
            verifier.verify_now(platform.mint("acme", key=FakeKey.generate("ES256", kid=lost.kid)))
        verifier.deny_key(lost.kid, issuer=platform.issuer_of("acme"))
        clock.advance(301)  # it is asked about anew, and its keys with it
        platform.rename_key("renamed")
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(platform.mint("acme", header={"kid": "renamed"}))
        assert user_of(verifier, platform.mint("other", header={"kid": "renamed"})) == "other:ada"


def test_a_resolver_that_cannot_answer_now_is_no_401_for_any_tenant(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(code: int) -> set[str]:
        def refuse(*_arguments: object, **_options: object) -> object:
            raise socket.gaierror(code, "as told")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        pattern = "https://{tenant}.id.example"
        with Verifier(issuers=tenants(pattern), clock=clock) as verifier:
            issuers = [
                FakeIssuer(f"https://t{number}.id.example", algorithms=("ES256",), clock=clock) for number in range(40)
            ]
            return {outcome(verifier, issuer.mint("ada")) for issuer in issuers}

    assert answers(socket.EAI_AGAIN) == {"KeysUnavailableError"}
    assert answers(socket.EAI_NONAME) == {"KeysUnavailableError", "UnknownIssuerError"}  # strangers have a budget


def test_forged_tokens_keep_no_tenant_in_its_place(platform: Platform, clock: Clock) -> None:
    with Verifier(issuers=tenants(max_issuers=2), clock=clock) as verifier:
        for name in ("abandoned", "honest"):
            clock.advance(1)
            assert user_of(verifier, platform.mint(name)) == f"{name}:ada"
        clock.advance(1)
        forged = platform.mint("abandoned", key=FakeKey.generate("ES256", kid=platform.signing_key().kid))
        with pytest.raises(BadSignatureError):
            verifier.verify_now(forged)
        assert user_of(verifier, platform.mint("third")) == "third:ada"
        assert {issuer.issuer for issuer in verifier.health()} == {platform.issuer_of(n) for n in ("honest", "third")}


@pytest.mark.parametrize(
    "pattern", ["https://{tenant}.com./", "https://{tenant}..com/", "https://{tenant}.1.1/", "https://{a}.com"]
)
def test_a_pattern_that_allows_domains_of_anybody_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        Verifier(issuers=DynamicIssuers(allow=pattern, audience="agent-api"))


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".com", ".a.com", "a.com."])
def test_a_host_that_no_name_server_knows_is_no_issuer(host: str) -> None:
    assert not is_issuer_text(f"https://{host}/")
    assert is_issuer_text(f"https://{'a' * 63}.com/")
    with (
        Verifier(issuers=DynamicIssuers(allow=lambda _issuer: True, audience="agent-api")) as verifier,
        pytest.raises(UnknownIssuerError),
    ):
        verifier.verify_now(FakeIssuer(f"https://{host}/", algorithms=("ES256",)).mint("eve"))


def test_an_ipv4_address_inside_an_isatap_one_is_not_public() -> None:
    assert not AddressRule().allows("2606:4700::5efe:a00:1")
    assert not AddressRule().allows("2606:4700::200:5efe:a00:1")
    assert AddressRule().allows("2606:4700::1111")
