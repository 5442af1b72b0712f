"""What an operator may set, and the clock everything is judged by."""

from __future__ import annotations

import time
from dataclasses import FrozenInstanceError, fields
from importlib.util import find_spec, module_from_spec
from typing import cast

import httpx2
import pytest

from oidcbridge.core.addresses import AddressRule
from oidcbridge.core.policy import Clock, FetchOptions, Policy, TokenRules
from oidcbridge.errors import ConfigurationError

POSITIVE = ["deadline", "connect_timeout", "unknown_kid_interval", "backoff_max", "max_bytes"]
ZERO_ALLOWED = [
    *("request_wait", "max_age", "min_max_age", "max_stale"),
    *("discovery_max_age", "unknown_kid_burst", "negative_kid_ttl"),
    *("hard_age", "idle_after", "suspect_age"),
]
WEEK = 7 * 86400
MOST = {
    "deadline": 300,
    "connect_timeout": 300,
    "request_wait": 300,
    "max_bytes": 2**24,
    "max_age": WEEK,
    "max_max_age": WEEK,
    "max_stale": WEEK,
    "hard_age": WEEK,
    "idle_after": WEEK,
    "suspect_age": WEEK,
    "discovery_max_age": 4 * WEEK,
    "unknown_kid_burst": 100,
    "unknown_kid_interval": 3600,
    "negative_kid_ttl": 3600,
    "backoff_max": 3600,
}


def options(**arguments: object) -> FetchOptions:
    return FetchOptions(**arguments)  # type: ignore[arg-type]


def test_the_defaults_are_those_that_the_documentation_promises() -> None:
    fetch = FetchOptions()
    assert (fetch.deadline, fetch.connect_timeout, fetch.request_wait, fetch.max_bytes) == (5, 2, 2.5, 262_144)
    assert (fetch.min_max_age, fetch.max_age, fetch.max_max_age, fetch.max_stale) == (60, 300, 900, 14_400)
    assert (fetch.unknown_kid_burst, fetch.unknown_kid_interval, fetch.negative_kid_ttl) == (2, 10, 30)
    assert (fetch.discovery_max_age, fetch.backoff_max) == (86_400, 60)
    assert (fetch.hard_age, fetch.idle_after, fetch.suspect_age, fetch.on_suppressed) == (600, 900, 60, "401")
    assert fetch.insecure_allow_http is False
    assert (fetch.user_agent, fetch.ca_file, fetch.client_cert_file, fetch.client_key_file) == (None,) * 4
    assert (fetch.proxy, fetch.http_client, fetch.addresses) == (None,) * 3
    policy = Policy(issuer="i", audiences=None, algorithms=frozenset())
    assert (policy.leeway, policy.client_ids, policy.token_type) == (60, frozenset(), None)


def test_a_provider_without_rules_of_its_own_has_the_general_ones() -> None:
    rules = TokenRules()
    assert {item.name: getattr(rules, item.name) for item in fields(rules)} == {
        "header_types": frozenset({"jwt", "at+jwt"}),
        "marker": None,
        "foreign_claims": ("nonce", "at_hash", "c_hash", "events"),
        "signs": (),
        "id_tokens_only": False,
        "refuses_header_nonce": False,
        "audience_required": True,
        "audience_claim": "aud",
        "client_id_claims": ("client_id", "azp", "cid", "appid"),
        "keys_name_issuers": False,
        "hint": None,
    }


def test_who_accepts_id_tokens_accepts_them_by_no_other_mark_and_still_no_logout_tokens() -> None:
    strict = TokenRules(id_tokens_only=True, signs=(("scp",),), audience_required=False)
    assert strict.with_id_tokens() == TokenRules(foreign_claims=("events",), audience_required=False)


def test_a_policy_may_be_a_key_and_what_typ_may_say_follows_from_the_rest() -> None:
    accepted = {name: Policy("i", None, frozenset(), other_issuers={"accounts": None}) for name in ("one", "twin")}
    assert len(set(accepted.values())) == 1
    assert accepted["one"].header_types == {None, "jwt", "at+jwt"}
    with pytest.raises(TypeError, match="header_types"):
        Policy("i", None, frozenset(), header_types=frozenset({"logout+jwt"}))  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [*POSITIVE, *ZERO_ALLOWED])
@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("inf"), 1e12, True, False, "5", None, [5]])
def test_a_number_that_makes_no_sense_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"FetchOptions\({name}=\) is a number from"):
        options(**{name: value})


@pytest.mark.parametrize("name", POSITIVE)
def test_zero_is_refused_where_something_would_never_or_always_happen(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        options(**{name: 0})
    assert getattr(options(**{name: 1}), name) == 1


@pytest.mark.parametrize("name", ZERO_ALLOWED)
def test_zero_is_accepted_where_it_means_none(name: str) -> None:
    assert getattr(options(**{name: 0}), name) == 0


@pytest.mark.parametrize("other", [{"proxy": "http://proxy.test:3128"}, {"http_client": httpx2.AsyncClient}])
def test_whatever_looks_names_up_by_itself_does_not_go_with_a_rule_for_addresses(other: dict[str, object]) -> None:
    assert options(addresses=AddressRule()).addresses == AddressRule()
    with pytest.raises(ConfigurationError, match="exclude each other"):
        options(addresses=AddressRule(), **other)


def test_a_suppressed_key_is_answered_by_one_of_two_statuses() -> None:
    assert options(on_suppressed="503").on_suppressed == "503"
    for other in ("500", 401, None):
        with pytest.raises(ConfigurationError, match=r'FetchOptions\(on_suppressed=\) is "401" or "503"'):
            options(on_suppressed=other)


@pytest.mark.parametrize("name", MOST)
def test_every_number_has_a_most(name: str) -> None:
    assert getattr(options(**{name: MOST[name]}), name) == MOST[name]
    with pytest.raises(ConfigurationError, match=name):
        options(**{name: MOST[name] + 1})


def test_the_shortest_freshness_is_not_above_the_longest() -> None:
    assert FetchOptions(min_max_age=900, max_max_age=900).min_max_age == 900
    assert FetchOptions(min_max_age=0, max_max_age=0).max_max_age == 0
    with pytest.raises(ConfigurationError, match="min_max_age"):
        FetchOptions(min_max_age=901, max_max_age=900)


def test_a_client_certificate_comes_with_its_key_and_with_our_own_client() -> None:
    assert FetchOptions(client_cert_file="both.pem").client_key_file is None
    assert FetchOptions(client_cert_file="cert.pem", client_key_file="key.pem").client_cert_file == "cert.pem"
    with pytest.raises(ConfigurationError, match="is the key of a client_cert_file"):
        FetchOptions(client_key_file="key.pem")
    with pytest.raises(ConfigurationError, match="builds its own client"):
        FetchOptions(client_cert_file="both.pem", http_client=httpx2.AsyncClient)


def test_options_and_policies_are_frozen_and_hide_the_proxys_password() -> None:
    fetch = FetchOptions(proxy="http://user:s3cret@proxy.test:3128")
    assert "s3cret" not in repr(fetch)
    assert not [name for name in ("proxy", "http_client", "addresses") if name in repr(fetch)]
    with pytest.raises(FrozenInstanceError):
        fetch.deadline = 1.0  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Policy(issuer="i", audiences=None, algorithms=frozenset()).leeway = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://svc:s3cret@proxy.test:1",
        "svc:s3cret@proxy.test:3128",
        "proxy.test:3128",
        "http://svc:s3cret@",
        "http://svc:s3cret@:3128",
        "http://svc@proxy.test:s3cret",
        "http://svc:s3cret@proxy.test:99999",
        "http://svc:s3cret@[proxy.test",
        "http://svc:s3cret@proxy.test\u2100x",
        "http://svc:s3cret@pro xy.test",
        "http://svc:s3cret\n@proxy.test",
        "",
        b"http://svc:s3cret@proxy.test",
        3128,
    ],
)
def test_a_proxy_that_is_no_address_is_refused_and_never_repeated(proxy: object) -> None:
    with pytest.raises(ConfigurationError, match=r"FetchOptions\(proxy=\).*http://proxy.example:3128") as caught:
        options(proxy=proxy)
    assert "s3cret" not in str(caught.value)
    assert "svc" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "HTTP", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("rest", ["proxy.test", "svc:s3cret@proxy.test:3128", "[::1]:3128/"])
def test_a_proxy_is_reached_by_http_or_socks(scheme: str, rest: str) -> None:
    assert options(proxy=f"{scheme}://{rest}").proxy == f"{scheme}://{rest}"


def test_the_clock_tells_the_systems_time_and_two_that_never_go_back() -> None:
    clock = Clock()
    assert clock.time() == pytest.approx(time.time(), abs=5)
    assert clock.monotonic() == pytest.approx(time.monotonic(), abs=5)
    first, second = clock.boottime(), clock.boottime()
    assert 0 < first <= second
    assert second >= clock.monotonic() - 5


def clock_of_this_system() -> Clock:
    """The clock of a process that starts now: which of the system's functions it has is settled at import."""
    spec = find_spec("oidcbridge.core.policy")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Clock, module.Clock())


def test_time_asleep_is_counted_where_the_system_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", {7: 86_400.0}.__getitem__, raising=False)
    assert clock_of_this_system().boottime() == 86_400


def test_where_the_system_counts_no_boot_time_the_monotonic_clock_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: 123.0)
    clock = clock_of_this_system()
    assert (clock.monotonic(), clock.boottime()) == (123, 123)
