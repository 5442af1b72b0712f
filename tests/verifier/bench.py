"""One provider by its row: signs what a test says, and verifies it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from oidcbridge import Principal, Verifier
from oidcbridge.errors import (
    TokenError,
)
from oidcbridge.testing import Clock, FakeIssuer

NOW = 1_795_289_800
KEYCLOAK = "https://id.example.com/realms/acme"
AUTH0 = "https://acme.eu.auth0.com/"
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
Claims = dict[str, Any]
ARGUMENTS: Mapping[str, dict[str, Any]] = {
    KEYCLOAK: {"audience": "agent-api"},
    AUTH0: {"audience": "agent-api"},
    COGNITO: {"client_ids": ["57cbishk4j24pabc1234567890"]},
}


class Bench:
    """One provider: signs what it is given, and verifies it by that provider's row."""

    def __init__(self, url: str, **arguments: Any) -> None:
        clock = Clock(NOW)
        self.issuer = FakeIssuer(url, clock=clock, algorithms=("ES256",))
        self.verifier = Verifier(issuer_url=url, clock=clock, **{**ARGUMENTS.get(url, {}), **arguments})

    def token(self, claims: Claims, header: Mapping[str, object] | None = None) -> str:
        key = self.issuer.signing_key()
        return self.issuer.sign({"alg": "ES256", "kid": key.kid, **(header or {"typ": "JWT"})}, claims, key)

    def verify(self, claims: Claims, header: Mapping[str, object] | None = None) -> Principal:
        with self.issuer.impersonate():
            return self.verifier.verify_now(self.token(claims, header))

    def refuse(self, claims: Claims, error: type[TokenError], header: Mapping[str, object] | None = None) -> None:
        with pytest.raises(error):
            self.verify(claims, header)
