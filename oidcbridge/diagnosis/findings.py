"""What a diagnosis says, as data: findings, advice, keys. The names of statuses, checks and advice are stable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from oidcbridge.diagnosis.words import Advice


class Status(StrEnum):
    """How one check ended."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    """It holds, and somebody should look at it."""
    NOT_JUDGED = "not_judged"
    """It could not be made: something before it failed, or it needs what was not given."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, how it ended, what was seen, and what to change; ``code`` is that of the error."""

    check: str
    status: Status
    said: str
    code: str | None = None
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """One key of the provider's set; ``why_not`` says why it is not used, and is None for a usable one."""

    kid: str | None
    type: str | None
    """``RSA``, ``EC P-256``, ``OKP Ed25519``…; None where it is not even that much of a key."""
    algorithms: tuple[str, ...] = ()
    """Those that it may verify here."""
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class TLSFinding:
    """How one of the provider's hosts was reached over https."""

    host: str
    protocol: str
    """``TLSv1.3``, ``TLSv1.2``."""
    subject: str
    """Whom its certificate is for (RFC 4514), or the names it is for where that is empty."""
    issuer: str
    """The authority that signed the certificate (RFC 4514)."""
    not_after: str
    """When the certificate ends: ISO 8601, in UTC."""
    trusted_by: str
    """``system``, or the file of authorities that was given."""


@dataclass(frozen=True, slots=True)
class ProviderFindings:
    """What the provider's documents say. ``issuer`` is how it names itself; ``unreachable``: it could not be asked."""

    findings: tuple[Finding, ...]
    issuer: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[KeyFinding, ...] = ()
    tls: tuple[TLSFinding, ...] = ()
    unreachable: bool = False

    @property
    def passed(self) -> bool:
        """Whether a verifier could work with this provider."""
        return not self.unreachable and all(one.status is not Status.FAILED for one in self.findings)
