"""Reports: everything that ``oidcbridge check`` and ``oidcbridge inspect`` found, and the JSON of it.

The JSON of ``check --json`` (``schema`` counts up when a member changes its meaning or goes)::

    schema     1
    outcome    "good" | "failed" | "unreachable", as the exit codes 0, 1, 3
    settings   {issuer_url, audience, client_ids, provider, algorithms, leeway, …}: the arguments that fit
    issuer     how the provider names itself, or null
    endpoints  {name: URL} of the discovery document
    provider   [finding, …]
    token      [finding, …] in the verifier's order; null where no token was given
    keys       [{kid, type, algorithms, why_not}, …]; why_not is null for a usable key
    tls        [{host, protocol, subject, issuer, not_after, trusted_by}, …]: each host that was reached over https;
               trusted_by is "system" or the file of authorities that was given
    principal  {user_id, session_id, kind, …} where a verifier would let the token in, else null

    finding    {check, status, said, code, advice}: status is "passed", "failed", "warning" or "not_judged"; code is
               that of the error or null; advice is {name, text} or null

and of ``inspect --json``::

    schema     1
    verified   false, always
    kind       {name, why}: "access token", "ID token", "refresh token", "opaque token", …
    provider   {name, why}
    header     the header's members
    claims     the payload's members
    refusals   [finding, …]: what a verifier of its own issuer would refuse, whatever the signature
    principal  what it would map to, or null
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import thaw
from oidcbridge.diagnosis.findings import Finding, ProviderFindings
from oidcbridge.diagnosis.recognition import Recognition, TokenShape

SCHEMA = 1
_NOT_SHOWN = frozenset({"claims", "dependencies", "session_state"})


class Outcome(StrEnum):
    """How a check ended as a whole."""

    GOOD = "good"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``oidcbridge check`` found; ``token`` is None where none was given."""

    settings: Mapping[str, Any]
    provider: ProviderFindings
    token: tuple[Finding, ...] | None = None
    principal: Principal | None = None

    @property
    def outcome(self) -> Outcome:
        """Good where every check passed, or passed with a warning; a token's must all have been made too."""
        if self.provider.unreachable:
            return Outcome.UNREACHABLE
        refused = self.token is not None and self.principal is None
        return Outcome.GOOD if self.provider.passed and not refused else Outcome.FAILED

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as this module's docstring says."""
        found = self.provider
        return {
            "schema": SCHEMA,
            "outcome": self.outcome.value,
            "settings": thaw(self.settings),
            "issuer": found.issuer,
            "endpoints": dict(found.endpoints),
            "provider": [asdict(one) for one in found.findings],
            "token": None if self.token is None else [asdict(one) for one in self.token],
            "keys": [asdict(key) for key in found.keys],
            "tls": [asdict(one) for one in found.tls],
            "principal": principal_as_dict(self.principal),
        }


@dataclass(frozen=True, slots=True)
class InspectReport:
    """What ``oidcbridge inspect`` read off a token. Nothing in it is verified."""

    shape: TokenShape
    kind: Recognition
    provider: Recognition
    refusals: tuple[Finding, ...]
    principal: Principal | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, as this module's docstring says."""
        return {
            "schema": SCHEMA,
            "verified": False,
            "kind": self.kind._asdict(),
            "provider": self.provider._asdict(),
            "header": thaw(self.shape.header),
            "claims": thaw(self.shape.claims),
            "refusals": [asdict(one) for one in self.refusals],
            "principal": principal_as_dict(self.principal),
        }


def principal_as_dict(principal: Principal | None) -> dict[str, Any] | None:
    """Who it is; the claims themselves are left to ``inspect``."""
    if principal is None:
        return None
    return {name: value for name, value in principal.as_dict().items() if name not in _NOT_SHOWN}
