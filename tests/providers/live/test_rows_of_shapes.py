"""The rows whose tokens oidc-provider signs, in the providers' documented shapes: each read by its profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    BadSignatureError,
    KeyNotFoundError,
    MalformedTokenError,
    OIDCBridgeError,
    TokenTypeError,
    UnknownIssuerError,
)
from oidcbridge.testing import FakeKey
from oidcbridge.testing.tokens import sign
from tests.providers.conftest import Prove
from tests.providers.live.tokens import unverified_claims, unverified_header, with_claims
from tests.providers.rows import AUDIENCE, ID_TOKEN, ISSUER, ROWS
from tests.providers.servers.oidc_provider import API, OTHER_API, OidcProvider

API_ID = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
PROJECT = "163840776835432705"
OKTA_API = "api://default"
CLIENT_ID = "agent-ui"

Kind = Literal["user", "machine"]


class Tokens(NamedTuple):
    """A row's tokens: of one shape, a user's or a machine's, and a verifier as the provider's users write it."""

    server: OidcProvider
    case: Case
    kind: Kind

    @property
    def issuer_url(self) -> str:
        return self.server.issuer_url(self.case.shape)

    def verifier(self, **arguments: Any) -> Verifier:
        usual = {"issuer_url": self.issuer_url, "dependencies_claims": ["name", "email"], **self.case.settings}
        return Verifier(**{**usual, **arguments})

    def access(self, *, shape: str | None = None, opaque: bool = False) -> str:
        """A good token, or one of another issuer."""
        return self._access(shape or self.case.shape, None if opaque else self.case.resource)

    def for_another(self) -> str:
        """A token for another API, and of another client where there is one."""
        return self._access(self.case.shape, OTHER_API, "other-ui")

    def id_token(self) -> str:
        token: str = self.server.log_in(self.case.shape, self.case.user, resource=self.case.resource)["id_token"]
        return token

    def _access(self, shape: str, resource: str | None, client_id: str = CLIENT_ID) -> str:
        if self.kind == "machine":
            return self.server.machine_token(shape, resource=resource)
        answer = self.server.log_in(shape, self.case.user, resource=resource, client_id=client_id)
        token: str = answer["access_token"]
        return token


class Refusal(NamedTuple):
    verifier: Verifier
    token: str
    error: type[OIDCBridgeError]


class Case(NamedTuple):
    """The shape of a row, what a user of the provider writes, and the row's trap."""

    shape: str
    settings: Mapping[str, Any]
    trap: Callable[[Tokens], Refusal]
    user: str = "alice"
    resource: str = API


def opaque(tokens: Tokens) -> Refusal:
    """What comes where no audience was asked for, or where the application does not ask for JWTs."""
    return Refusal(tokens.verifier(), tokens.access(opaque=True), MalformedTokenError)


def without_its_slash(tokens: Tokens) -> Refusal:
    return Refusal(tokens.verifier(issuer_url=tokens.issuer_url.rstrip("/")), tokens.access(), UnknownIssuerError)


def shared_secret(tokens: Tokens) -> Refusal:
    """The same claims under a secret that API and provider share."""
    token = tokens.access()
    header = {**unverified_header(token), "alg": "HS256"}
    secretly = sign(header, unverified_claims(token), FakeKey.generate("HS256"))
    return Refusal(tokens.verifier(), secretly, AlgorithmNotAllowedError)


def token_of(shape: str) -> Callable[[Tokens], Refusal]:
    """A token of another of the provider's issuers, for the same API."""
    return lambda tokens: Refusal(tokens.verifier(), tokens.access(shape=shape), UnknownIssuerError)


def org_server(tokens: Tokens) -> Refusal:
    issuer_url = tokens.server.issuer_url("okta-org")
    return Refusal(tokens.verifier(issuer_url=issuer_url), tokens.access(shape="okta-org"), TokenTypeError)


def machine_given_a_sub(tokens: Tokens) -> Refusal:
    """PingOne's machines have none: who could write one in would be that user."""
    machine = tokens._replace(kind="machine").access()
    assert "sub" not in unverified_claims(machine)
    return Refusal(tokens.verifier(), with_claims(machine, sub=tokens.case.user), BadSignatureError)


def key_of_another(tokens: Tokens) -> Refusal:
    """Another issuer's token, under our issuer's name."""
    disguised = with_claims(tokens.access(shape="rotating"), iss=tokens.issuer_url)
    return Refusal(tokens.verifier(), disguised, KeyNotFoundError)


AUTH0: Mapping[str, Any] = {
    "provider": "auth0",
    "audience": API,
    "roles_claim": "https://acme.example/roles",  # the namespace is the customer's own
    "dependencies_claims": {"email": "https://acme.example/email"},
}
_AT_AUTH0 = "auth0|6553da60a54af58e29493993"
_RFC_9068 = Case("auth0-rfc9068", AUTH0, without_its_slash, _AT_AUTH0)
_OKTA = Case("okta", {"provider": "okta", "audience": OKTA_API}, org_server, "00ujmkLgagxeRrAg20g3", OKTA_API)
_ENTRA: Mapping[str, Any] = {"provider": "entra", "audience": [API_ID, f"api://{API_ID}"]}
_HYDRA = Case("hydra", {"provider": "hydra", "audience": API}, opaque)
_PINGONE = Case("pingone", {"provider": "pingone", "audience": API}, machine_given_a_sub)
_PLAIN = Case("plain", {"audience": API}, key_of_another)
CASES = {
    "Auth0 user": Case("auth0", AUTH0, opaque, _AT_AUTH0),
    "Auth0 machine": Case("auth0", AUTH0, shared_secret, _AT_AUTH0),
    "Auth0 RFC 9068 user": _RFC_9068,
    "Auth0 RFC 9068 machine": _RFC_9068,
    "Okta user": _OKTA,
    "Okta machine": _OKTA,
    "Entra v2 user": Case("entra-v2", _ENTRA, token_of("entra-v1")),
    "Entra v2 machine": Case("entra-v2", _ENTRA, token_of("entra-v2-other")),
    "Entra v1 user": Case("entra-v1", _ENTRA, token_of("entra-v2")),
    "Entra v1 machine": Case("entra-v1", _ENTRA, token_of("entra-v2")),
    "Zitadel user": Case("zitadel", {"provider": "zitadel", "audience": PROJECT}, opaque),
    "authentik user": Case("authentik", {"provider": "authentik", "audience": CLIENT_ID}, shared_secret),
    "Hydra user": _HYDRA,
    "Hydra machine": _HYDRA,
    "PingOne user": _PINGONE,
    "PingOne machine": _PINGONE,
    "RFC 9068 user": _PLAIN,
    "RFC 9068 machine": _PLAIN,
}


@pytest.mark.parametrize("name", CASES)
def test_the_row_s_token_is_mapped_and_its_twins_are_refused(
    oidc_provider: OidcProvider, prove: Prove, name: str
) -> None:
    row, case = ROWS[name], CASES[name]
    tokens, proof = Tokens(oidc_provider, case, row.kind), prove(name)
    somewhere_else = tokens.access(shape="rotating" if case.shape == "plain" else "plain")
    with tokens.verifier() as verifier:
        proof.accepts(verifier.verify_now(tokens.access()))
        with proof.refuses(AUDIENCE, AudienceMismatchError):
            verifier.verify_now(tokens.for_another())
        with proof.refuses(ISSUER, UnknownIssuerError):
            verifier.verify_now(somewhere_else)
    audience = case.settings["audience"]
    both = [*([audience] if isinstance(audience, str) else audience), CLIENT_ID]
    with tokens.verifier(audience=both) as verifier, proof.refuses(ID_TOKEN, TokenTypeError):
        verifier.verify_now(tokens.id_token())
    trap = case.trap(tokens)
    with trap.verifier as verifier, proof.refuses(row.trap, trap.error):
        verifier.verify_now(trap.token)
