"""What is said of one issuer -> IssuerSettings.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from oidcbridge.arguments import IssuerArguments, read_allow_list
from oidcbridge.claim_notices import ClaimNotices
from oidcbridge.core.keys import KeySet
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import FetchOptions, Policy
from oidcbridge.core.urls import check_issuer_urls
from oidcbridge.errors import ConfigurationError
from oidcbridge.issuer_arguments import (
    check_id_tokens,
    read_algorithms,
    read_audiences,
    read_issuer_names,
    read_leeway,
    read_mapping,
    read_rules,
    read_static_keys,
    read_tenants,
    warn_of_ids,
)
from oidcbridge.profiles import Profile, Recognised, recognise
from oidcbridge.settings.spelling import refuse_misspelt


@dataclass(frozen=True)
class IssuerSettings:
    """One issuer, resolved. ``keys`` where they are static; else they come from ``jwks_uri`` or discovery."""

    issuer_url: str | None
    profile: Profile
    policy: Policy
    mapping: ClaimMapping
    keys: KeySet | None
    discovery_url: str | None
    jwks_uri: str | None
    browser_url: str | None
    why: str = "as given"
    """Why it is that profile."""
    document_issuer: str | None = None
    """What its discovery document calls itself, where that is not ``issuer_url`` (Entra's template)."""
    said: frozenset[str] = frozenset()
    """The arguments that were written, in the code or the environment; the others have their defaults."""
    with_profile: Callable[[Recognised], IssuerSettings] | None = field(default=None, repr=False, compare=False)
    """These settings with another profile: the issuer's own will be told by its discovery document, and until then
    nothing may be judged by them. None where the profile is decided."""

    @property
    def names(self) -> tuple[str | None, ...]:
        """The values of ``iss`` that stand for it; one that stands for each tenant has but those of the tenants."""
        others = (*self.policy.other_issuers,)
        return others if self.document_issuer is not None else (self.issuer_url, *others)


class Misfit(NamedTuple):
    """An argument with which no token of the provider can ever pass, its value, and what to write instead."""

    argument: str
    value: str
    message: str


def misfits(issuer: IssuerSettings) -> Iterator[Misfit]:
    """What cannot work with this provider, whose row says so."""
    policy, profile = issuer.policy, issuer.profile
    said = {"issuer_url": (issuer.issuer_url or "",), "audience": sorted(policy.audiences or ())}
    for unfit in profile.unfit:
        for value in said[unfit.argument]:
            if re.fullmatch(unfit.pattern, value):
                yield Misfit(unfit.argument, value, unfit.message)
    if policy.token_type is None:
        return
    # RFC 9068 section 2.1: the header says at+jwt; section 2.2: 'aud' is required.
    if policy.token_type not in profile.rules.header_types or not profile.rules.audience_required:
        message = f"{profile.name} has no tokens of RFC 9068, so none would pass: leave token_type out"
        yield Misfit("token_type", policy.token_type, f"{message} (OIDCBRIDGE_TOKEN_TYPE)")


def refuse_unfit(issuer: IssuerSettings) -> None:
    """Raises `ConfigurationError` for what cannot work with this provider, on the line where it is written."""
    for argument, value, message in misfits(issuer):
        raise ConfigurationError(f"{argument}={value!r}: {message}")


def resolve_issuer(arguments: IssuerArguments, fetch: FetchOptions, user_id_prefix: str = "") -> IssuerSettings:
    """Resolve what is said of one issuer. Raises `ConfigurationError`."""
    issuer_url = arguments.get("issuer_url")
    if isinstance(issuer_url, str):
        refuse_misspelt(issuer_url)
    check_issuer_urls(
        issuer_url,
        discovery_url=arguments.get("discovery_url"),
        jwks_uri=arguments.get("jwks_uri"),
        browser_url=arguments.get("browser_url"),
        allow_http=fetch.insecure_allow_http,
    )
    recognised = recognise(arguments.get("provider", "auto"), issuer_url)
    check_id_tokens(arguments, recognised.profile)
    warn_of_ids(arguments)
    keys = read_static_keys(arguments, read_algorithms(arguments))
    settings = _with_profile(arguments, recognised, keys, user_id_prefix)
    if recognised.is_final or issuer_url is None or keys is not None or arguments.get("jwks_uri") is not None:
        return settings  # or nobody will ask for a document
    return replace(settings, with_profile=lambda told: _with_profile(arguments, told, keys, user_id_prefix))


def _with_profile(
    arguments: IssuerArguments, recognised: Recognised, keys: KeySet | None, user_id_prefix: str
) -> IssuerSettings:
    issuer_url, profile = arguments.get("issuer_url"), recognised.profile
    client_ids = read_allow_list(arguments.get("client_ids", ()), "client_ids")
    audiences = read_audiences(arguments, profile, client_ids)
    other_issuers, document_issuer = read_issuer_names(issuer_url, profile, read_tenants(arguments))
    token_type = arguments.get("token_type")
    if token_type not in (None, "at+jwt"):
        raise ConfigurationError('token_type is "at+jwt" (RFC 9068 strictness), or is left out')
    policy = Policy(
        issuer=issuer_url,
        audiences=audiences,
        algorithms=read_algorithms(arguments),
        client_ids=client_ids,
        leeway=read_leeway(arguments.get("leeway", 60.0)),
        token_type=token_type,
        rules=read_rules(arguments, profile),
        other_issuers=other_issuers,
    )
    mapping = replace(
        read_mapping(arguments, profile.mapping, audiences or frozenset()),
        user_id_prefix=user_id_prefix,
        issuer_spellings={name: issuer_url or "" for name, beside in other_issuers.items() if beside is None},
        notices=ClaimNotices(issuer_url or "the issuer"),
    )
    return IssuerSettings(
        issuer_url,
        profile,
        policy,
        mapping,
        keys,
        arguments.get("discovery_url"),
        arguments.get("jwks_uri"),
        arguments.get("browser_url"),
        recognised.why,
        document_issuer,
        frozenset(arguments),
    )
