"""The verifier of `JWTMiddleware`; where static keys are used as agno documents them, with what that asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from oidcbridge.agentos.jwt_arguments import AUD
from oidcbridge.arguments import VerifierArguments, read_names
from oidcbridge.core.principal import Principal
from oidcbridge.errors import (
    AudienceMismatchError,
    BadSignatureError,
    ConfigurationError,
    IssuerMismatchError,
    KeyNotFoundError,
)
from oidcbridge.verifier import Verifier

_KEYS = ("verification_keys", "secret_key")


class StaticVerifier(Verifier):
    """Static keys without an issuer to ask: a JWKS file beside keys, an ``iss`` that is no URL, another claim than aud.

    A token whose key the file does not have is tried with the keys; every other rule holds for both alike.
    """

    def __init__(self, arguments: Mapping[str, Any], issuer: str | None, audience_claim: str) -> None:
        rest = dict(arguments)
        self._issuer, self._audience_claim = issuer, audience_claim
        self._audiences: frozenset[str] = frozenset()
        if audience_claim != AUD and "audience" in rest:
            self._audiences = frozenset(read_names(rest.pop("audience"), "audience", 'audience="agent-api"'))
        beside = {name: value for name, value in rest.items() if name != "jwks_file"}
        is_beside = "jwks_file" in rest and any(name in rest for name in _KEYS)
        if is_beside:
            rest = {name: value for name, value in rest.items() if name not in _KEYS}
        super().__init__(**cast(VerifierArguments, rest))
        self._beside = Verifier(**cast(VerifierArguments, beside)) if is_beside else None

    async def verify(self, token: str) -> Principal:
        """The principal. Raises a `TokenError`."""
        try:
            principal = await super().verify(token)
        except (KeyNotFoundError, BadSignatureError):
            if self._beside is None:
                raise
            principal = await self._beside.verify(token)
        return self._as_told(principal)

    def verify_now(self, token: str) -> Principal:
        """The same at once: nothing is ever fetched."""
        try:
            principal = super().verify_now(token)
        except (KeyNotFoundError, BadSignatureError):
            if self._beside is None:
                raise
            principal = self._beside.verify_now(token)
        return self._as_told(principal)

    def _as_told(self, principal: Principal) -> Principal:
        claims = principal.claims
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise IssuerMismatchError(f"'iss' is not {self._issuer!r}", claim="iss")
        if self._audiences:
            said = claims.get(self._audience_claim)
            named = (said,) if isinstance(said, str) else said if isinstance(said, tuple) else ()
            if not any(name in self._audiences for name in named if isinstance(name, str)):
                raise AudienceMismatchError(
                    f"{self._audience_claim!r} does not name {sorted(self._audiences)}", claim=self._audience_claim
                )
        return principal


def make_verifier(arguments: VerifierArguments, *, issuer: str | None, audience_claim: str) -> Verifier:
    """The verifier for ``arguments`` and the two of agno's that ours have not. Raises `ConfigurationError`."""
    issuer_url = arguments.get("issuer_url")
    if issuer_url is not None or arguments.get("issuers") is not None:
        if issuer is not None and issuer != issuer_url:
            raise ConfigurationError(f"issuer={issuer!r} is not whom issuer_url= or issuers= names; leave issuer out")
        if audience_claim != AUD:
            raise ConfigurationError(
                "audience_claim= is for static keys: an issuer's token names its audience in 'aud' (RFC 9068"
                " section 4); leave it out"
            )
        return Verifier(**arguments)
    is_beside = "jwks_file" in arguments and any(name in arguments for name in _KEYS)
    if issuer is None and audience_claim == AUD and not is_beside:
        return Verifier(**arguments)
    return StaticVerifier(arguments, issuer, audience_claim)
