"""The steps of one verification, without waiting: yields what must be waited for, and is told whether that ended."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from oidcbridge.core.alike import Alike
from oidcbridge.core.keys import KeySet
from oidcbridge.core.policy import Clock
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.core.verify import VerifiedToken, admit, verify
from oidcbridge.errors import BadSignatureError, KeyNotFoundError
from oidcbridge.key_sources import KeySource
from oidcbridge.remote.discovery import RemoteMetadata
from oidcbridge.remote.flight import Flight
from oidcbridge.settings import IssuerSettings


class Wait(NamedTuple):
    """What a verification must wait for, and for how many seconds at most."""

    flight: Flight
    seconds: float


#: What a caller drives: is sent True where the flight ended in time.
Steps = Generator[Wait, bool, Principal]


class IssuerAtWork(NamedTuple):
    """One issuer, with its keys."""

    settings: IssuerSettings
    keys: KeySource
    metadata: RemoteMetadata | None
    alike: Alike
    """What its remembered tokens have in common."""


class Tried(NamedTuple):
    """What the keys at hand could not decide; with the set and the error where a signature did not verify."""

    mark: int
    key_set: KeySet | None = None
    error: BadSignatureError | None = None


class Begun(NamedTuple):
    """A token that is well formed, and could not be decided without waiting."""

    unverified: UnverifiedToken
    digest: bytes | None
    """What it will be remembered by, if it is."""
    tried: Tried | None


def verify_at_once(token: UnverifiedToken, issuer: IssuerAtWork, now: float) -> VerifiedToken | Tried:
    """Verify ``token`` with the keys at hand, as nearly every request can. Raises a `TokenError`."""
    settings, keys, _, _ = issuer
    key_set = keys.usable(now)
    if key_set is None:
        return Tried(keys.mark())
    try:
        return verify(token, key_set, settings.policy, now)
    except KeyNotFoundError:
        return Tried(keys.mark())
    except BadSignatureError as error:
        return Tried(keys.mark(), key_set, error)


def verification_steps(
    token: UnverifiedToken, issuer: IssuerAtWork, tried: Tried, clock: Clock, give_up: float, *, wait: bool
) -> Generator[Wait, bool, VerifiedToken]:
    """What follows: verify with keys that are waited for until the monotonic second ``give_up``, or not at all."""
    policy, keys = issuer.settings.policy, issuer.keys
    now = clock.time()
    mark, key_set, error = tried
    try:
        if error is not None:
            raise error
        admit(token, policy, now)  # refuse what no key could save, before any fetch
        key_set = yield from find_keys(token, keys, mark, clock, give_up, wait=wait)
        return verify(token, key_set, policy, now)
    except BadSignatureError:
        flight = keys.suspect(mark) if wait else None
        if flight is not None:
            yield Wait(flight, max(0.0, give_up - clock.monotonic()))
        # Also without a flight: the keys may have been renewed between the look-up and now. Only a look: a forged token
        # causes no fetch, and what is in the air is no outage.
        renewed = keys.usable(clock.time())
        if renewed is None or renewed is key_set:
            raise
        return verify(token, renewed, policy, now)


def find_keys(
    token: UnverifiedToken, keys: KeySource, mark: int, clock: Clock, give_up: float, *, wait: bool
) -> Generator[Wait, bool, KeySet]:
    """The keys to verify with, waited for until the monotonic second ``give_up``, or not at all."""
    kid, alg, iat = token.header.kid, token.header.alg, token.claims.get("iat")
    found = keys.lookup(kid, alg, iat, mark, wait=wait)
    while isinstance(found, Flight):
        landed = yield Wait(found, max(0.0, give_up - clock.monotonic()))
        in_time = landed and clock.monotonic() < give_up
        found = keys.lookup(kid, alg, iat, mark, wait=in_time)
    return found
