"""Several issuers at one verifier: each judged by its own keys, audience and mapping, and never one for another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from oidcbridge import Issuer, Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    KeyNotFoundError,
    KeysUnavailableError,
    ProviderError,
    UnknownIssuerError,
)
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey

Pair = tuple[FakeIssuer, FakeIssuer, Verifier]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two issuers with the same kid for different keys, and their verifier."""
    acme = FakeIssuer("https://acme.test", algorithms=("ES256",), audience="acme-api")
    other = FakeIssuer("https://other.test/realms/x", algorithms=("ES256",), audience="other-api")
    issuers = [
        Issuer(issuer_url=acme.issuer_url, audience="acme-api", name="acme"),
        Issuer(issuer_url=other.issuer_url, audience="other-api", name="other", roles_claim="roles"),
    ]
    with acme.impersonate(), other.impersonate(), Verifier(issuers=issuers) as verifier:
        yield acme, other, verifier


def test_equal_subjects_of_two_issuers_are_two_users(pair: Pair) -> None:
    acme, other, verifier = pair
    assert verifier.verify_now(acme.mint("ada")).user_id == "acme:ada"
    principal = verifier.verify_now(other.mint("ada", claims={"roles": ["analyst"]}))
    assert (principal.user_id, principal.issuer, principal.roles) == ("other:ada", other.issuer_url, ("analyst",))
    assert verifier.issuer_urls == (acme.issuer_url, other.issuer_url)


def test_machines_of_two_issuers_are_two_machines(pair: Pair) -> None:
    acme, other, verifier = pair
    assert verifier.verify_now(acme.mint("svc", client_id="svc")).user_id == "acme:client:svc"
    principal = verifier.verify_now(other.mint("svc", client_id="svc", claims={"sub": OMIT}))
    assert (principal.user_id, principal.kind) == ("other:client:svc", "machine")


def test_the_same_kid_at_two_issuers_is_two_keys(pair: Pair) -> None:
    acme, other, verifier = pair
    ours, theirs = FakeKey.generate("ES256", kid="1"), FakeKey.generate("ES256", kid="1")
    acme.publish(ours)
    other.publish(theirs)
    assert verifier.verify_now(acme.mint("ada", key=ours)).user_id == "acme:ada"
    assert verifier.verify_now(other.mint("ada", key=theirs)).user_id == "other:ada"
    with pytest.raises(BadSignatureError):
        verifier.verify_now(acme.mint("ada", key=theirs))
    with pytest.raises(BadSignatureError):
        verifier.verify_now(other.mint("ada", key=ours))


def test_a_key_of_one_issuer_never_signs_for_the_other(pair: Pair) -> None:
    acme, other, verifier = pair
    with pytest.raises(KeyNotFoundError):
        verifier.verify_now(acme.mint("ada", key=other.signing_key()))
    no_kid = acme.mint("ada", key=other.signing_key(), header={"kid": OMIT})
    with pytest.raises(BadSignatureError):
        verifier.verify_now(no_kid)
    assert verifier.verify_now(acme.mint("ada", header={"kid": OMIT})).user_id == "acme:ada"


def test_an_audience_counts_for_its_own_issuer_alone(pair: Pair) -> None:
    acme, other, verifier = pair
    for issuer, audience in ((acme, "other-api"), (other, "acme-api")):
        with pytest.raises(AudienceMismatchError):
            verifier.verify_now(issuer.mint("ada", audience=audience))
    assert verifier.verify_now(acme.mint("ada", audience=["other-api", "acme-api"])).user_id == "acme:ada"


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.test",
        "https://acme.test/",
        "https://ACME.test",
        "http://acme.test",
        "https://acme.test:443",
        "",
        None,
        7,
        ["https://acme.test"],
        {"https://acme.test": 1},
        OMIT,
    ],
)
def test_a_stranger_s_token_is_refused_and_nothing_is_fetched_for_it(pair: Pair, iss: object) -> None:
    acme, other, verifier = pair
    with pytest.raises(UnknownIssuerError) as caught:
        verifier.verify_now(acme.mint("ada", claims={"iss": iss}))
    assert acme.issuer_url in str(caught.value)
    assert acme.fetches.total() + other.fetches.total() == 0


def test_a_token_that_names_a_single_issuer_otherwise_is_refused_too() -> None:
    with FakeIssuer("https://acme.test").impersonate() as issuer, issuer.verifier() as verifier:
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(issuer.mint("ada", claims={"iss": "https://acme.test/"}))
        assert issuer.fetches.total() == 0


def test_an_outage_of_one_issuer_is_no_outage_of_the_other(pair: Pair) -> None:
    acme, other, verifier = pair
    with acme.outage():
        with pytest.raises(KeysUnavailableError, match=acme.issuer_url):
            verifier.verify_now(acme.mint("ada"))
        assert verifier.verify_now(other.mint("ada")).user_id == "other:ada"
        with pytest.raises(ProviderError):
            asyncio.run(verifier.warm(strict=True))
    assert verifier.verify_now(other.mint("bob")).user_id == "other:bob"


def test_a_flood_of_strangers_at_one_issuer_takes_nothing_from_the_other(pair: Pair) -> None:
    acme, other, verifier = pair
    asyncio.run(verifier.warm(strict=True))
    for _ in range(10):
        with pytest.raises(KeyNotFoundError):
            verifier.verify_now(acme.mint(key=FakeKey.generate("ES256")))
    other.rotate()
    assert verifier.verify_now(other.mint("ada")).user_id == "other:ada"


def test_a_refetch_asks_the_issuer_of_the_token_and_no_other(pair: Pair) -> None:
    acme, other, verifier = pair
    asyncio.run(verifier.warm(strict=True))
    acme.rotate()
    assert verifier.verify_now(acme.mint("ada")).user_id == "acme:ada"
    assert (acme.fetches["jwks"], other.fetches["jwks"]) == (2, 1)
