"""What a minted token says: good unless told otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import OMIT, Clock, FakeIssuer, FakeKey, Provider, TokenKind, auth_header


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    header, payload, _signature = token.split(".")
    return json.loads(_decode(header)), json.loads(_decode(payload))


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture(scope="module")
def issuer() -> FakeIssuer:
    return FakeIssuer("https://idp.test/a/", clock=Clock(1_700_000_000.9), algorithms=("ES256", "RS256"))


def test_an_access_token_is_complete_by_default(issuer: FakeIssuer) -> None:
    header, claims = read(issuer.mint())
    assert header == {"alg": "ES256", "kid": issuer.signing_key("ES256").kid, "typ": "JWT"}
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://idp.test/a/",
        "sub": "user-1",
        "aud": "agent-api",
        "exp": 1_700_000_300,
        "iat": 1_700_000_000,
        "client_id": "agent-ui",
    }


def test_the_arguments_show_in_the_token(issuer: FakeIssuer) -> None:
    _, claims = read(
        issuer.mint(
            "ada",
            audience=("one", "two"),
            scope="agents:run agents:read",
            expires_in=60,
            issued_ago=10,
            client_id="cli",
        )
    )
    assert claims["sub"] == "ada"
    assert claims["aud"] == ["one", "two"]
    assert claims["scope"] == "agents:run agents:read"
    assert (claims["iat"], claims["exp"]) == (1_699_999_990, 1_700_000_060)
    assert claims["client_id"] == "cli"


def test_no_two_tokens_are_alike(issuer: FakeIssuer) -> None:
    assert len({read(issuer.mint())[1]["jti"] for _ in range(20)}) == 20


def test_claims_and_header_are_laid_on_top_and_omit_takes_members_out(issuer: FakeIssuer) -> None:
    header, claims = read(
        issuer.mint(claims={"roles": ["admin"], "aud": OMIT, "exp": "soon"}, header={"typ": "at+jwt", "kid": OMIT})
    )
    assert header == {"alg": "ES256", "typ": "at+jwt"}
    assert claims["roles"] == ["admin"]
    assert claims["exp"] == "soon"
    assert "aud" not in claims


def test_an_expired_token_was_not_issued_after_it_expired(issuer: FakeIssuer) -> None:
    _, claims = read(issuer.mint(expires_in=-120))
    assert claims["exp"] == claims["iat"] == 1_700_000_000 - 120


def test_tokens_follow_the_clock() -> None:
    clock = Clock(1_700_000_000)
    issuer = FakeIssuer(clock=clock, algorithms=("ES256",))
    clock.advance(50)
    assert read(issuer.mint())[1]["iat"] == 1_700_000_050


def test_without_a_clock_tokens_carry_the_real_time() -> None:
    before = int(time.time())
    assert before <= read(FakeIssuer(algorithms=("ES256",)).mint())[1]["iat"] <= time.time()


def test_default_claims_stand_in_access_tokens_only_and_below_the_claims_of_one_token() -> None:
    issuer = FakeIssuer(algorithms=("ES256",), default_claims={"typ": "Bearer", "tenant": "acme", "jti": OMIT})
    _, claims = read(issuer.mint(claims={"tenant": "other"}))
    assert (claims["typ"], claims["tenant"], "jti" in claims) == ("Bearer", "other", False)
    assert "tenant" not in read(issuer.mint(kind="id"))[1]


def test_an_id_token_is_for_the_client_and_tied_to_a_login(issuer: FakeIssuer) -> None:
    _, claims = read(issuer.mint(kind="id", client_id="cli"))
    assert claims["aud"] == "cli"
    assert claims["nonce"]
    assert len(_decode(claims["at_hash"])) == 16  # half of SHA-256, the hash of ES256
    assert "client_id" not in claims


@pytest.mark.parametrize(("alg", "size"), [("RS256", 16), ("ES384", 24), ("PS512", 32), ("EdDSA", 32), ("Ed25519", 32)])
def test_at_hash_is_half_of_the_algorithms_hash(alg: str, size: int) -> None:
    _, claims = read(FakeIssuer(algorithms=(alg,)).mint(kind="id"))
    assert len(_decode(claims["at_hash"])) == size


def test_a_logout_token_carries_its_event_and_no_nonce(issuer: FakeIssuer) -> None:
    header, claims = read(issuer.mint(kind="logout"))
    assert header["typ"] == "logout+jwt"
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims["sid"]
    assert "nonce" not in claims


def test_a_refresh_token_is_for_the_issuer_alone_and_signed_with_a_secret(issuer: FakeIssuer) -> None:
    header, claims = read(issuer.mint(kind="refresh", scope="offline_access"))
    assert header["alg"] == "HS512"
    assert (claims["typ"], claims["aud"]) == ("Refresh", issuer.issuer_url)
    assert header["kid"] not in {key.kid for key in issuer.keys if isinstance(key, FakeKey)}


def test_a_refresh_token_may_be_signed_with_a_public_algorithm_when_asked(issuer: FakeIssuer) -> None:
    header, claims = read(issuer.mint(kind="refresh", alg="RS256"))
    assert (header["alg"], claims["typ"]) == ("RS256", "Refresh")


def test_an_unknown_kind_is_refused(issuer: FakeIssuer) -> None:
    kind: Any = "session"
    with pytest.raises(ConfigurationError, match=r"'session'.*logout"):
        issuer.mint(kind=kind)


@pytest.mark.parametrize("kind", ["access", "id", "logout"])
def test_a_forgers_key_signs_every_kind(issuer: FakeIssuer, kind: TokenKind) -> None:
    forger = FakeKey.generate("ES384", kid="forged")
    header, _ = read(issuer.mint(key=forger, kind=kind))
    assert (header["alg"], header["kid"]) == ("ES384", "forged")


def test_an_algorithm_that_contradicts_the_key_is_refused_and_one_that_agrees_is_not(issuer: FakeIssuer) -> None:
    key = FakeKey.generate("ES256", kid="mine")
    with pytest.raises(ConfigurationError, match=r"leave alg out"):
        issuer.mint(alg="RS256", key=key)
    assert read(issuer.mint(alg="ES256", key=key))[0]["kid"] == "mine"


def test_an_algorithm_without_a_key_is_refused_with_what_to_do(issuer: FakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match=r"algorithms=.*rotate\('PS256'\)"):
        issuer.mint(alg="PS256")


def test_sign_takes_header_and_payload_as_they_are() -> None:
    key = FakeKey.from_secret(b"secret-of-thirty-two-bytes-long!")
    token = FakeIssuer(algorithms=()).sign(b'{"alg":"RS256","alg":"none"}', b"\xff not json", key)
    header, payload, signature = token.split(".")
    assert _decode(header) == b'{"alg":"RS256","alg":"none"}'
    assert _decode(payload) == b"\xff not json"
    assert _decode(signature) == hmac.digest(
        b"secret-of-thirty-two-bytes-long!", f"{header}.{payload}".encode(), hashlib.sha256
    )


def test_without_a_key_the_signature_is_empty() -> None:
    token = FakeIssuer(algorithms=()).sign({"alg": "none"}, {"sub": "ada"}, None)
    assert read(token) == ({"alg": "none"}, {"sub": "ada"})
    assert token.endswith(".")


def test_the_auth_header_carries_the_token_as_a_bearer() -> None:
    assert auth_header("a.b.c") == {"Authorization": "Bearer a.b.c"}


def test_omit_reads_as_itself() -> None:
    assert repr(OMIT) == "OMIT"


@pytest.mark.parametrize(
    ("url", "provider", "member"),
    [
        ("https://id.example.com/realms/acme", "auto", "typ"),
        ("https://idp.test", "keycloak", "typ"),
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123", "auto", "token_use"),
        ("https://acme.eu.auth0.com/", "auto", "azp"),
    ],
)
def test_tokens_look_like_the_provider_named_or_recognised_by_its_url(
    url: str, provider: Provider, member: str
) -> None:
    assert member in read(FakeIssuer(url, provider=provider, algorithms=("ES256",)).mint())[1]
    plain = read(FakeIssuer(url, provider="generic", algorithms=("ES256",)).mint())[1]
    assert plain.keys() == {"iss", "sub", "aud", "exp", "iat", "jti", "client_id"}


def test_an_audience_that_is_asked_for_stands_where_the_provider_would_give_none() -> None:
    issuer = FakeIssuer(provider="cognito", algorithms=("ES256",))
    assert "aud" not in read(issuer.mint())[1]
    assert read(issuer.mint(audience="agent-api"))[1]["aud"] == "agent-api"
    assert read(issuer.mint(kind="id"))[1]["aud"] == "agent-ui"


def test_an_unknown_provider_is_refused_at_once() -> None:
    provider: Any = "okto"
    with pytest.raises(ConfigurationError, match=r"'okto'.*keycloak.*default_claims"):
        FakeIssuer(provider=provider)
