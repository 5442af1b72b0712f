"""Inspection: what can be read off a token without a network, keys or settings. Nothing in it is verified."""

from __future__ import annotations

from dataclasses import replace

from oidcbridge.core.claims import read_audience
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS
from oidcbridge.core.policy import Policy
from oidcbridge.core.principal import Principal
from oidcbridge.diagnosis.advice import advise
from oidcbridge.diagnosis.findings import Finding, Status
from oidcbridge.diagnosis.recognition import TokenShape, kind_of_token, read_shape, recognise_provider
from oidcbridge.diagnosis.report import InspectReport
from oidcbridge.diagnosis.token_checks import check_token
from oidcbridge.diagnosis.unverified import insecure_unverified_principal
from oidcbridge.errors import TokenError
from oidcbridge.profiles import PROFILES, Profile, profile_for
from oidcbridge.settings import IssuerSettings


def inspect_token(text: str, now: float, *, provider: str = "auto", audience: tuple[str, ...] = ()) -> InspectReport:
    """Read a token: its kind, its provider, what it would map to, and what of it a verifier would refuse.

    ``now`` is in seconds since the epoch. ``provider`` says whose claims they are where that is known better;
    ``audience`` is this API, whose roles stand without a client before them. Raises `ConfigurationError` for an unknown
    provider.
    """
    shape = read_shape(text)
    recognised = recognise_provider(shape.issuer, shape.claims)
    profile = PROFILES.get(recognised.name, PROFILES["generic"]) if provider == "auto" else profile_for(provider, None)
    issuer = _issuer_of(shape, profile, audience)
    findings, _ = check_token(text, issuer, None, now)
    refusals = [one for one in findings if one.status is Status.FAILED]
    principal: Principal | None = None
    if shape.claims:
        try:
            principal = insecure_unverified_principal(shape.claims, issuer.mapping)
        except TokenError as error:
            refusals.append(Finding("user", Status.FAILED, str(error), error.code, advise(error, text, issuer)))
    return InspectReport(shape, kind_of_token(shape), recognised, tuple(refusals), principal)


def _issuer_of(shape: TokenShape, profile: Profile, audience: tuple[str, ...]) -> IssuerSettings:
    """Settings that the token's own issuer and audience would fit."""
    policy = Policy(
        issuer=shape.issuer or None,
        audiences=frozenset(audience or read_audience(shape.claims)) or None,
        algorithms=ASYMMETRIC_ALGORITHMS,
        rules=profile.rules,
    )
    mapping = replace(profile.mapping, own_clients=frozenset(audience))
    return IssuerSettings(policy.issuer, profile, policy, mapping, None, None, None, None)
