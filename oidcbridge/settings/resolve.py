"""Arguments -> Settings: what a user wrote, checked as a whole, before anything runs.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from oidcbridge.arguments import IssuerArguments, VerifierArguments
from oidcbridge.core.events import Observer
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.environment import VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError
from oidcbridge.issuer_arguments import read_mapping, warn_of_ids
from oidcbridge.profiles import profile_for
from oidcbridge.remote.http import check_options
from oidcbridge.settings.issuer import IssuerSettings, refuse_unfit, resolve_issuer
from oidcbridge.settings.several import DynamicSettings, is_async, resolve_issuers
from oidcbridge.stores.file import FileKeyStore

logger = logging.getLogger("oidcbridge.settings")


@dataclass(frozen=True)
class Settings:
    """Everything a `Verifier` is made of."""

    issuers: tuple[IssuerSettings, ...]
    fetch: FetchOptions
    clock: Clock
    token_cache: int
    dynamic: DynamicSettings | None = None
    key_store: KeyStore | None = None
    observer: Observer | None = None

    @cached_property
    def _by_name(self) -> Mapping[str | None, IssuerSettings]:
        return {name: issuer for issuer in self.issuers for name in issuer.names}

    def says(self, argument: str, issuer: str | None) -> bool:
        """Whether ``argument`` was written for ``issuer`` (`Principal.issuer`), be it with its default value."""
        own = self._by_name.get(issuer) or self._by_name.get(None)
        if own is not None:
            return argument in own.said
        return issuer is not None and self.dynamic is not None and argument in self.dynamic.arguments


def resolve(arguments: VerifierArguments, environ: Mapping[str, str] = os.environ) -> Settings:
    """Check the arguments and resolve them. Raises `ConfigurationError`; `TypeError` for an unknown argument."""
    settings = resolve_for_diagnosis(arguments, environ)
    for issuer in settings.issuers:
        refuse_unfit(issuer)
    return settings


def resolve_for_diagnosis(arguments: VerifierArguments, environ: Mapping[str, str]) -> Settings:
    """The same, also for what no token can ever pass with: to look at the provider and its tokens and say why."""
    _refuse_unknown(arguments)
    arguments = cast(VerifierArguments, _said(arguments))
    if not names_a_source(arguments):
        arguments = _beside_environment(arguments, read_environment(VERIFIER_VARIABLES, environ))
    if not names_a_source(arguments):
        raise ConfigurationError(
            'neither an issuer nor keys: write issuer_url="https://…" and audience="…", or set OIDCBRIDGE_ISSUER_URL'
            " and OIDCBRIDGE_AUDIENCE"
        )
    fetch = arguments.get("fetch", FetchOptions())
    if not isinstance(fetch, FetchOptions):
        raise ConfigurationError("fetch= takes FetchOptions: fetch=FetchOptions(deadline=3.0)")
    check_options(fetch)
    token_cache = arguments.get("token_cache", 10_000)
    if isinstance(token_cache, bool) or not isinstance(token_cache, int) or token_cache < 0:
        raise ConfigurationError("token_cache is how many verified tokens are remembered: an int, 0 turns it off")
    clock = arguments.get("clock", Clock())
    key_store, observer = _key_store(arguments, clock), _observer(arguments)
    if arguments.get("issuers") is None:
        if arguments.get("unqualified_user_ids") is not None:
            raise ConfigurationError(
                "unqualified_user_ids goes with issuers=: the ids of a single issuer are never named"
            )
        single = {name: value for name, value in arguments.items() if name in IssuerArguments.__annotations__}
        only = resolve_issuer(cast(IssuerArguments, single), fetch)
        return Settings((only,), fetch, clock, token_cache, None, key_store, observer)
    issuers, dynamic = resolve_issuers(arguments, fetch)
    return Settings(issuers, fetch, clock, token_cache, dynamic, key_store, observer)


def _key_store(arguments: VerifierArguments, clock: Clock) -> KeyStore | None:
    store = arguments.get("key_store")
    if isinstance(store, str | os.PathLike):
        return FileKeyStore(store, clock=clock)
    if store is not None and (isinstance(store, type) or not isinstance(store, KeyStore)):
        raise ConfigurationError(
            'key_store is a directory for the workers of this host, key_store="/var/cache/my-agents/keys", or a'
            " RedisKeyStore (oidcbridge.stores)"
        )
    return store


def _observer(arguments: VerifierArguments) -> Observer | None:
    observer = arguments.get("observer")
    if observer is not None and (not callable(observer) or is_async(observer)):
        raise ConfigurationError("observer is a plain function that takes an Event; it is called in its own thread")
    return observer


def _said(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, which says nothing; but for the audience, where it must be written to mean "none".

    And for the allow-lists, which refuse it: an unset variable in the code would otherwise allow everybody.
    """
    kept = ("audience", "client_ids", "tenants")
    return {name: value for name, value in arguments.items() if value is not None or name in kept}


def _beside_environment(arguments: VerifierArguments, found: dict[str, Any]) -> VerifierArguments:
    """What the code says stands over the environment, whichever of the two spellings each uses."""
    if arguments.keys() & {"algorithm", "algorithms"}:
        found = {name: value for name, value in found.items() if name not in ("algorithm", "algorithms")}
    return cast(VerifierArguments, {**found, **arguments})


def _refuse_unknown(arguments: Mapping[str, Any]) -> None:
    for name in arguments:
        if name not in VerifierArguments.__annotations__ | IssuerArguments.__annotations__:
            raise TypeError(f"Verifier() got an unexpected keyword argument {name!r}")


def names_a_source(arguments: Mapping[str, Any]) -> bool:
    """Whether the code names an issuer or keys; the environment is then not read at all."""
    names = ("issuer_url", "issuers", "verification_keys", "secret_key", "jwks", "jwks_file")
    return any(arguments.get(name) is not None for name in names)


def unverified_mapping(arguments: IssuerArguments) -> ClaimMapping:
    """The mapping alone, for ``validate=False``: no issuer or key is needed to read claims that nobody vouches for."""
    logger.warning(
        "validate=False: claims are read unverified and nobody is authenticated; whoever calls chooses who to be."
        " For demos only"
    )
    profile = profile_for(arguments.get("provider") or "auto", arguments.get("issuer_url"))
    warn_of_ids(arguments)
    return read_mapping(cast(IssuerArguments, _said(arguments)), profile.mapping, frozenset())
