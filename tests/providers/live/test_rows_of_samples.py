"""The rows of what no server here can mint: documented tokens, under a key of ours, behind a provider's discovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from oidcbridge.errors import (
    AudienceMismatchError,
    ConfigurationError,
    OIDCBridgeError,
    TokenTypeError,
    UnknownIssuerError,
)
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.providers.conftest import Prove
from tests.providers.rows import ID_TOKEN, ISSUER, ROWS
from tests.providers.sample import Sample, load_sample
from tests.providers.table import Proof

GOOGLE = "https://accounts.google.com"
LOGOUT: Mapping[str, object] = {"http://schemas.openid.net/event/backchannel-logout": {}}


class Issuer(FakeIssuer):
    """Signs samples as they stand, each under the key that it names."""

    def token(self, sample: Sample) -> str:
        kid = sample.header["kid"]
        key = next((one for one in self.keys if isinstance(one, FakeKey) and one.kid == kid), None)
        if key is None:
            key = FakeKey.generate(sample.header["alg"], kid=kid)
            self.publish(key)
        return self.sign(sample.header, sample.payload, key)


class Case(NamedTuple):
    """The sample of a row, what a user of its provider writes, and what makes its wrong twin and its trap of it."""

    sample: Sample
    settings: Mapping[str, Any]
    wrong: Mapping[str, object]
    trap: Mapping[str, object]
    error: type[OIDCBridgeError]


_COGNITO = load_sample("cognito", "machine")
_GOOGLE, _SERVICE = load_sample("google", "id"), load_sample("google", "id-service-account")
_DEX = load_sample("dex", "access")
_ANOTHER = {"aud": "another"}
CASES = {
    "Cognito machine": Case(
        _COGNITO,
        {"audience": None, "client_ids": [_COGNITO.payload["client_id"]]},
        {"client_id": "another"},
        {"aud": "https://other.acme.example"},  # the resource that its client asked for (RFC 8707)
        AudienceMismatchError,
    ),
    "Google user": Case(
        _GOOGLE,
        {"audience": _GOOGLE.payload["aud"], "accept_id_tokens": True},
        _ANOTHER,
        {"iss": f"{GOOGLE}/"},
        UnknownIssuerError,
    ),
    "Google machine": Case(
        _SERVICE,
        {"audience": _SERVICE.payload["aud"], "accept_id_tokens": True},
        _ANOTHER,
        {"events": LOGOUT},
        TokenTypeError,
    ),
    "Dex user": Case(
        _DEX,
        {"audience": _DEX.payload["aud"], "accept_id_tokens": True},
        _ANOTHER,
        {"events": LOGOUT},
        TokenTypeError,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_row_s_token_is_mapped_and_its_twins_are_refused(prove: Prove, name: str) -> None:
    row, case, proof = ROWS[name], CASES[name], prove(name)
    issuer = Issuer(case.sample.issuer, clock=Clock(case.sample.now), provider="generic")
    with issuer.impersonate(), issuer.verifier(dependencies_claims=["name", "email"], **case.settings) as verifier:
        proof.accepts(verifier.verify_now(issuer.token(case.sample)))
        with proof.refuses(row.wrong, AudienceMismatchError):
            verifier.verify_now(issuer.token(case.sample.but(**case.wrong)))
        with proof.refuses(ISSUER, UnknownIssuerError):
            verifier.verify_now(issuer.token(case.sample.but(iss=f"{case.sample.issuer}-other")))
        with proof.refuses(row.trap, case.error):
            verifier.verify_now(issuer.token(case.sample.but(**case.trap)))
        refuse_id_tokens(proof, issuer, case)


def refuse_id_tokens(proof: Proof, issuer: Issuer, case: Case) -> None:
    """By its own mark; where a provider signs nothing else, until that is asked for by name."""
    settings = {name: value for name, value in case.settings.items() if name != "accept_id_tokens"}
    if settings != case.settings:
        with proof.refuses(ID_TOKEN, ConfigurationError, "write accept_id_tokens=True"):
            issuer.verifier(**settings)
        return
    sample = load_sample(case.sample.provider, "id")
    with issuer.verifier(**settings) as verifier, proof.refuses(ID_TOKEN, TokenTypeError, "token_use"):
        verifier.verify_now(issuer.token(sample))
