"""What the fake issuer answers, before any wire."""

from __future__ import annotations

import json

import pytest

from oidcbridge.core.metadata import parse_metadata, well_known_urls
from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeIssuer


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer("https://idp.test", algorithms=("ES256",))


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://idp.test", ""),
        ("https://idp.test/", ""),
        ("https://idp.test/realms/a", "/realms/a"),
        ("https://idp.test:8443/realms/a/", "/realms/a"),
    ],
)
def test_discovery_and_keys_stand_below_the_issuers_path_and_the_issuer_is_kept_to_the_letter(
    url: str, base: str
) -> None:
    issuer = FakeIssuer(url, algorithms=("ES256",))
    assert issuer.issuer_url == url
    assert well_known_urls(url)[0].endswith(f"{base}/.well-known/openid-configuration")
    answer = issuer.handle("GET", f"{base}/.well-known/openid-configuration")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    metadata = parse_metadata(answer.body, url)
    assert metadata.issuer == url
    assert metadata.jwks_uri == f"{url.rstrip('/')}/jwks"
    assert json.loads(issuer.handle("GET", f"{base}/jwks?fresh=1").body) == issuer.jwks()


def test_other_paths_are_not_there(issuer: FakeIssuer) -> None:
    for target in ("/", "/nope", "/realms/a/jwks", "/jwks/"):
        assert issuer.handle("GET", target).status == 404


def test_the_token_endpoint_is_not_there_without_clients_or_users(issuer: FakeIssuer) -> None:
    assert issuer.handle("POST", "/token").status == 404


def test_documents_are_read_and_never_written(issuer: FakeIssuer) -> None:
    answer = issuer.handle("POST", "/jwks")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_documents_carry_no_cache_header_until_one_is_set(issuer: FakeIssuer) -> None:
    targets = ("/jwks", "/.well-known/openid-configuration")
    assert all("cache-control" not in issuer.handle("GET", target).headers for target in targets)
    issuer.cache_control = "max-age=60"
    assert all(issuer.handle("GET", target).headers["cache-control"] == "max-age=60" for target in targets)


def test_the_keys_answer_takes_another_status_and_headers_and_discovery_does_not(issuer: FakeIssuer) -> None:
    issuer.status = 429
    issuer.jwks_headers["retry-after"] = "7"
    answer = issuer.handle("GET", "/jwks")
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert issuer.handle("GET", "/.well-known/openid-configuration").status == 200
    issuer.status = None
    assert issuer.handle("GET", "/jwks").status == 200


def test_each_document_can_be_replaced_by_any_bytes(issuer: FakeIssuer) -> None:
    issuer.jwks_override = b"<html>"
    assert issuer.handle("GET", "/jwks").body == b"<html>"
    assert json.loads(issuer.handle("GET", "/.well-known/openid-configuration").body)["issuer"] == "https://idp.test"
    issuer.discovery_override = b""
    assert issuer.handle("GET", "/.well-known/openid-configuration").body == b""
    issuer.jwks_override = None
    assert json.loads(issuer.handle("GET", "/jwks").body) == issuer.jwks()


@pytest.mark.parametrize(
    "url",
    ["idp.test", "ftp://idp.test", "https://", "https://idp.test?x=1", "https://idp.test#x", "https://[", "http://h:x"],
)
def test_what_can_be_no_issuer_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="can be no issuer"):
        FakeIssuer(url)


def test_an_issuer_without_an_address_says_how_it_gets_one() -> None:
    issuer = FakeIssuer(url=None, algorithms=("ES256",))
    assert repr(issuer).startswith("FakeIssuer(None, ")
    for ask in (lambda: issuer.issuer_url, issuer.mint, issuer.discovery, lambda: issuer.handle("GET", "/jwks")):
        with pytest.raises(ConfigurationError, match=r"issuer\.serve\(\)"):
            ask()


def test_an_outage_ends_with_its_block_even_by_an_error(issuer: FakeIssuer) -> None:
    def fail_during_an_outage() -> None:
        with issuer.outage():
            assert issuer.down
            raise RuntimeError("the test itself fails")

    with pytest.raises(RuntimeError, match="itself"):
        fail_during_an_outage()
    assert not issuer.down


def test_an_outage_within_one_that_was_set_by_hand_does_not_end_it(issuer: FakeIssuer) -> None:
    issuer.down = True
    with issuer.outage():
        pass
    assert issuer.down
