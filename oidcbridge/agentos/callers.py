"""Who calls, for agno: which verifier a token is for, and what agno is told of the principal."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from oidcbridge.agentos.control_plane import names_no_issuer
from oidcbridge.agentos.injection import Injection
from oidcbridge.agentos.scopes import Grants
from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.state import own_copy
from oidcbridge.asgi.token_source import read_credential
from oidcbridge.core.principal import Principal
from oidcbridge.errors import AccessDeniedError
from oidcbridge.verifier import Verifier

#: Under which names agno finds what we made of the claims; no claim of a token can stand there.
USER_ID, SESSION_ID, SCOPES = "oidcbridge.user_id", "oidcbridge.session_id", "oidcbridge.scopes"
_PRIVATE = (USER_ID, SESSION_ID, SCOPES)


class ProvenToken(str):
    """A token that was verified a moment ago, with its claims: what agno may take without asking again."""

    claims: dict[str, Any]

    @classmethod
    def of(cls, token: str, claims: dict[str, Any]) -> ProvenToken:
        """``token`` with the claims that agno is told."""
        proven = cls(token)
        proven.claims = claims
        return proven


@dataclass(frozen=True)
class Callers:
    """What one protected AgentOS knows of its callers."""

    gate: Gate
    verifier: Verifier
    control_gate: Gate | None
    grants: Grants
    injection: Injection

    async def admit(self, scope: MutableMapping[str, Any]) -> Principal:
        """Verify a socket's credential and fill its state. Raises an `OIDCBridgeError` where it is refused.

        agno asks its user directory for requests and for its own socket, and lets everyone through to others.
        """
        token = self.gate.usual_token(scope)
        if token is None or not self.gate.recognise(scope, token):
            await self.admit_unknown(scope)
        principal: Principal = scope["state"]["principal"]
        directory = getattr(scope["app"].state, "user_store", None)
        if directory is not None and await directory.ais_disabled(principal.user_id):
            raise AccessDeniedError("the user is disabled in AgentOS's user directory")
        return principal

    async def admit_unknown(self, scope: MutableMapping[str, Any]) -> None:
        """The same for what the gate does not recognise."""
        if self.control_gate is not None and self._is_for_control_plane(scope):
            await self.control_gate.admit(scope)
        else:
            await self.gate.go_on(scope)

    def _is_for_control_plane(self, scope: Mapping[str, Any]) -> bool:
        credential = read_credential(scope, self.gate.settings)
        return credential is not None and names_no_issuer(credential.token)

    def verifier_of(self, token: str) -> Verifier:
        """The one that ``token`` is for."""
        control_plane = self.control_gate.verifier if self.control_gate is not None else None
        return control_plane if control_plane is not None and names_no_issuer(token) else self.verifier

    def session_of(self, principal: Principal) -> str | None:
        """The token's session where it is agno's: ``session_id_claim`` was written for whoever issued it."""
        is_pinned = self.verifier.settings.says("session_id_claim", principal.issuer)
        return principal.session_id if is_pinned else None

    def claims_of(self, principal: Principal) -> dict[str, Any]:
        """The claims as agno sees them: ours, and flat what a provider keeps elsewhere (roles, groups, name, email)."""
        claims = own_copy(principal.claims)
        for name, names in (("roles", principal.roles), ("groups", principal.groups)):
            if names or name in claims:
                claims[name] = list(names)
        for name, text in (("name", principal.name), ("email", principal.email)):
            if text is not None:
                claims.setdefault(name, text)
        claims[USER_ID] = principal.user_id
        claims[SESSION_ID] = self.session_of(principal)
        claims[SCOPES] = self.grants.of(principal)
        return claims


def without_ours(claims: dict[str, Any]) -> dict[str, Any]:
    """``claims``, in place, as an app may see them."""
    for name in _PRIVATE:
        claims.pop(name, None)
    return claims
