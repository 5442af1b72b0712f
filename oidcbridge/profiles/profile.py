"""Profile: the columns of a provider's row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import TokenRules

#: What stands for the tenant in the issuer of an `IssuerTemplate`, as providers write it in their documents.
TENANT = "{tenantid}"


class Unfit(NamedTuple):
    """A setting that cannot work with a provider: the argument, the values it is about, and what to write instead."""

    argument: Literal["issuer_url", "audience"]
    pattern: str
    """A regular expression that whole values match."""
    message: str


class IssuerTemplate(NamedTuple):
    """Issuer URLs that stand for many tenants, whose tokens each name an issuer of their own (Entra)."""

    pattern: str
    """A regular expression that whole issuer URLs match; a tenant's id takes the place of its group ``tenant``."""
    tenant_pattern: str
    """A regular expression that whole tenant ids match."""
    tenant_claim: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is particular to one provider. A user's own is one more row."""

    name: str
    issuer_pattern: str | None = None
    """A regular expression that whole issuer URLs match."""
    origin_pattern: str | None = None
    """A regular expression for scheme and host, where they are the provider's own: of issuers spelt in another way. For
    messages alone: nothing is decided by it."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Members of the discovery document -> a regular expression that the whole URL matches. Where all do, a provider at
    a host name of the customer's own is recognised."""
    rules: TokenRules = field(default_factory=TokenRules)
    mapping: ClaimMapping = field(default_factory=ClaimMapping)
    id_tokens: Literal["refused", "accepted by name", "needed"] = "accepted by name"
    """Whether ``accept_id_tokens=True`` may be written, and whether nothing can be accepted without it."""
    issuer_spellings: tuple[str, ...] = ()
    """What else the provider writes into ``iss`` for the same issuer."""
    template: IssuerTemplate | None = None
    unfit: tuple[Unfit, ...] = ()
