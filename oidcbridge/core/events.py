"""Event: one thing that happened to an issuer's keys, as data, for a program that watches.

=========================  =========================================================================
name                       when, and its details
=========================  =========================================================================
``fetch_started``          keys are about to be asked for
``fetch_succeeded``        ``not_modified`` (bool), ``seconds``
``fetch_failed``           ``kind`` (a stable word), ``failures`` in a row, ``next_try_in`` (seconds)
``keys_added``             ``kids``
``keys_removed``           ``kids``
``key_skipped``            ``kid``, ``reason``: a published key that is not used
``private_key_published``  ``kid``: an alarm; whoever reads the key set can sign tokens
``key_denied``             ``kid``: by `oidcbridge.Verifier.deny_key`
``serving_stale``          ``budget_left`` (seconds): known keys go on though they could not be renewed
``dead``                   known keys are too old to go on
``recovered``              ``failures`` that went before
``unknown_kid``            ``kid``, ``result``: ``found`` or ``absent``, after the provider was asked
``refresh_suppressed``     ``next_try_in`` (seconds): the budget for looking again is spent
``discovery_changed``      ``jwks_uri``: the issuer's metadata point to another place
``store_loaded``           ``age`` (seconds): keys that another worker, or this one earlier, had fetched
``store_ignored``          ``reason``: what lies in the key store is not used
``store_failed``           ``reason``: the key store cannot be reached, and each worker is on its own
=========================  =========================================================================

Each is told once for a change, not once for a request; `oidcbridge.Verifier.metrics` counts requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

EventName = Literal[
    "fetch_started",
    "fetch_succeeded",
    "fetch_failed",
    "keys_added",
    "keys_removed",
    "key_skipped",
    "private_key_published",
    "key_denied",
    "serving_stale",
    "dead",
    "recovered",
    "unknown_kid",
    "refresh_suppressed",
    "discovery_changed",
    "store_loaded",
    "store_ignored",
    "store_failed",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One change. No token and no key material is in it; a ``kid`` comes from outside, cut to 64 characters."""

    name: EventName
    issuer: str
    time: float
    """Seconds since the epoch."""
    details: Mapping[str, object]


#: What `Verifier(observer=…)` takes: called in a thread of its own, so it may block and raise without harm.
Observer = Callable[[Event], object]
