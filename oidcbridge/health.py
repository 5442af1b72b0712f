"""How an issuer's keys stand, for readiness probes and for people. Reading it never asks the provider."""

from __future__ import annotations

from dataclasses import dataclass

from oidcbridge.core.freshness import Instant, State
from oidcbridge.remote.jwks import RemoteKeySet


@dataclass(frozen=True, slots=True)
class IssuerHealth:
    """The state of one issuer's keys. Times are in seconds."""

    issuer: str
    state: str
    """``empty``, ``fresh``, ``stale``, ``expired``, ``degraded`` or ``dead``; ``static`` for keys from no network."""
    usable: bool
    """Whether tokens of known keys can be verified now."""
    keys: int
    age: float | None = None
    failures: int = 0
    last_error: str | None = None
    next_try_in: int | None = None
    """When the provider is asked again after a failure."""
    stale_budget_left: float | None = None
    """How much longer known keys go on while the provider cannot be reached."""
    dynamic: bool = False
    """Whether it came by `DynamicIssuers`: one tenant's outage does not make the app unready."""


def health_of(keys: RemoteKeySet, now: Instant, *, dynamic: bool = False) -> IssuerHealth:
    """The health of a remote key set at ``now``."""
    snapshot, state, error = keys.snapshot, keys.state(now), keys.last_error
    count = len(snapshot.key_set.keys) if snapshot else 0
    failing = keys.attempts.failures > 0
    age = snapshot.fetched.age(now) if snapshot else None
    # EXPIRED past the bound after a failure: nothing is served before the provider has answered.
    too_old = failing and age is not None and snapshot is not None and age >= snapshot.lifetime.max_stale
    return IssuerHealth(
        issuer=keys.name,
        state=state.value,
        usable=count > 0 and state is not State.DEAD and not too_old,
        keys=count,
        age=age,
        failures=keys.attempts.failures,
        last_error=str(error) if error else None,
        next_try_in=keys.next_try_in(now) if failing else None,
        stale_budget_left=max(0.0, snapshot.lifetime.max_stale - age) if snapshot and age is not None else None,
        dynamic=dynamic,
    )
