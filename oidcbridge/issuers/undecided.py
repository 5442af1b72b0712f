"""Issuers whose provider neither the settings nor their URL tells: the first token waits for the discovery document.

Which provider it is decides who a user is. So nothing is judged by a guess, not even in an outage, and what was decided
once stands while the process runs. Workers that share keys share what the document told, too.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from oidcbridge.core.policy import Clock, Policy, TokenRules
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.core.verify import admit
from oidcbridge.errors import KeysUnavailableError
from oidcbridge.profiles import PROFILES, Recognised, recognise_by_endpoints
from oidcbridge.remote.flight import Flight
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.settings import IssuerSettings
from oidcbridge.verification import IssuerAtWork, Wait


def decide(
    issuer: IssuerAtWork, token: UnverifiedToken, clock: Clock, give_up: float, *, wait: bool
) -> Generator[Wait, bool, IssuerSettings]:
    """The settings with the issuer's own profile; waits until the monotonic second ``give_up``, or not at all.

    Raises a `TokenError` for what no provider's token could be, and a `ProviderError` where nobody can tell now.
    """
    settings = _decided(issuer)
    if settings is None:
        admit(token, _what_all_ask(issuer.settings.policy), clock.time())
        settings = yield from _wait_until_told(issuer, token, clock, give_up, wait=wait)
    if settings is None:  # the keys came from a store, and from a worker that never asked for the document
        if issuer.metadata is not None:
            issuer.metadata.ask()
        raise KeysUnavailableError(
            f"{issuer.settings.issuer_url}: which provider it is has still to be told by its discovery document; write"
            " provider= to go without",
            retry_after=1,
        )
    return settings


def _wait_until_told(
    issuer: IssuerAtWork, token: UnverifiedToken, clock: Clock, give_up: float, *, wait: bool
) -> Generator[Wait, bool, IssuerSettings | None]:
    """Wait as for keys, with which the document comes; not a step further, since the keys are looked up afterwards."""
    keys, mark = issuer.keys, issuer.keys.mark()
    kid, alg, iat = token.header.kid, token.header.alg, token.claims.get("iat")
    found = keys.lookup(kid, alg, iat, mark, wait=wait)
    while isinstance(found, Flight):
        landed = yield Wait(found, max(0.0, give_up - clock.monotonic()))
        settings = _decided(issuer)
        if settings is not None:
            return settings
        found = keys.lookup(kid, alg, iat, mark, wait=landed and clock.monotonic() < give_up)
    return _decided(issuer)


def _decided(issuer: IssuerAtWork) -> IssuerSettings | None:
    told = _told(issuer)
    return issuer.settings.with_profile(told) if told and issuer.settings.with_profile else None


def _told(issuer: IssuerAtWork) -> Recognised | None:
    if issuer.metadata is not None and issuer.metadata.current is not None:
        return recognise_by_endpoints(issuer.metadata.current.document)
    snapshot = issuer.keys.snapshot if isinstance(issuer.keys, RemoteKeySet) else None
    profile = PROFILES.get(snapshot.provider) if snapshot and snapshot.provider else None
    return Recognised(profile, "as its discovery document told another worker") if profile else None


def _what_all_ask(policy: Policy) -> Policy:
    """What every provider's rules have in common: to refuse before any fetch."""
    return replace(policy, client_ids=frozenset(), rules=TokenRules(foreign_claims=()))
