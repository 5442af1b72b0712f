"""What the rows ask of the settings: tenants of Entra, Google's spellings, ids of several issuers, odd claims."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from oidcbridge import ConfigurationError, DynamicIssuers, Issuer, Verifier
from oidcbridge.errors import ClaimError, IssuerMismatchError, TokenTypeError, UnknownIssuerError
from oidcbridge.profiles import profile_for
from oidcbridge.testing import FakeIssuer, FakeKey

T1, T2, T3 = (f"{digit * 8}-1111-2222-3333-444444444444" for digit in "abc")
HOST = "https://login.microsoftonline.com"
ALL = f"{HOST}/organizations/v2.0"
GOOGLE = "https://accounts.google.com"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://acme.okta.com/oauth2/default", "okta"),
        ("https://acme.oktapreview.com/oauth2/aus1", "okta"),
        ("https://acme.okta.com/oauth2/default/v1", "generic"),
        ("https://okta.com.evil.example/oauth2/default", "generic"),
        (f"{HOST}/{T1}/v2.0", "entra"),
        (ALL, "entra"),
        (f"https://sts.windows.net/{T1}/", "entra"),
        (f"https://login.microsoftonline.us/{T1}/v2.0", "entra"),
        (f"https://acme.ciamlogin.com/{T1}/v2.0", "entra"),
        (f"{HOST}/{T1}", "generic"),
        (f"https://sts.windows.net/{T1}", "generic"),
        ("https://accounts.google.com", "google"),
        ("https://accounts.google.com/", "generic"),
        ("https://acme-x1y2.zitadel.cloud", "zitadel"),
        ("https://zitadel.cloud.evil.example", "generic"),
        ("https://sso.acme.example/application/o/agents/", "authentik"),
        ("https://sso.acme.example/application/o/agents", "generic"),
        ("https://acme.example/dex", "dex"),
        ("https://acme.example/dex/x", "generic"),
        ("https://auth.pingone.eu/9b3c7f10/as", "pingone"),
        ("https://auth.pingone.com.au/9b3c7f10/as", "pingone"),
        ("https://auth.pingone.eu/9b3c7f10", "generic"),
    ],
)
def test_the_row_is_chosen_by_the_issuer_url(url: str, name: str) -> None:
    assert profile_for("auto", url).name == name


class Entra(FakeIssuer):
    """The endpoint for all tenants, whose document names a template, and whose keys may name one tenant."""

    def __init__(self, url: str) -> None:
        super().__init__(url, algorithms=("ES256",), provider="generic", audience="api")
        self.of_one = FakeKey.generate("ES256", kid="of-one")
        [first] = self.keys
        assert isinstance(first, FakeKey)
        self.keys[:] = [
            {**first.public_jwk(), "issuer": f"{HOST}/{{tenantid}}/v2.0"},
            {**self.of_one.public_jwk(), "issuer": f"{HOST}/{T1}/v2.0"},
        ]
        template = url.replace("organizations", "{tenantid}").replace("common", "{tenantid}")
        self.discovery_override = json.dumps({"issuer": template, "jwks_uri": f"{url.rstrip('/')}/jwks"}).encode()

    def token(self, tenant: object, *, key: FakeKey | None = None, iss: str | None = None) -> str:
        claims = {"iss": iss or f"{HOST}/{tenant}/v2.0", "tid": tenant, "oid": "alice", "scp": "run", "azp": "ui"}
        return self.mint("pairwise", claims=claims, key=key)


@pytest.fixture
def entra() -> Iterator[Entra]:
    with Entra(ALL).impersonate() as issuer:
        yield issuer


def test_the_same_user_id_in_two_tenants_is_two_users(entra: Entra) -> None:
    with entra.verifier(tenants=[T1, T2]) as verifier:
        users = {tenant: verifier.verify_now(entra.token(tenant)) for tenant in (T1, T2)}
    assert {tenant: one.user_id for tenant, one in users.items()} == {T1: f"{T1}:alice", T2: f"{T2}:alice"}
    assert {tenant: one.tenant for tenant, one in users.items()} == {T1: T1, T2: T2}
    assert {one.issuer for one in users.values()} == {f"{HOST}/{T1}/v2.0", f"{HOST}/{T2}/v2.0"}


def test_a_tenant_that_is_not_on_the_list_is_a_stranger_and_nothing_is_fetched_for_it(entra: Entra) -> None:
    with entra.verifier(tenants=[T1]) as verifier:
        for token in (entra.token(T3), entra.token("{tenantid}"), entra.token("organizations")):
            with pytest.raises((UnknownIssuerError, ClaimError)):
                verifier.verify_now(token)
        assert entra.fetches["jwks"] == 0


def test_the_tenant_in_iss_and_the_one_in_tid_are_one(entra: Entra) -> None:
    with entra.verifier(tenants=[T1, T2]) as verifier:
        for tid in (T2, "", None, [T1]):
            with pytest.raises(IssuerMismatchError):
                verifier.verify_now(entra.token(tid, iss=f"{HOST}/{T1}/v2.0"))


def test_a_key_of_one_tenant_signs_for_no_other(entra: Entra) -> None:
    with entra.verifier(tenants=[T1, T2]) as verifier:
        assert verifier.verify_now(entra.token(T1, key=entra.of_one)).user_id == f"{T1}:alice"
        with pytest.raises(IssuerMismatchError, match="another issuer's"):
            verifier.verify_now(entra.token(T2, key=entra.of_one))


def test_a_token_that_was_good_is_refused_once_its_key_is_given_to_another_tenant(entra: Entra) -> None:
    with entra.verifier(tenants=[T1, T2]) as verifier:
        token = entra.token(T1, key=entra.of_one)
        assert verifier.verify_now(token).user_id == f"{T1}:alice"
        entra.keys[1] = {**entra.of_one.public_jwk(), "issuer": f"{HOST}/{T2}/v2.0"}
        asyncio.run(verifier.refresh(force=True))
        with pytest.raises(IssuerMismatchError):
            verifier.verify_now(token)


def test_version_one_of_entra_has_a_template_of_its_own() -> None:
    issuer = Entra("https://sts.windows.net/common/")
    with issuer.impersonate(), issuer.verifier(tenants=[T1]) as verifier:
        token = issuer.token(T1, iss=f"https://sts.windows.net/{T1}/")
        assert verifier.verify_now(token).user_id == f"{T1}:alice"


@pytest.mark.parametrize("tenants", [[], ["acme.onmicrosoft.com"], [T1, "acme"], [T1.upper()]])
@pytest.mark.parametrize("url", [ALL, f"{HOST}/common/v2.0", "https://sts.windows.net/organizations/"])
def test_an_issuer_of_all_tenants_needs_the_list_of_those_that_are_let_in(url: str, tenants: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"stands for every tenant: write tenants=\[…\]"):
        Verifier(issuer_url=url, audience="api", tenants=tenants)
    Verifier(issuer_url=f"{HOST}/{T1}/v2.0", audience="api")


def test_a_tenant_cannot_be_on_a_list_and_an_issuer_beside_it() -> None:
    shared = Issuer(issuer_url=ALL, audience="api", name="all", tenants=[T1, T2])
    with pytest.raises(ConfigurationError, match="stand for the same issuer"):
        Verifier(issuers=[shared, Issuer(issuer_url=f"{HOST}/{T1}/v2.0", audience="api", name="one")])
    Verifier(issuers=[shared, Issuer(issuer_url=f"{HOST}/{T3}/v2.0", audience="api", name="three")])


def test_both_spellings_of_google_are_one_issuer_and_no_third() -> None:
    google = FakeIssuer(GOOGLE, algorithms=("RS256",), provider="generic", audience="client")
    with google.impersonate(), google.verifier(accept_id_tokens=True) as verifier:
        minted = {spelling: google.mint("1", claims={"iss": spelling}) for spelling in ("accounts.google.com", GOOGLE)}
        users = {spelling: verifier.verify_now(token) for spelling, token in minted.items()}
        assert {(one.user_id, one.issuer) for one in users.values()} == {("1", GOOGLE)}
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(google.mint("1", claims={"iss": "http://accounts.google.com"}))


@pytest.mark.parametrize("claim", ["jti", "uti", "event_id", ["sid", "jti"]])
def test_what_names_a_token_is_no_session(claim: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="names the token and not the session"):
        Verifier(issuer_url="https://id.example.com", audience="api", session_id_claim=claim)
    Verifier(issuer_url="https://id.example.com", audience="api", session_id_claim="sid")


@pytest.mark.parametrize("value", ["true", 1, "yes"])
def test_accepting_id_tokens_is_a_yes_or_a_no(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="accept_id_tokens is True or False"):
        Verifier(issuer_url="https://id.example.com", audience="api", accept_id_tokens=value)


def test_a_provider_without_a_row_may_have_its_id_tokens_accepted_by_name() -> None:
    with FakeIssuer("https://idp.test").impersonate() as issuer:
        token = issuer.mint("ada", kind="id", audience=issuer.audience)
        with issuer.verifier() as verifier, pytest.raises(TokenTypeError):
            verifier.verify_now(token)
        with issuer.verifier(accept_id_tokens=True) as verifier:
            assert verifier.verify_now(token).user_id == "ada"


def both(*, unqualified: bool | None) -> tuple[str, str]:
    """The user id of the same subject at two issuers."""
    acme, other = FakeIssuer("https://acme.test"), FakeIssuer("https://other.test")
    issuers = [
        Issuer(issuer_url=one.issuer_url, audience=one.audience, name=name)
        for name, one in (("acme", acme), ("other", other))
    ]
    said: dict[str, Any] = {} if unqualified is None else {"unqualified_user_ids": unqualified}
    with acme.impersonate(), other.impersonate(), Verifier(issuers=issuers, **said) as verifier:
        return verifier.verify_now(acme.mint("ada")).user_id, verifier.verify_now(other.mint("ada")).user_id


def test_ids_of_several_issuers_are_plain_only_where_that_is_written(caplog: pytest.LogCaptureFixture) -> None:
    assert both(unqualified=None) == both(unqualified=False) == ("acme:ada", "other:ada")
    assert "unqualified_user_ids" not in caplog.text
    assert both(unqualified=True) == ("ada", "ada")
    assert "unqualified_user_ids=True: a user id is the same whichever issuer it comes from" in caplog.text


def test_ids_of_tenants_are_never_plain() -> None:
    with pytest.raises(ConfigurationError, match="DynamicIssuers has no use for it"):
        Verifier(issuers=DynamicIssuers(allow="https://{t}.test/", audience="api"), unqualified_user_ids=True)
    with pytest.raises(ConfigurationError, match="True or False"):
        Verifier(
            issuers=[Issuer(issuer_url="https://acme.test", audience="api", name="acme")],
            unqualified_user_ids="yes",  # type: ignore[arg-type]
        )
    with pytest.raises(ConfigurationError, match="goes with issuers="):
        Verifier(issuer_url="https://acme.test", audience="api", unqualified_user_ids=True)


def test_a_claim_of_a_wrong_type_is_skipped_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "oidcbridge.claims")
    odd = {"roles": 7, "groups": ["g", {"x": "secret"}], "sid": True, "scope": {"a": 1}, "org_id": []}
    with FakeIssuer("https://idp.test").impersonate() as issuer, issuer.verifier() as verifier:
        for _ in range(3):
            principal = verifier.verify_now(issuer.mint("ada", claims=odd))
            assert (principal.roles, principal.groups, principal.session_id) == ((), ("g",), None)
            assert (principal.scopes, principal.tenant) == ((), None)
    messages = sorted(record.getMessage() for record in caplog.records)
    assert len(messages) == 3
    assert "'groups' holds a list with other members than text, which is skipped" in messages[0]
    assert "'roles' holds a number" in messages[1]
    assert "'sid' holds true or false" in messages[2]
    assert all(message.startswith("https://idp.test: ") and "secret" not in message for message in messages)


def test_groups_that_the_provider_left_out_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with FakeIssuer("https://idp.test").impersonate() as issuer, issuer.verifier() as verifier:
        for _ in range(2):
            principal = verifier.verify_now(issuer.mint("ada", claims={"hasgroups": True}))
            assert (principal.groups, principal.groups_complete) == ((), False)
    [record] = [one for one in caplog.records if one.name == "oidcbridge.claims"]
    assert "groups_complete is False" in record.getMessage()
