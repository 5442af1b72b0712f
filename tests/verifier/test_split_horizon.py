"""Split horizon: tokens name the public issuer, keys are fetched by an internal name, and browsers have an origin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from oidcbridge import ConfigurationError, FetchOptions, Issuer, Verifier
from oidcbridge.errors import ProviderError, UnknownIssuerError
from oidcbridge.settings import resolve
from oidcbridge.testing import FakeIssuer

PUBLIC = "https://id.example.com/acme"
INSIDE = "https://idp.inside.test"
DISCOVERY = f"{INSIDE}/.well-known/openid-configuration"
GOOD: dict[str, Any] = {"issuer_url": PUBLIC, "audience": "agent-api"}


@pytest.fixture
def inside() -> Iterator[FakeIssuer]:
    """The provider at its internal name, the only one that answers; it says who it is in public."""
    with FakeIssuer(INSIDE, algorithms=("ES256",)).impersonate() as issuer:
        document = issuer.discovery() | {"issuer": PUBLIC, "authorization_endpoint": f"{PUBLIC}/authorize"}
        issuer.discovery_override = json.dumps(document).encode()
        yield issuer


def test_a_token_of_the_public_issuer_is_verified_with_keys_from_the_internal_name(inside: FakeIssuer) -> None:
    with Verifier(**GOOD, discovery_url=DISCOVERY) as verifier:
        assert verifier.verify_now(inside.mint("ada", claims={"iss": PUBLIC})).issuer == PUBLIC
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(inside.mint("ada"))  # the internal name is no issuer
    assert (inside.fetches["discovery"], inside.fetches["jwks"]) == (1, 1)


def test_keys_alone_may_come_from_the_internal_name(inside: FakeIssuer) -> None:
    with Verifier(**GOOD, jwks_uri=f"{INSIDE}/jwks") as verifier:
        assert verifier.verify_now(inside.mint("ada", claims={"iss": PUBLIC})).user_id == "ada"
    assert inside.fetches["discovery"] == 0


def test_a_provider_that_calls_itself_by_the_internal_name_is_not_the_public_issuer(inside: FakeIssuer) -> None:
    inside.discovery_override = None
    with Verifier(**GOOD, discovery_url=DISCOVERY) as verifier, pytest.raises(ProviderError):
        verifier.verify_now(inside.mint("ada", claims={"iss": PUBLIC}))


@pytest.mark.parametrize(
    ("browser_url", "origin"), [(None, "https://id.example.com"), ("http://localhost:9000", "http://localhost:9000")]
)
def test_each_issuer_has_its_browser_url(inside: FakeIssuer, browser_url: str | None, origin: str) -> None:
    issuer = Issuer(
        issuer_url=PUBLIC, audience="agent-api", name="acme", discovery_url=DISCOVERY, browser_url=browser_url
    )
    with Verifier(issuers=[issuer]) as verifier:
        assert verifier.verify_now(inside.mint("ada", claims={"iss": PUBLIC})).user_id == "acme:ada"
        [metadata] = verifier.metadata()
    assert metadata.authorization_endpoint == f"{origin}/acme/authorize"
    assert metadata.token_endpoint == f"{origin}/token"
    assert metadata.jwks_uri == f"{INSIDE}/jwks"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"browser_url": "http://sso.example.com"}, "browser_url is plain http.*read passwords"),
        ({"browser_url": "https://sso.example.com/realms/acme"}, "write browser_url='https://sso.example.com'"),
        ({"browser_url": "https://sso.example.com:8443?a=b"}, "write browser_url='https://sso.example.com:8443'"),
        ({"browser_url": "sso.example.com"}, "browser_url must be an absolute https:// URL"),
        ({"browser_url": 8080}, "browser_url is a string"),
        ({"discovery_url": "http://keycloak:8080/d"}, "discovery_url is plain http.*install signing keys"),
    ],
)
def test_an_address_that_is_none_or_unsafe_is_refused_by_its_name(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        resolve({**GOOD, **arguments}, {})  # type: ignore[typeddict-item]


def test_a_browser_url_belongs_to_an_issuer() -> None:
    keys = FakeIssuer(PUBLIC, algorithms=("ES256",)).signing_key().public_pem()
    with pytest.raises(ConfigurationError, match=r"browser_url.*write issuer_url too"):
        resolve({"verification_keys": [keys], "browser_url": "https://sso.example.com"}, {})


@pytest.mark.parametrize(
    "browser_url", ["https://sso.example.com", "https://sso.example.com/", "http://127.0.0.1:8080"]
)
def test_an_origin_is_a_browser_url(browser_url: str) -> None:
    [issuer] = resolve({**GOOD, "browser_url": browser_url}, {}).issuers  # type: ignore[typeddict-item]
    assert issuer.browser_url == browser_url


def test_plain_http_to_an_internal_name_needs_the_word_insecure() -> None:
    internal = "http://keycloak:8080/realms/acme/.well-known/openid-configuration"
    allowed = FetchOptions(insecure_allow_http=True)
    [issuer] = resolve({**GOOD, "discovery_url": internal, "fetch": allowed}, {}).issuers  # type: ignore[typeddict-item]
    assert issuer.discovery_url == internal


def test_the_environment_may_name_all_three() -> None:
    environ = {
        "OIDCBRIDGE_ISSUER_URL": PUBLIC,
        "OIDCBRIDGE_AUDIENCE": "agent-api",
        "OIDCBRIDGE_DISCOVERY_URL": DISCOVERY,
        "OIDCBRIDGE_BROWSER_URL": "http://localhost:9000",
    }
    [issuer] = resolve({}, environ).issuers
    assert (issuer.issuer_url, issuer.discovery_url, issuer.browser_url) == (PUBLIC, DISCOVERY, "http://localhost:9000")
