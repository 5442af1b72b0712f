"""``provider="auto"`` at a host name of the customer's own: the discovery document tells, before the first token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from oidcbridge import Issuer, Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    DiscoveryError,
    ExpiredTokenError,
    KeysUnavailableError,
    ProviderError,
    RevokedTokenError,
    TokenTypeError,
)
from oidcbridge.profiles import PROFILES, recognise_by_endpoints
from oidcbridge.testing import Clock, FakeIssuer, FakeResponse

URL = "https://login.acme.example"


def document(base: str, **endpoints: str) -> dict[str, Any]:
    return {"issuer": base, **{name: f"{base}{path}" for name, path in endpoints.items()}}


#: Provider -> its discovery document at another host, as the provider itself writes it.
DOCUMENTS = {
    "keycloak": document(
        f"{URL}/auth",
        authorization_endpoint="/protocol/openid-connect/auth",
        token_endpoint="/protocol/openid-connect/token",
        jwks_uri="/protocol/openid-connect/certs",
    ),
    "auth0": {
        **document(
            URL,
            authorization_endpoint="/authorize",
            token_endpoint="/oauth/token",
            mfa_challenge_endpoint="/mfa/challenge",
            jwks_uri="/.well-known/jwks.json",
        ),
        "issuer": f"{URL}/",
    },
    "okta": document(
        f"{URL}/oauth2/default",
        authorization_endpoint="/v1/authorize",
        token_endpoint="/v1/token",
        jwks_uri="/v1/keys",
    ),
    "zitadel": document(
        URL, authorization_endpoint="/oauth/v2/authorize", token_endpoint="/oauth/v2/token", jwks_uri="/oauth/v2/keys"
    ),
    "authentik": {
        **document(
            URL,
            authorization_endpoint="/application/o/authorize/",
            token_endpoint="/application/o/token/",
            jwks_uri="/application/o/agents/jwks/",
        ),
        "issuer": f"{URL}/",
    },
    "dex": document(
        URL,
        authorization_endpoint="/auth",
        token_endpoint="/token",
        jwks_uri="/keys",
        userinfo_endpoint="/userinfo",
        device_authorization_endpoint="/device/code",
    ),
    "hydra": document(
        URL,
        authorization_endpoint="/oauth2/auth",
        token_endpoint="/oauth2/token",
        jwks_uri="/.well-known/jwks.json",
    ),
    "pingone": document(
        f"{URL}/as",
        authorization_endpoint="/authorize",
        token_endpoint="/token",
        jwks_uri="/jwks",
        end_session_endpoint="/signoff",
    ),
    "generic": document(URL, authorization_endpoint="/authorize", token_endpoint="/token", jwks_uri="/jwks"),
}


@pytest.mark.parametrize("provider", DOCUMENTS)
def test_a_document_tells_its_provider(provider: str) -> None:
    assert recognise_by_endpoints(DOCUMENTS[provider]).profile.name == provider


@pytest.mark.parametrize("provider", [name for name in DOCUMENTS if name != "generic"])
def test_a_document_that_fits_in_part_tells_nothing(provider: str) -> None:
    for missing in PROFILES[provider].endpoints:
        for other in ({}, {missing: 5}, {missing: f"{URL}/elsewhere"}):
            changed = {name: value for name, value in DOCUMENTS[provider].items() if name != missing}
            assert recognise_by_endpoints({**changed, **other}).profile.name == "generic"


class AtHome(FakeIssuer):
    """A provider at a host name of the customer's own: its document, and its keys where that says."""

    def __init__(self, provider: str, clock: Clock) -> None:
        self.document = DOCUMENTS[provider]
        super().__init__(self.document["issuer"], clock=clock, algorithms=("ES256",), provider="generic")

    def discovery(self) -> dict[str, object]:
        return self.document

    def handle(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> FakeResponse:
        return super().handle(method, self._as_ours(target), headers, body)

    def record_arrival(self, target: str) -> None:
        super().record_arrival(self._as_ours(target))

    def _as_ours(self, target: str) -> str:
        base = urlsplit(self.issuer_url).path.rstrip("/")
        return f"{base}/jwks" if target == urlsplit(self.document["jwks_uri"]).path else target


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def okta(clock: Clock) -> Iterator[AtHome]:
    """Okta; its users' lasting id is ``uid``."""
    with AtHome("okta", clock).impersonate() as issuer:
        yield issuer


def mint(issuer: FakeIssuer, **claims: object) -> str:
    return issuer.mint("ada@acme.example", claims={"cid": "0oa1", "uid": "00u1", "scp": ["tools:run"], **claims})


def test_the_first_token_is_judged_by_the_provider_that_the_document_tells(
    okta: AtHome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oidcbridge.verifier")
    with okta.verifier() as verifier:
        principal = verifier.verify_now(mint(okta))
        assert (principal.user_id, principal.client_id, principal.scopes) == ("00u1", "0oa1", ("tools:run",))
        assert verifier.verify_now(mint(okta)).user_id == "00u1"
    messages = [record.getMessage() for record in caplog.records if "profile" in record.getMessage()]
    assert len(messages) == 2
    assert "its discovery document will tell" in messages[0]
    assert "provider profile 'okta', by the endpoints in its discovery document" in messages[1]
    assert okta.fetches == {"discovery": 1, "jwks": 1, "token": 0}


def test_async_callers_wait_for_it_too(okta: AtHome) -> None:
    async def verify_two() -> list[str]:
        with okta.verifier() as verifier:
            both = await asyncio.gather(verifier.verify(mint(okta)), verifier.verify(mint(okta)))
            return [principal.user_id for principal in both]

    assert asyncio.run(verify_two()) == ["00u1", "00u1"]
    assert okta.fetches["discovery"] == 1


def test_its_rules_hold_and_not_the_generic_ones(okta: AtHome) -> None:
    with okta.verifier() as verifier, pytest.raises(TokenTypeError, match="'cid'"):
        verifier.verify_now(okta.mint("ada", claims={"uid": "00u1"}))


def test_while_the_provider_is_down_nobody_is_judged_by_a_guess(okta: AtHome, clock: Clock) -> None:
    with okta.verifier() as verifier:
        with okta.outage(), pytest.raises(ProviderError):
            verifier.verify_now(mint(okta))
        clock.advance(60)
        assert verifier.verify_now(mint(okta)).user_id == "00u1"


def test_a_document_of_somebody_else_is_an_outage(okta: AtHome) -> None:
    okta.document = {**okta.document, "issuer": "https://evil.example"}
    with okta.verifier() as verifier:
        with pytest.raises(KeysUnavailableError):
            verifier.verify_now(mint(okta))
        with pytest.raises(DiscoveryError):
            asyncio.run(verifier.warm(strict=True))


def test_what_was_decided_stands_though_the_document_changes(okta: AtHome, clock: Clock) -> None:
    with okta.verifier() as verifier:
        assert verifier.verify_now(mint(okta)).user_id == "00u1"
        okta.document = {"issuer": okta.issuer_url, "jwks_uri": f"{okta.issuer_url}/jwks"}
        clock.advance(2 * 86400)
        asyncio.run(verifier.refresh(force=True))
        assert okta.fetches["discovery"] == 2
        assert verifier.verify_now(mint(okta)).user_id == "00u1"


@pytest.mark.parametrize(
    ("minted", "error"),
    [({"expires_in": -600}, ExpiredTokenError), ({"audience": "other-api"}, AudienceMismatchError)],
)
def test_what_no_provider_s_token_could_be_is_refused_before_any_fetch(
    okta: AtHome, minted: dict[str, Any], error: type[Exception]
) -> None:
    with okta.verifier() as verifier, pytest.raises(error):
        verifier.verify_now(okta.mint("ada", **minted))
    assert okta.fetches.total() == 0


def test_a_provider_that_is_named_waits_for_no_document(okta: AtHome) -> None:
    arguments: dict[str, Any] = {"provider": "generic", "jwks": okta.jwks()}
    with okta.verifier(**arguments) as verifier:
        assert verifier.verify_now(mint(okta)).user_id == "ada@acme.example"
    assert okta.fetches.total() == 0


def test_where_the_keys_address_is_given_no_document_is_ever_asked(okta: AtHome) -> None:
    with okta.verifier(jwks_uri=f"{okta.issuer_url}/jwks") as verifier:
        assert verifier.verify_now(mint(okta)).user_id == "ada@acme.example"
    assert okta.fetches == {"discovery": 0, "jwks": 1, "token": 0}


def test_on_an_event_loop_s_thread_nothing_is_waited_for(okta: AtHome) -> None:
    async def verify() -> str:
        with okta.verifier() as verifier:
            with pytest.raises(KeysUnavailableError):
                verifier.verify_now(mint(okta))
            await verifier.warm(strict=True)
            return verifier.verify_now(mint(okta)).user_id

    assert asyncio.run(verify()) == "00u1"


def test_one_of_several_issuers_keeps_its_name_before_its_ids_and_its_denied_keys(okta: AtHome, clock: Clock) -> None:
    issuers = [Issuer(issuer_url=okta.issuer_url, audience=okta.audience, name="acme")]
    with Verifier(issuers=issuers, clock=clock) as verifier:
        assert verifier.verify_now(mint(okta)).user_id == "acme:00u1"
        verifier.deny_key(okta.signing_key().kid)
        with pytest.raises(RevokedTokenError):
            verifier.verify_now(mint(okta))


def test_a_worker_that_starts_from_shared_keys_goes_by_what_the_document_told_another(
    okta: AtHome, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    store = tmp_path / "keys"
    with okta.verifier(key_store=store) as first:
        assert first.verify_now(mint(okta)).user_id == "00u1"
    with okta.outage(), okta.verifier(key_store=store) as second:
        assert second.verify_now(mint(okta)).user_id == "00u1"


def test_keys_shared_by_a_worker_that_asked_for_no_document_tell_nothing(okta: AtHome, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    store = tmp_path / "keys"
    keys = f"{okta.issuer_url}/v1/keys"
    with okta.verifier(key_store=store, jwks_uri=keys) as first:
        assert first.verify_now(mint(okta)).user_id == "ada@acme.example"
    with okta.verifier(key_store=store) as second:
        with okta.outage(), pytest.raises(KeysUnavailableError, match="write provider="):
            second.verify_now(mint(okta))
        asyncio.run(second.refresh(force=True))
        assert second.verify_now(mint(okta)).user_id == "00u1"


def test_dex_at_a_host_name_of_its_own_says_what_is_missing(clock: Clock) -> None:
    with AtHome("dex", clock).impersonate() as issuer:
        with issuer.verifier() as verifier, pytest.raises(TokenTypeError, match="write accept_id_tokens=True"):
            verifier.verify_now(issuer.mint("ada"))
        with issuer.verifier(accept_id_tokens=True) as verifier:
            assert verifier.verify_now(issuer.mint("ada", claims={"nonce": "n"})).user_id == "ada"
