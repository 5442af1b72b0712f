"""The verifier as a whole: what it answers, what a token may not be, and what it never shows."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    ExpiredTokenError,
    KeyNotFoundError,
    MalformedTokenError,
    TokenError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.verifier.ways import WAYS, Verify


@WAYS
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_every_way_of_asking_gives_the_same_answer(issuer: FakeIssuer, verify: Verify, alg: str) -> None:
    forger = FakeKey.generate(alg, kid=issuer.signing_key(alg).kid)
    with issuer.verifier() as verifier:
        assert verify(verifier, issuer.mint("ada", alg=alg, scope="a b")).scopes == ("a", "b")
        for token, error in [
            (issuer.mint("ada", alg=alg, audience="x"), AudienceMismatchError),
            (issuer.mint("ada", alg=alg, expires_in=-100), ExpiredTokenError),
            (issuer.mint("ada", key=forger), BadSignatureError),
            (issuer.mint("ada", key=FakeKey.generate(alg)), KeyNotFoundError),
            ("not a token", MalformedTokenError),
        ]:
            with pytest.raises(error):
                verify(verifier, token)


@WAYS
def test_every_way_of_asking_heals_a_kid_given_to_new_material(
    issuer: FakeIssuer, clock: Clock, verify: Verify
) -> None:
    with issuer.verifier() as verifier:
        verify(verifier, issuer.mint())
        new = FakeKey.generate("ES256", kid=issuer.signing_key("ES256").kid)
        issuer.keys[:] = [new]
        clock.advance(61)
        assert verify(verifier, issuer.mint("ada", key=new)).user_id == "ada"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "a" * 20_000,
        "é.b.c",
        "\ud800.b.c",
        "a.b.c\n",
        None,
        7,
        b"a.b.c",
        ["a.b.c"],
    ],
)
def test_what_is_no_token_is_refused_and_nothing_is_fetched_for_it(issuer: FakeIssuer, token: Any) -> None:
    with issuer.verifier() as verifier:
        with pytest.raises(MalformedTokenError):
            verifier.verify_now(token)
        with pytest.raises(MalformedTokenError):
            asyncio.run(verifier.verify(token))
    assert issuer.fetches.total() == 0


def test_a_token_of_16_kib_passes_and_a_longer_one_is_refused_before_it_is_looked_at(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        bare = len(issuer.mint("ada", claims={"pad": ""}))
        longest = issuer.mint("ada", claims={"pad": "x" * ((16 * 1024 - bare) * 3 // 4 - 3)})
        assert 16 * 1024 - 16 < len(longest) <= 16 * 1024
        assert verifier.verify_now(longest).user_id == "ada"
        too_long = issuer.mint("ada", claims={"pad": "x" * ((16 * 1024 - bare) * 3 // 4 + 20)})
        with pytest.raises(MalformedTokenError, match="16384"):
            verifier.verify_now(too_long)


def test_a_token_that_is_too_long_is_not_even_looked_up(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    class Hash:
        def copy(self) -> Any:
            return SimpleNamespace(update=self.update, digest=lambda: self.value)

        def update(self, data: bytes) -> None:
            hashed.append(len(data))
            self.value = hashlib.sha256(data).digest()

    monkeypatch.setattr("oidcbridge.token_cache._NOTHING_HASHED", Hash())
    with issuer.verifier() as verifier:
        with pytest.raises(MalformedTokenError, match="16384"):
            verifier.verify_now("x" * 1_000_000)
        assert hashed == []
        token = issuer.mint("ada")
        assert verifier.verify_now(token).user_id == "ada"
        assert set(hashed) == {len(token)}


def test_no_refusal_shows_the_token_or_its_contents(issuer: FakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    private = "alice@example.com"
    forger = FakeKey.generate("ES256", kid=issuer.signing_key("ES256").kid)
    tokens = [
        issuer.mint(private, audience="x"),
        issuer.mint(private, expires_in=-100),
        issuer.mint(private, key=forger),
        issuer.mint(private, key=FakeKey.generate("ES256")),
        issuer.mint(private, kind="id", claims={"aud": "agent-api"}),
        issuer.mint(private, claims={"sub": 7}),
        issuer.mint(private)[:-2] + "!!",
        issuer.mint(private, header={"crit": ["x"]}),
    ]
    with issuer.verifier() as verifier:
        for token in tokens:
            with pytest.raises(TokenError) as caught:
                verifier.verify_now(token)
            for secret in (private, token, *token.split(".")):
                assert secret not in f"{caught.value}{caught.value!r}{caplog.text}"


def test_a_strange_kid_reaches_the_log_and_the_message_escaped_and_cut(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with issuer.verifier() as verifier:
        for kid in ("x\nINFO forged line", "\x1b[31m", "\u202e", "\x00", "k" * 256):
            with pytest.raises(KeyNotFoundError) as caught:
                verifier.verify_now(issuer.mint(key=FakeKey.generate("ES256", kid=kid)))
            text = f"{caught.value}{caplog.text.replace(chr(10), '')}"
            assert text.isascii()
            assert text.isprintable()
            assert len(str(caught.value)) < 1000


def test_the_profile_that_was_chosen_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "oidcbridge")
    Verifier(issuer_url="https://id.example.com/realms/acme", audience="agent-api")
    [record] = caplog.records
    url = "https://id.example.com/realms/acme"
    assert record.getMessage() == f"issuer {url}: provider profile 'keycloak', by its issuer URL"


def test_claims_of_a_principal_cannot_be_changed_for_the_next_request(issuer: FakeIssuer) -> None:
    with issuer.verifier(dependencies_claims=["realm"]) as verifier:
        token = issuer.mint("ada", claims={"realm": {"roles": ["analyst"]}})
        for principal in (verifier.verify_now(token), verifier.verify_now(token)):  # the second one is remembered
            with pytest.raises(TypeError):
                principal.claims["sub"] = "eve"  # type: ignore[index]
            with pytest.raises(TypeError):
                principal.claims["realm"]["roles"] = ["admin"]
            with pytest.raises(TypeError):
                principal.dependencies["realm"]["roles"] = ["admin"]
            with pytest.raises(AttributeError):
                principal.claims["realm"]["roles"].append("admin")
            with pytest.raises(AttributeError):
                principal.user_id = "eve"  # type: ignore[misc]
        again = verifier.verify_now(token)
        assert again is principal
        assert again.claims["realm"]["roles"] == ("analyst",)


def test_a_token_s_own_keys_are_never_used(issuer: FakeIssuer) -> None:
    forger = FakeKey.generate("ES256")
    with FakeIssuer("https://evil.test").impersonate() as evil, issuer.verifier() as verifier:
        evil.publish(forger)
        for header in (
            {"jwk": forger.public_jwk()},
            {"jku": f"{evil.issuer_url}/jwks"},
            {"x5u": f"{evil.issuer_url}/jwks"},
            {"kid": f"{evil.issuer_url}/jwks"},
        ):
            with pytest.raises(TokenError):
                verifier.verify_now(issuer.mint("ada", key=forger, header=header))
        assert evil.fetches.total() == 0


def test_a_signature_is_over_the_bytes_that_came_and_no_others(issuer: FakeIssuer) -> None:
    with issuer.verifier() as verifier:
        header, payload, signature = issuer.mint("ada").split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        spaced = base64.urlsafe_b64encode(json.dumps(claims, indent=1).encode()).rstrip(b"=").decode()
        with pytest.raises(BadSignatureError):
            verifier.verify_now(f"{header}.{spaced}.{signature}")
        assert verifier.verify_now(f"{header}.{payload}.{signature}").user_id == "ada"
