"""The verifier of `JWTMiddleware`; where static keys are used as agno documents them, with what that asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from oidcbridge.agentos.jwt_arguments import AUD
from oidcbridge.arguments import VerifierArguments
from oidcbridge.core.principal import Principal
from oidcbridge.errors import BadSignatureError, ConfigurationError, KeyNotFoundError
from oidcbridge.settings import IssuerSettings, Settings
from oidcbridge.verifier import Verifier

_KEYS = ("verification_keys", "secret_key")


class StaticVerifier(Verifier):
    """Static keys without an issuer to ask, with an ``iss`` that is no URL or another claim than ``aud``."""

    def __init__(self, arguments: Mapping[str, Any], issuer: str | None, audience_claim: str) -> None:
        self._issuer, self._audience_claim = issuer, audience_claim
        super().__init__(**cast(VerifierArguments, arguments))

    def _resolve(self, arguments: VerifierArguments) -> Settings:
        settings = super()._resolve(arguments)
        return replace(settings, issuers=tuple(map(self._as_told, settings.issuers)))

    def _as_told(self, issuer: IssuerSettings) -> IssuerSettings:
        rules = replace(issuer.policy.rules, audience_claim=self._audience_claim)
        return replace(issuer, policy=replace(issuer.policy, issuer=self._issuer, rules=rules))


class FileAndKeysVerifier(StaticVerifier):
    """A JWKS file with keys beside it: a token whose key the file does not have is tried with those.

    Every other rule holds for both alike.
    """

    def __init__(self, arguments: Mapping[str, Any], issuer: str | None, audience_claim: str) -> None:
        of_file = {name: value for name, value in arguments.items() if name not in _KEYS}
        of_keys = {name: value for name, value in arguments.items() if name != "jwks_file"}
        super().__init__(of_file, issuer, audience_claim)
        self._beside = StaticVerifier(of_keys, issuer, audience_claim)

    async def verify(self, token: str) -> Principal:
        """The principal. Raises a `TokenError`."""
        try:
            return await super().verify(token)
        except (KeyNotFoundError, BadSignatureError):
            return await self._beside.verify(token)

    def verify_now(self, token: str) -> Principal:
        """The same at once: nothing is ever fetched."""
        try:
            return super().verify_now(token)
        except (KeyNotFoundError, BadSignatureError):
            return self._beside.verify_now(token)


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
    return (FileAndKeysVerifier if is_beside else StaticVerifier)(arguments, issuer, str(audience_claim))
