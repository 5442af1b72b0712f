"""Arguments -> Settings: what a user wrote, checked as a whole, before anything runs.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from oidcbridge.arguments import (
    DynamicIssuers,
    Issuer,
    IssuerArguments,
    VerifierArguments,
    can_go_before_ids,
    read_allow_list,
    read_names,
)
from oidcbridge.core.addresses import AddressRule, parse_networks
from oidcbridge.core.events import Observer
from oidcbridge.core.issuer_patterns import IssuerPattern, parse_issuer_pattern
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.keys import KeySet
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import Clock, FetchOptions, Policy
from oidcbridge.core.urls import check_issuer_urls
from oidcbridge.environment import VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError
from oidcbridge.issuer_arguments import read_algorithms, read_audiences, read_leeway, read_mapping, read_static_keys
from oidcbridge.profiles import Profile, profile_for
from oidcbridge.remote.http import check_options
from oidcbridge.stores.file import FileKeyStore

logger = logging.getLogger("oidcbridge.settings")


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


#: Whether an issuer is let in, and by which name.
IssuerRule = IssuerPattern | Callable[[str], str | bool | None]


@dataclass(frozen=True)
class DynamicSettings:
    """Issuers by a rule: what is said of each, and the way to them."""

    rule: IssuerRule
    arguments: IssuerArguments
    taken: frozenset[str]
    """Names of the issuers beside them: no tenant may have one of these, or it would share their users' ids."""
    max_issuers: int
    fetch: FetchOptions
    _by_profile: dict[str, IssuerSettings] = field(default_factory=dict, repr=False)

    def of(self, issuer_url: str, name: str) -> IssuerSettings:
        """The settings of one such issuer. Raises `ConfigurationError` where what was said does not fit it."""
        profile = profile_for(self.arguments.get("provider", "auto"), issuer_url)
        like = self._by_profile.get(profile.name)
        if like is None:  # resolved, and warned about, once for each profile
            like = resolve_issuer({**self.arguments, "issuer_url": issuer_url}, self.fetch)
            self._by_profile[profile.name] = like
        return replace(
            like,
            issuer_url=issuer_url,
            policy=replace(like.policy, issuer=issuer_url),
            mapping=replace(like.mapping, user_id_prefix=f"{name}:"),
        )


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


def resolve(arguments: VerifierArguments, environ: Mapping[str, str] = os.environ) -> Settings:
    """Check the arguments and resolve them. Raises `ConfigurationError`; `TypeError` for an unknown argument."""
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
        single = {name: value for name, value in arguments.items() if name in IssuerArguments.__annotations__}
        only = resolve_issuer(cast(IssuerArguments, single), fetch)
        return Settings((only,), fetch, clock, token_cache, None, key_store, observer)
    issuers, dynamic = _resolve_issuers(arguments, fetch)
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


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _observer(arguments: VerifierArguments) -> Observer | None:
    observer = arguments.get("observer")
    if observer is not None and (not callable(observer) or _is_async(observer)):
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


def _resolve_issuers(
    arguments: VerifierArguments, fetch: FetchOptions
) -> tuple[tuple[IssuerSettings, ...], DynamicSettings | None]:
    beside = sorted(name for name in arguments if name in IssuerArguments.__annotations__ and name != "leeway")
    if beside:
        raise ConfigurationError(f"issuers= and {beside[0]}= exclude each other; say it in each Issuer(…)")
    said: object = arguments["issuers"]
    listed = [said] if isinstance(said, DynamicIssuers) else said
    if not isinstance(listed, Sequence) or not all(isinstance(one, Issuer | DynamicIssuers) for one in listed):
        raise ConfigurationError(
            "issuers= is a list: issuers=[Issuer(issuer_url=…, audience=…, name=…), …], or DynamicIssuers(allow=…)"
        )
    issuers = [one for one in listed if isinstance(one, Issuer)]
    dynamic = [one for one in listed if isinstance(one, DynamicIssuers)]
    if not listed or len({issuer.issuer_url for issuer in issuers}) < len(issuers):
        raise ConfigurationError("issuers= needs at least one Issuer, and each issuer_url once")
    if len(dynamic) > 1:
        raise ConfigurationError(
            "issuers= takes one DynamicIssuers: two could give one name to two tenants, who would share their users'"
            " ids. Write a function that decides about all: DynamicIssuers(allow=decide)"
        )
    names = [issuer.name for issuer in issuers]
    if len(set(names)) < len(names) or not all(map(can_go_before_ids, names)):
        raise ConfigurationError(
            "each Issuer needs a name of its own, without a colon and not 'client' (which marks machines): it goes"
            " before its users' ids"
        )
    leeway = IssuerArguments(leeway=arguments["leeway"]) if "leeway" in arguments else IssuerArguments()
    resolved = [(issuer.name, resolve_issuer({**issuer.arguments(), **leeway}, fetch)) for issuer in issuers]
    # Also where there is one: a second must not rename the first one's users.
    prefixed = [replace(one, mapping=replace(one.mapping, user_id_prefix=f"{name}:")) for name, one in resolved]
    return tuple(prefixed), _resolve_dynamic(dynamic[0], leeway, fetch, frozenset(names)) if dynamic else None


def _resolve_dynamic(
    said: DynamicIssuers, leeway: IssuerArguments, fetch: FetchOptions, taken: frozenset[str]
) -> DynamicSettings:
    rule, example = _rule(said.allow, fetch)
    if isinstance(said.max_issuers, bool) or not isinstance(said.max_issuers, int) or said.max_issuers < 1:
        raise ConfigurationError("DynamicIssuers(max_issuers=) is how many tenants' keys are kept: an int, at least 1")
    texts = read_names(said.allowed_networks, "allowed_networks", '["10.20.0.0/16"]', may_be_empty=True)
    fetch = replace(fetch, addresses=AddressRule(parse_networks(texts)))
    settings = DynamicSettings(rule, {**said.arguments(), **leeway}, taken, said.max_issuers, fetch)
    settings.of(example, "example")  # a mistake shows on the user's line
    return settings


def _rule(allow: object, fetch: FetchOptions) -> tuple[IssuerRule, str]:
    """The rule, and an issuer to try the other arguments with."""
    if isinstance(allow, str):
        pattern = parse_issuer_pattern(allow, allow_http=fetch.insecure_allow_http)
        return pattern, pattern.example
    if not callable(allow) or _is_async(allow):
        raise ConfigurationError(
            "DynamicIssuers(allow=) is a pattern or a plain function of the issuer, no coroutine function: it is called"
            ' in a thread of its own and may block. allow="https://{tenant}.id.example.com/"'
        )
    return allow, "https://tenant.invalid"


def resolve_issuer(arguments: IssuerArguments, fetch: FetchOptions) -> IssuerSettings:
    """Resolve what is said of one issuer. Raises `ConfigurationError`."""
    issuer_url = arguments.get("issuer_url")
    discovery_url, jwks_uri = arguments.get("discovery_url"), arguments.get("jwks_uri")
    browser_url = arguments.get("browser_url")
    check_issuer_urls(
        issuer_url,
        discovery_url=discovery_url,
        jwks_uri=jwks_uri,
        browser_url=browser_url,
        allow_http=fetch.insecure_allow_http,
    )
    profile = profile_for(arguments.get("provider", "auto"), issuer_url)
    algorithms = read_algorithms(arguments)
    keys = read_static_keys(arguments, algorithms)
    client_ids = read_allow_list(arguments.get("client_ids", ()), "client_ids")
    audiences = read_audiences(arguments, profile, client_ids)
    token_type = arguments.get("token_type")
    if token_type not in (None, "at+jwt"):
        raise ConfigurationError('token_type is "at+jwt" (RFC 9068 strictness), or is left out')
    policy = Policy(
        issuer=issuer_url,
        audiences=audiences,
        algorithms=algorithms,
        client_ids=client_ids,
        leeway=read_leeway(arguments.get("leeway", 60.0)),
        token_type=token_type,
        rules=profile.rules,
    )
    mapping = read_mapping(arguments, profile.mapping, audiences or frozenset())
    return IssuerSettings(issuer_url, profile, policy, mapping, keys, discovery_url, jwks_uri, browser_url)


def unverified_mapping(arguments: IssuerArguments) -> ClaimMapping:
    """The mapping alone, for ``validate=False``: no issuer or key is needed to read claims that nobody vouches for."""
    logger.warning(
        "validate=False: claims are read unverified and nobody is authenticated; whoever calls chooses who to be."
        " For demos only"
    )
    profile = profile_for(arguments.get("provider") or "auto", arguments.get("issuer_url"))
    return read_mapping(cast(IssuerArguments, _said(arguments)), profile.mapping, frozenset())
