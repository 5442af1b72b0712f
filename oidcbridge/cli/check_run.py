"""One run of ``oidcbridge check``: from the settings to the provider to the token, as a verifier would go."""

from __future__ import annotations

import asyncio
from typing import Any

from oidcbridge.cli.check_input import NOT_GIVEN
from oidcbridge.core.claims import read_audience, read_string
from oidcbridge.diagnosis.findings import Finding, ProviderFindings, Status
from oidcbridge.diagnosis.provider import examine_provider
from oidcbridge.diagnosis.recognition import Members, read_shape, recognise_provider
from oidcbridge.diagnosis.report import CheckReport
from oidcbridge.diagnosis.token_checks import check_token
from oidcbridge.diagnosis.words import Advice, listed
from oidcbridge.profiles import PROFILES
from oidcbridge.settings import IssuerSettings, Settings


def run_check(settings: Settings, token: str | None) -> CheckReport:
    """Ask the provider, and judge the token where there is one."""
    issuer = settings.issuers[0]
    provider, key_set, issuer = asyncio.run(examine_provider(issuer, settings.fetch, settings.clock))
    fitting = _fitting(issuer, settings, provider)
    if token is None:
        return CheckReport(fitting, provider)
    findings, principal = check_token(token, issuer, key_set, settings.clock.time())
    claims = read_shape(token).claims
    told = (*(_as_not_given(one, issuer, claims) for one in findings), *_other_profile(issuer, claims))
    return CheckReport(fitting, provider, told, principal if provider.passed else None)


def _other_profile(issuer: IssuerSettings, claims: Members) -> list[Finding]:
    """At a host name of one's own a provider is not recognised, and its claims are not found."""
    seen = recognise_provider(issuer.issuer_url, claims)
    if issuer.profile.name != "generic" or seen.name not in PROFILES or seen.name == "generic":
        return []
    advice = Advice("provider", f'write provider="{seen.name}" (OIDCBRIDGE_PROVIDER), so that its claims are found')
    return [
        Finding("profile", Status.WARNING, f"generic is used, and the token looks like {seen.name}'s", None, advice)
    ]


def _as_not_given(finding: Finding, issuer: IssuerSettings, claims: Members) -> Finding:
    """A check that failed for want of an option has not been made."""
    policy = issuer.policy
    if finding.check == "audience" and NOT_GIVEN in (policy.audiences or ()):
        said = f"the token is for {listed(read_audience(claims)) or 'nobody'}: give --audience to have that judged"
    elif finding.check == "client" and NOT_GIVEN in policy.client_ids:
        client = read_string(claims, policy.rules.client_id_claims) or "nobody"
        said = f"the token was made for the client {listed([client])}: give --client-id to have that judged"
    else:
        return finding
    return Finding(finding.check, Status.NOT_JUDGED, said)


def _fitting(issuer: IssuerSettings, settings: Settings, provider: ProviderFindings) -> dict[str, Any]:
    """The arguments that fit this provider: those given, with its own spelling of its name."""
    policy = issuer.policy
    said = {
        "issuer_url": provider.issuer or issuer.issuer_url,
        "discovery_url": issuer.discovery_url,
        "jwks_uri": issuer.jwks_uri,
        "audience": sorted((policy.audiences or frozenset()) - {NOT_GIVEN}),
        "client_ids": sorted(policy.client_ids - {NOT_GIVEN}),
        "provider": issuer.profile.name,
        "algorithms": sorted(policy.algorithms),
        "token_type": policy.token_type,
        "accept_id_tokens": issuer.profile.id_tokens == "needed" or None,
        "leeway": policy.leeway,
        "ca_file": settings.fetch.ca_file,
    }
    return {name: value for name, value in said.items() if value not in (None, [])}
