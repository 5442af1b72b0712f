"""Patterns of issuers: what matches, whose name it is, and what would let in more than its writer owns."""

from __future__ import annotations

import re
import time
from itertools import combinations
from string import ascii_letters, ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcbridge.arguments import can_go_before_ids
from oidcbridge.core.issuer_patterns import MAX_ISSUER_CHARS, is_issuer_text, name_from, parse_issuer_pattern
from oidcbridge.errors import ConfigurationError

HOST = "https://{tenant}.id.example.com/"
PATH = "https://id.example.com/realms/{tenant}"
BOTH = "https://{org}.{region}.id.example.com/t/{tenant}/v2"


def name_of(pattern: str, issuer: str) -> str | None:
    return parse_issuer_pattern(pattern, allow_http=False).name_of(issuer)


@pytest.mark.parametrize(
    ("pattern", "issuer", "name"),
    [
        (HOST, "https://acme.id.example.com/", "acme"),
        (HOST, "https://a-1.id.example.com/", "a-1"),
        (PATH, "https://id.example.com/realms/acme", "acme"),
        (PATH, "https://id.example.com/realms/Acme_1.~x", "Acme_1.~x"),
        (PATH, "https://id.example.com/realms/...", "..."),
        (BOTH, "https://acme.eu.id.example.com/t/sales/v2", "acme/eu/sales"),
        ("http://127.0.0.1:8080/realms/{tenant}", "http://127.0.0.1:8080/realms/acme", "acme"),
        ("https://localhost/{tenant}/", "https://localhost/acme/", "acme"),
        ("https://{tenant}.example.com/", "https://acme.example.com/", "acme"),
        ("https://{tenant}.7.example.com:8443/", "https://acme.7.example.com:8443/", "acme"),
        ("https://id.example.com/x://{tenant}", "https://id.example.com/x://acme", "acme"),
    ],
)
def test_an_issuer_that_matches_has_the_name_that_its_placeholders_stand_for(
    pattern: str, issuer: str, name: str
) -> None:
    assert name_of(pattern, issuer) == name


@pytest.mark.parametrize(
    ("pattern", "issuer"),
    [
        (HOST, "https://acme.id.example.com"),
        (HOST, "https://acme.id.example.com//"),
        (HOST, "https://acme.id.example.com/\n"),
        (HOST, "http://acme.id.example.com/"),
        (HOST, "https://ACME.id.example.com/"),
        (HOST, "https://.id.example.com/"),
        (HOST, "https://a.b.id.example.com/"),
        (HOST, "https://evil.com/.id.example.com/"),
        (HOST, "https://evil.com#.id.example.com/"),
        (HOST, "https://evil.com?.id.example.com/"),
        (HOST, "https://u@acme.id.example.com/"),
        (HOST, "https://acme.id.example.com:443/"),
        (HOST, "https://acme.id.example.com.evil.com/"),
        (HOST, "https://acmeXid.example.com/"),
        (HOST, "https://acme.idXexample.com/"),
        (HOST, "https://{tenant}.id.example.com/"),
        (HOST, f"https://{'a' * 64}.id.example.com/"),
        (PATH, "https://id.example.com/realms/"),
        (PATH, "https://id.example.com/realms/."),
        (PATH, "https://id.example.com/realms/.."),
        (PATH, "https://id.example.com/realms/acme/"),
        (PATH, "https://id.example.com/realms/acme/x"),
        (PATH, "https://id.example.com/realms/a%2fb"),
        (PATH, "https://id.example.com/realms/acme\n"),
        (PATH, "https://id.example.com/realms/ä"),
        (PATH, "xhttps://id.example.com/realms/acme"),
        (BOTH, "https://acme.eu.id.example.com/t/../v2"),
    ],
)
def test_a_stranger_that_looks_alike_does_not_match(pattern: str, issuer: str) -> None:
    assert name_of(pattern, issuer) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "https://id.example.com/",
        "https://*.example.com/",
        "https://{tenant}.com/",
        "https://{tenant}/",
        "https://id.{tenant}/",
        "https://id.{tenant}.com/",
        "https://{tenant}.0.0.1/",
        "https://{tenant}.0.0.1:8443/",
        "https://{tenant}.example.7/",
        "https://{a}.{b}.com/",
        "https://login-{tenant}.id.example.com/",
        "https://id.example.com/realm-{tenant}",
        "https://{tenant}.{tenant}.example.com/",
        "http://{tenant}.id.example.com/",
        "https://{tenant}.id.example.com/?a=1",
        "https://{tenant}.id.example.com/#a",
        "https://u:p@{tenant}.id.example.com/",
        "https://{tenant}.id.example.com:{port}/",
        "https://{Tenant}.id.example.com/",
        "https://{}.id.example.com/",
        "https://{tenant}}.id.example.com/",
        "https://{tenant}.id.example.com/.well-known/openid-configuration",
        "{scheme}://id.example.com/",
        "ftp://{tenant}.id.example.com/",
        "{tenant}.id.example.com",
        "",
        "https://{tenant}.id.example.com/../x",
        "https://{tenant}.id.example.com/" + "a" * MAX_ISSUER_CHARS,
    ],
)
def test_a_pattern_that_could_match_what_its_writer_does_not_own_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_issuer_pattern(pattern, allow_http=False)


@pytest.mark.parametrize(
    "pattern",
    [
        "https://id.example.com/",
        "https://*.example.com/{tenant}",
        "https://id.example.com/realm-{tenant}",
        "https://{tenant}.com/",
    ],
)
def test_a_refusal_shows_patterns_that_are_accepted(pattern: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_issuer_pattern(pattern, allow_http=False)
    shown = re.findall(r'allow="([^"]+)"', str(caught.value))
    assert [name_of(example, example.replace("{tenant}", "acme")) for example in shown] == ["acme", "acme"]


@pytest.mark.parametrize("text", [HOST, PATH, BOTH])
def test_a_pattern_keeps_its_text_and_matches_its_own_example(text: str) -> None:
    pattern = parse_issuer_pattern(text, allow_http=False)
    assert pattern.text == text
    assert pattern.name_of(pattern.example)


def test_plain_http_in_a_pattern_is_for_those_who_say_so() -> None:
    pattern = parse_issuer_pattern("http://{tenant}.id.example.com/", allow_http=True)
    assert pattern.name_of("http://acme.id.example.com/") == "acme"


LABEL = st.text(f"{ascii_lowercase}{digits}-", min_size=1, max_size=8)
SEGMENT = st.text(f"{ascii_letters}{digits}._~-", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
TENANT = st.tuples(LABEL, LABEL, SEGMENT)


@given(st.sets(TENANT, min_size=2, max_size=8))
def test_two_issuers_never_have_one_name_by_a_pattern(tenants: set[tuple[str, str, str]]) -> None:
    pattern = parse_issuer_pattern(BOTH, allow_http=False)
    names = [pattern.name_of(f"https://{a}.{b}.id.example.com/t/{c}/v2") for a, b, c in tenants]
    assert None not in names
    assert len(set(names)) == len(tenants)


def test_a_name_made_of_the_issuer_can_go_before_ids_and_is_nobody_else_s() -> None:
    issuers = [
        "https://id.example.com",
        "https://id.example.com/",
        "http://id.example.com",
        "https://id.example.com:8443",
        "https://id.example.com/8443",
        "https://id.example.com/a/b",
        "https://id.example.com/a:b",
        "https://ID.example.com",
    ]
    names = [name_from(issuer) for issuer in issuers]
    assert all(map(can_go_before_ids, names))
    assert all(one != other for one, other in combinations(names, 2))
    assert names[0] == "id.example.com"
    assert names[5] == "id.example.com%2Fa%2Fb", "a slash stands between the placeholders of a pattern"


@pytest.mark.parametrize(
    "text",
    [
        "https://id.example.com",
        "https://[2606:4700::1]:8443/a",
        "http://localhost:8080/r/x",
        "https://ID.example.com/Realms/ACME",
        f"https://{'a' * 63}.example.com",
        "https://id.example.com/" + "a" * (MAX_ISSUER_CHARS - 23),
    ],
)
def test_an_issuer_as_providers_write_them_may_be_asked_about(text: str) -> None:
    assert is_issuer_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "ftp://id.example.com",
        "https://",
        "https:///path",
        "https://u@id.example.com",
        "https://id.example.com?x",
        "https://id.example.com#x",
        "https://id.example.com/{tenant}",
        "https://id.example.com/a%2fb",
        "https://id.example.com/..",
        "https://id.example.com/a/./b",
        "https://id.example.com\\@evil.com",
        "https://id.example.com/a b",
        "https://id.example.com/\r\nHost: x",
        "https://id.example.com:x/",
        "https://id.example.com:99999/",
        "https://id.example.com:0/",
        "https://[::1",
        "https://ïd.example.com",
        "https://:8443/",
        "https://id..example.com",
        f"https://{'a' * 64}.example.com",
        "https://id.example.com/" + "a" * (MAX_ISSUER_CHARS - 22),
    ],
)
def test_what_no_provider_calls_itself_is_never_asked_about(text: str) -> None:
    assert not is_issuer_text(text)


def test_an_issuer_has_at_most_512_characters() -> None:
    assert MAX_ISSUER_CHARS == 512


def test_a_hostile_issuer_costs_linear_time() -> None:
    pattern = parse_issuer_pattern("https://{a}.{b}.{c}.example.com/{d}/{e}/{f}", allow_http=False)
    started = time.process_time()
    for hostile in ("a." * 50_000, "https://" + "a-" * 50_000, "https://a.b.c.example.com/" + "a/" * 50_000):
        assert pattern.name_of(hostile) is None
        assert not is_issuer_text(hostile)
    assert time.process_time() - started < 0.5
