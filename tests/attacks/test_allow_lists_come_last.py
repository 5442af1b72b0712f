"""An allow-list says yes to nobody: whoever is on it has to bring a token that is good in every other way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import TokenError
from oidcbridge.testing import OMIT, FakeIssuer, FakeKey

LISTED = {"azp": "agent-ui", "client_id": "agent-ui", "tid": "blue"}
ACTOR = {"act": {"sub": "agent-ui", "client_id": "agent-ui"}, "may_act": {"sub": "ada"}}


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer("https://lists.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def verifier(issuer: FakeIssuer) -> Iterator[Verifier]:
    with issuer.verifier(client_ids=["agent-ui"], tenants=["blue"]) as verifier:
        yield verifier


FAULTS: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://evil.test"},
    "another audience": {"aud": "other-api"},
    "no audience": {"aud": OMIT},
    "expired": {"exp": 1},
    "no end": {"exp": OMIT},
    "not yet": {"nbf": 9_999_999_999},
    "an ID token": {"nonce": "n", "at_hash": "h"},
    "a logout token": {"events": {}},
    "bound to a key": {"cnf": {"jkt": "x"}},
    "nobody": {"sub": OMIT},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("more", [{}, ACTOR], ids=["", "on somebody's behalf"])
def test_a_listed_client_and_tenant_make_no_bad_token_good(
    issuer: FakeIssuer, verifier: Verifier, fault: str, more: dict[str, object]
) -> None:
    with pytest.raises(TokenError):
        verifier.verify_now(issuer.mint("ada", claims={**LISTED, **more, **FAULTS[fault]}))
    assert verifier.verify_now(issuer.mint("ada", claims={**LISTED, **more})).user_id == "blue:ada"


def test_a_listed_client_and_tenant_make_no_forgery_good(issuer: FakeIssuer, verifier: Verifier) -> None:
    forger = FakeKey.generate("ES256", kid=issuer.signing_key().kid)
    with pytest.raises(TokenError):
        verifier.verify_now(issuer.mint("ada", key=forger, claims={**LISTED, **ACTOR}))


@pytest.mark.parametrize(
    "changed",
    [
        {"azp": "other", "client_id": "other"},
        {"azp": OMIT, "client_id": OMIT},
        {"tid": "red"},
        {"tid": OMIT},
        {"tid": ["blue", "red"]},
        {"azp": OMIT, "client_id": OMIT, **ACTOR},
        {"tid": OMIT, "act": {"tid": "blue"}},
    ],
)
def test_who_is_on_no_list_is_refused_and_an_actor_stands_in_for_nobody(
    issuer: FakeIssuer, verifier: Verifier, changed: dict[str, object]
) -> None:
    with pytest.raises(TokenError):
        verifier.verify_now(issuer.mint("ada", claims={**LISTED, **changed}))
