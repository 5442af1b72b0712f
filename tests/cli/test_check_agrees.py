"""``check`` decides nothing by itself: it lets in what a `Verifier` lets in, and tells every fault apart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.core.keys import parse_key_set
from oidcbridge.core.token import UnverifiedToken, parse_unverified
from oidcbridge.core.verify import VerifiedToken, admit, verify
from oidcbridge.diagnosis import token_checks
from oidcbridge.diagnosis.findings import Finding, Status
from oidcbridge.diagnosis.token_checks import check_token
from oidcbridge.errors import ConfigurationError, OIDCBridgeError, RevokedTokenError
from oidcbridge.profiles import PROFILES, profile_for
from oidcbridge.settings import IssuerSettings, resolve_for_diagnosis
from oidcbridge.testing import OMIT, Clock, FakeIssuer, FakeKey
from tests.providers.sample import Sample, all_samples, sign

NOW = 1_795_290_000.0
ISSUER = FakeIssuer("https://idp.test", clock=Clock(NOW), provider="generic")
KEYS = ISSUER.jwks()


def _settings(arguments: Mapping[str, Any]) -> IssuerSettings:
    return resolve_for_diagnosis({**arguments}, {}).issuers[0]  # type: ignore[typeddict-item]


UNFIT = "refused on the user's line"


def _verified(token: str, arguments: Mapping[str, Any], keys: Mapping[str, Any], now: float) -> Principal | str:
    if any(_is_unfit(one, arguments) for one in ("issuer_url", "audience")):
        with pytest.raises(ConfigurationError):
            Verifier(**arguments, jwks=keys)
        return UNFIT
    with Verifier(**arguments, jwks=keys, clock=Clock(now)) as verifier:
        try:
            return verifier.verify_now(token)
        except OIDCBridgeError as error:
            return error.code


def _checked(
    token: str, arguments: Mapping[str, Any], keys: Mapping[str, Any] = KEYS, now: float = NOW
) -> tuple[list[Finding], Principal | None]:
    findings, principal = check_token(token, _settings(arguments), parse_key_set(json.dumps(keys).encode()), now)
    verdict = _verified(token, arguments, keys, now)
    assert principal == (verdict if isinstance(verdict, Principal) else None)
    if isinstance(verdict, str):
        # A verifier looks for the issuer first, and then at it.
        names = {"unknown_issuer": "issuer_mismatch"}
        assert verdict == UNFIT or names.get(verdict, verdict) in {one.code for one in findings}
    return findings, principal


def _failed(findings: list[Finding]) -> list[str]:
    return [one.check for one in findings if one.status is Status.FAILED]


def _arguments_for(sample: Sample) -> dict[str, Any]:
    audience = sample.payload.get("aud", "agent-api")
    client = sample.payload.get("client_id", "agent-ui")
    named = {"client_ids": [client]} if sample.provider == "cognito" else {}
    return {"issuer_url": sample.issuer, "audience": audience or "agent-api", **named}


def _is_unfit(argument: str, arguments: Mapping[str, Any]) -> bool:
    profile = profile_for(arguments.get("provider", "auto"), arguments.get("issuer_url"))
    said = arguments.get(argument)
    return any(
        isinstance(said, str) and one.argument == argument and re.fullmatch(one.pattern, said) for one in profile.unfit
    )


def _needs(provider: str, issuer_url: str) -> dict[str, Any]:
    """What nothing can be accepted without."""
    return {"accept_id_tokens": True} if profile_for(provider, issuer_url).id_tokens == "needed" else {}


@pytest.mark.parametrize("provider", ["auto", *PROFILES])
@pytest.mark.parametrize(
    "sample", [one for one in all_samples() if "//" in one.issuer], ids=lambda one: f"{one.provider}-{one.name}"
)
def test_every_provider_s_token_is_let_in_where_a_verifier_lets_it_in(sample: Sample, provider: str) -> None:
    token, keys = sign(sample)
    client = {"client_ids": [sample.payload.get("client_id", "agent-ui")]}
    arguments = {**_arguments_for(sample), **client, "provider": provider, **_needs(provider, sample.issuer)}
    for now in (sample.now, sample.now - 900, sample.now + 1e6):
        _checked(token, arguments, keys, now)


ARGUMENTS = {"issuer_url": ISSUER.issuer_url, "audience": "agent-api", "client_ids": ["agent-ui"]}
FAULTS: dict[str, dict[str, Any]] = {
    "algorithm": {"header": {"alg": "none"}},
    "header_type": {"header": {"typ": "dpop+jwt"}},
    "issuer": {"claims": {"iss": "https://idp.test/"}},
    "times": {"expires_in": -900},
    "sender": {"claims": {"cnf": {"jkt": "x"}}},
    "kind": {"claims": {"nonce": "n"}},
    "client": {"client_id": "other-ui"},
    "audience": {"audience": "other-api"},
    "key": {"header": {"kid": "unknown"}},
    "signature": {"key": replace(FakeKey.generate("RS256"), kid=ISSUER.signing_key().kid)},
    "user": {"claims": {"sub": OMIT}},
}


def test_a_flawless_token_passes_every_check() -> None:
    findings, principal = _checked(ISSUER.mint("ada"), ARGUMENTS)
    assert (_failed(findings), principal and principal.user_id) == ([], "ada")
    assert {one.status for one in findings} == {Status.PASSED}


@pytest.mark.parametrize("check", FAULTS)
def test_one_fault_fails_its_own_check_and_no_other(check: str) -> None:
    findings, _ = _checked(ISSUER.mint("ada", **FAULTS[check]), ARGUMENTS)
    assert _failed(findings) == [check]


def test_all_faults_are_told_at_once() -> None:
    token = ISSUER.mint(
        "ada",
        client_id="other-ui",
        audience="other-api",
        expires_in=-900,
        header={"typ": "dpop+jwt"},
        claims={"iss": "https://elsewhere.example", "cnf": {}, "nonce": "n", "sub": OMIT},
        alg="ES256",
    )
    findings, _ = _checked(token, {**ARGUMENTS, "algorithms": ["RS256"]})
    assert _failed(findings) == [
        "algorithm", "header_type", "issuer", "times", "sender", "kind", "client", "audience", "user",
    ]  # fmt: skip
    assert {one.status for one in findings if one.check in ("format", "key", "signature")} == {Status.PASSED}


@pytest.mark.parametrize("claim", ["iat", "nbf", "exp"])
@pytest.mark.parametrize("value", ["soon", True, -1, 1e99, None])
def test_a_time_that_is_none_fails_the_times_alone(claim: str, value: object) -> None:
    findings, _ = _checked(ISSUER.mint("ada", claims={claim: value}), ARGUMENTS)
    assert _failed(findings) == ["times"]


@pytest.mark.parametrize(
    ("claim", "checks"),
    [
        ("sub", ["required_claims", "user"]),
        ("jti", ["required_claims"]),
        ("client_id", ["client"]),
        ("iat", ["times"]),
        ("aud", ["audience"]),
    ],
)
def test_what_rfc_9068_requires_is_missed_where_it_is_looked_at(claim: str, checks: list[str]) -> None:
    arguments = {**ARGUMENTS, "token_type": "at+jwt"}
    header = {"typ": "at+jwt"}
    assert _failed(_checked(ISSUER.mint("ada", header=header), arguments)[0]) == []
    findings, _ = _checked(ISSUER.mint("ada", header=header, claims={claim: OMIT}), arguments)
    assert _failed(findings) == checks


@pytest.mark.parametrize("provider", PROFILES)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("audience", ["agent-api", None])
def test_the_flawless_copy_of_any_token_is_flawless_for_every_profile(
    provider: str, strict: bool, audience: str | None
) -> None:
    arguments = {
        **ARGUMENTS,
        "provider": provider,
        "audience": audience,
        **_needs(provider, ISSUER.issuer_url),
        **({"token_type": "at+jwt"} if strict else {}),
    }
    policy = _settings(arguments).policy
    if strict and audience is None and not policy.rules.audience_required:
        return  # RFC 9068 requires the audience that these settings do not let in: no token is flawless
    admit(token_checks._flawless(parse_unverified(ISSUER.mint("ada")), policy, NOW), policy, NOW)


def test_a_rule_that_the_table_does_not_know_is_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tuple(check for check in token_checks._CHECKS if check.name != "sender")
    monkeypatch.setattr(token_checks, "_CHECKS", known)
    findings, principal = _checked(ISSUER.mint("ada", claims={"cnf": {}}), ARGUMENTS)
    assert (_failed(findings), principal) == (["verdict"], None)
    assert {one.status for one in findings if one.check in ("issuer", "times", "audience")} == {Status.NOT_JUDGED}
    assert _failed(_checked(ISSUER.mint("ada"), ARGUMENTS)[0]) == []


@pytest.mark.parametrize(
    "token", ["", ".", "a.b", "a.b.c", "e30.e30.e30", "ü.ü.ü", "a" * 20_000, "..", "e30.W10.", "\x00"]
)
def test_what_is_no_token_fails_its_format_alone(token: str) -> None:
    findings, principal = _checked(token, ARGUMENTS)
    assert (_failed(findings), len(findings), principal) == (["format"], 1, None)
    assert findings[0].advice is None or "{" not in findings[0].advice.text


def test_what_only_the_whole_token_shows_is_the_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    token = ISSUER.mint("ada")
    claims = parse_unverified(token).claims

    def refuse_the_whole(candidate: UnverifiedToken, *rest: Any) -> VerifiedToken:
        if candidate.claims == claims:
            raise RevokedTokenError("its key has been denied")
        return verify(candidate, *rest)

    monkeypatch.setattr(token_checks, "verify", refuse_the_whole)
    findings, principal = check_token(token, _settings(ARGUMENTS), parse_key_set(json.dumps(KEYS).encode()), NOW)
    assert (_failed(findings), principal) == (["verdict"], None)


def test_static_keys_without_an_issuer_judge_the_rest() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    issuer = _settings({"secret_key": secret})
    key = FakeKey.generate("HS256")
    findings, principal = check_token(ISSUER.mint("ada", key=key), issuer, issuer.keys, NOW)
    assert (_failed(findings), principal) == (["signature"], None)
    findings, _ = check_token(ISSUER.mint("ada", expires_in=-900, key=key), issuer, issuer.keys, NOW)
    assert _failed(findings) == ["times", "signature"]
