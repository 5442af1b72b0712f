"""Arguments -> Settings: what a user wrote, checked as a whole, before anything runs.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from oidcbridge.arguments import ClaimNames, IssuerArguments, Names, VerifierArguments
from oidcbridge.core.claims import ClaimPaths
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS, HMAC_ALGORITHMS, KeySet, parse_key_set
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import Clock, FetchOptions, Policy
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.core.urls import check_url
from oidcbridge.environment import VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError, KeysUnavailableError
from oidcbridge.profiles import Profile, profile_for

logger = logging.getLogger("oidcbridge.settings")

MAX_LEEWAY = 300.0
_REASSIGNABLE = ("email", "preferred_username", "username", "cognito:username", "upn", "unique_name", "nickname")


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


@dataclass(frozen=True)
class Settings:
    """Everything a `Verifier` is made of."""

    issuers: tuple[IssuerSettings, ...]
    fetch: FetchOptions
    clock: Clock
    token_cache: int


def resolve(arguments: VerifierArguments, environ: Mapping[str, str] = os.environ) -> Settings:
    """Check the arguments and resolve them. Raises `ConfigurationError`; `TypeError` for an unknown argument."""
    _refuse_unknown(arguments)
    if not names_a_source(arguments):
        arguments = cast(VerifierArguments, {**read_environment(VERIFIER_VARIABLES, environ), **arguments})
    if not names_a_source(arguments):
        raise ConfigurationError(
            'neither an issuer nor keys: write issuer_url="https://…" and audience="…", or set OIDCBRIDGE_ISSUER_URL'
            " and OIDCBRIDGE_AUDIENCE"
        )
    fetch = arguments.get("fetch") or FetchOptions()
    token_cache = arguments.get("token_cache", 10_000)
    if not isinstance(token_cache, int) or token_cache < 0:
        raise ConfigurationError("token_cache is how many verified tokens are remembered: an int, 0 turns it off")
    return Settings(_resolve_issuers(arguments, fetch), fetch, arguments.get("clock") or Clock(), token_cache)


def _refuse_unknown(arguments: Mapping[str, Any]) -> None:
    for name in arguments:
        if name not in VerifierArguments.__annotations__ | IssuerArguments.__annotations__:
            raise TypeError(f"Verifier() got an unexpected keyword argument {name!r}")


def names_a_source(arguments: Mapping[str, Any]) -> bool:
    """Whether the code names an issuer or keys; the environment is then not read at all."""
    names = ("issuer_url", "issuers", "verification_keys", "secret_key", "jwks", "jwks_file")
    return any(arguments.get(name) is not None for name in names)


def _resolve_issuers(arguments: VerifierArguments, fetch: FetchOptions) -> tuple[IssuerSettings, ...]:
    issuers = arguments.get("issuers")
    if issuers is None:
        single = {name: value for name, value in arguments.items() if name in IssuerArguments.__annotations__}
        return (resolve_issuer(cast(IssuerArguments, single), fetch),)
    beside = sorted(name for name in arguments if name in IssuerArguments.__annotations__ and name != "leeway")
    if beside:
        raise ConfigurationError(f"issuers= and {beside[0]}= exclude each other; say it in each Issuer(…)")
    if not issuers or len({issuer.issuer_url for issuer in issuers}) < len(issuers):
        raise ConfigurationError("issuers= needs at least one Issuer, and each issuer_url once")
    names = [issuer.name for issuer in issuers]
    if len(set(names)) < len(names) or not all(name and ":" not in name for name in names):
        raise ConfigurationError("each Issuer needs a name of its own, without a colon: it goes before its users' ids")
    leeway = IssuerArguments(leeway=arguments["leeway"]) if "leeway" in arguments else IssuerArguments()
    resolved = [(issuer.name, resolve_issuer({**issuer.arguments(), **leeway}, fetch)) for issuer in issuers]
    if len(resolved) == 1:
        return (resolved[0][1],)
    return tuple(
        replace(settings, mapping=replace(settings.mapping, user_id_prefix=f"{name}:")) for name, settings in resolved
    )


def resolve_issuer(arguments: IssuerArguments, fetch: FetchOptions) -> IssuerSettings:
    """Resolve what is said of one issuer. Raises `ConfigurationError`."""
    issuer_url = arguments.get("issuer_url")
    discovery_url, jwks_uri = arguments.get("discovery_url"), arguments.get("jwks_uri")
    _check_urls(issuer_url, discovery_url, jwks_uri, fetch)
    profile = profile_for(arguments.get("provider", "auto"), issuer_url)
    algorithms = _algorithms(arguments)
    keys = _static_keys(arguments, algorithms)
    client_ids = frozenset(_tuple(arguments.get("client_ids", ())))
    audiences = _audiences(arguments, profile, client_ids)
    token_type = arguments.get("token_type")
    if token_type not in (None, "at+jwt"):
        raise ConfigurationError('token_type is "at+jwt" (RFC 9068 strictness), or is left out')
    policy = Policy(
        issuer=issuer_url,
        audiences=audiences,
        algorithms=algorithms,
        client_ids=client_ids,
        leeway=_leeway(arguments.get("leeway", 60.0)),
        token_type=token_type,
        rules=profile.rules,
    )
    mapping = _mapping(arguments, profile.mapping, audiences or frozenset())
    return IssuerSettings(issuer_url, profile, policy, mapping, keys, discovery_url, jwks_uri)


def unverified_mapping(arguments: IssuerArguments) -> ClaimMapping:
    """The mapping alone, for ``validate=False``: no issuer or key is needed to read claims that nobody vouches for."""
    logger.warning(
        "validate=False: claims are read unverified and nobody is authenticated; whoever calls chooses who to be."
        " For demos only"
    )
    profile = profile_for(arguments.get("provider", "auto"), arguments.get("issuer_url"))
    return _mapping(arguments, profile.mapping, frozenset())


def _check_urls(issuer_url: str | None, discovery_url: str | None, jwks_uri: str | None, fetch: FetchOptions) -> None:
    urls = {"issuer_url": issuer_url, "discovery_url": discovery_url, "jwks_uri": jwks_uri}
    for name, url in urls.items():
        if url is not None:
            check_url(url, name=name, allow_http=fetch.insecure_allow_http)
    if issuer_url is None:
        if discovery_url or jwks_uri:
            raise ConfigurationError("discovery_url and jwks_uri say where an issuer's keys are: write issuer_url too")
        return
    if "/.well-known/" in issuer_url:
        raise ConfigurationError(
            "issuer_url is a discovery document's address; write the part before '/.well-known/', exactly as the"
            " document's own 'issuer' says"
        )
    if "?" in issuer_url:
        raise ConfigurationError("issuer_url has no query part (OpenID Connect Discovery section 2)")
    if "{" in issuer_url:
        raise ConfigurationError("issuer_url is a template; write your tenant's own issuer")


def _tuple(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _algorithms(arguments: IssuerArguments) -> frozenset[str]:
    if "algorithm" in arguments and "algorithms" in arguments:
        raise ConfigurationError("algorithm= is the one-element form of algorithms=; write one of them")
    static = any(arguments.get(name) is not None for name in ("verification_keys", "secret_key"))
    default = ("HS256",) if arguments.get("secret_key") is not None else tuple(ASYMMETRIC_ALGORITHMS)
    said = arguments.get("algorithm") or arguments.get("algorithms") or default
    algorithms = frozenset(_tuple(said))
    unknown = sorted(algorithms - ASYMMETRIC_ALGORITHMS - HMAC_ALGORITHMS)
    if unknown:
        raise ConfigurationError(f"algorithms names {unknown[0]!r}; known are {sorted(ASYMMETRIC_ALGORITHMS)}")
    if algorithms & HMAC_ALGORITHMS and not static:
        raise ConfigurationError(
            f"{min(algorithms & HMAC_ALGORITHMS)} is for shared secrets and goes with verification_keys= alone: an"
            " issuer's public keys are public, and whoever has one could sign with it"
        )
    return algorithms


def _static_keys(arguments: IssuerArguments, algorithms: frozenset[str]) -> KeySet | None:
    names = ("verification_keys", "secret_key", "jwks", "jwks_file", "jwks_uri", "discovery_url")
    said = [name for name in names if arguments.get(name) is not None]
    if len(said) > 1 and said != ["jwks_uri", "discovery_url"]:
        raise ConfigurationError(f"{said[0]}= and {said[1]}= both say where the keys are; write one of them")
    keys = arguments.get("verification_keys")
    if arguments.get("secret_key") is not None:
        keys = arguments["secret_key"]
    if keys is not None:
        return parse_verification_keys([keys] if isinstance(keys, str | bytes) else keys, algorithms)
    if arguments.get("jwks_file") is not None:
        return _read_key_set(_read_file(Path(cast(str, arguments["jwks_file"]))), "jwks_file")
    jwks = arguments.get("jwks")
    if jwks is not None:
        return _read_key_set((jwks if isinstance(jwks, str) else json.dumps(jwks)).encode(), "jwks")
    return None


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"jwks_file {path} cannot be read: {error.strerror}") from None


def _read_key_set(data: bytes, name: str) -> KeySet:
    try:
        return parse_key_set(data)
    except KeysUnavailableError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _audiences(arguments: IssuerArguments, profile: Profile, client_ids: frozenset[str]) -> frozenset[str] | None:
    audience = arguments.get("audience")
    if audience is not None:
        audiences = frozenset(_tuple(audience))
        if not audiences or not all(isinstance(name, str) and name for name in audiences):
            raise ConfigurationError('audience is a string or a list of strings: audience="agent-api"')
        return audiences
    if arguments.get("issuer_url") is None or (
        client_ids and ("audience" in arguments or not profile.rules.audience_required)
    ):
        return None
    if not profile.rules.audience_required:
        raise ConfigurationError(f'{profile.name} access tokens name the app client: write client_ids=["…"]')
    raise ConfigurationError(
        'audience is missing: write the name of this API as the provider puts it into "aud", audience="agent-api". To'
        ' go without, write audience=None and client_ids=["…"] (whose tokens are accepted)'
    )


def _leeway(leeway: float) -> float:
    if isinstance(leeway, bool) or not isinstance(leeway, int | float) or not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"leeway is 0 to {MAX_LEEWAY:.0f} seconds")
    return float(leeway)


def _mapping(arguments: IssuerArguments, row: ClaimMapping, own_clients: frozenset[str]) -> ClaimMapping:
    said: dict[str, ClaimPaths] = {}
    for name in ("user_id", "session_id", "scopes", "roles", "groups", "permissions", "tenant"):
        names = cast(Names | None, arguments.get(f"{name}_claim"))
        if names is not None:
            said[name] = _paths(names, f"{name}_claim")
    reassignable = [path for path in said.get("user_id", ()) if path in _REASSIGNABLE]
    if reassignable:
        logger.warning(
            "user_id_claim=%r: a provider may give this name to another person later, who then has the first one's"
            " sessions; 'sub' is never reassigned",
            reassignable[0],
        )
    return replace(
        row,
        **cast(Any, said),
        dependencies=_claim_names(arguments.get("dependencies_claims", ()), "dependencies_claims"),
        session_state=_claim_names(arguments.get("session_state_claims", ()), "session_state_claims"),
        own_clients=own_clients,
        tenants=frozenset(_tuple(arguments.get("tenants", ()))),
    )


def _paths(names: Names, argument: str) -> ClaimPaths:
    paths = _tuple(names)
    if not paths or not all(isinstance(path, str) and path for path in paths):
        raise ConfigurationError(f'{argument} is a claim path or several: {argument}="realm_access.roles"')
    return paths


def _claim_names(names: ClaimNames, argument: str) -> Mapping[str, str]:
    if isinstance(names, str):
        raise ConfigurationError(f'{argument} is a list of claims, or a dict of name -> claim: {argument}=["{names}"]')
    wanted = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    if not all(isinstance(text, str) and text for item in wanted.items() for text in item):
        raise ConfigurationError(f'{argument} names claims by strings: {argument}=["email", "name"]')
    return wanted
