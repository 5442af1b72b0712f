"""Arguments -> Settings: what a user wrote, checked as a whole, before anything runs.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from oidcbridge.arguments import (
    Issuer,
    IssuerArguments,
    VerifierArguments,
    can_go_before_ids,
    read_allow_list,
    read_claim_names,
    read_names,
)
from oidcbridge.core.claims import ClaimPaths
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS, HMAC_ALGORITHMS, KeySet, parse_key_set
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import Clock, FetchOptions, Policy
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.core.strict_json import thaw
from oidcbridge.core.urls import check_issuer_urls
from oidcbridge.environment import VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError, KeysUnavailableError
from oidcbridge.profiles import Profile, profile_for
from oidcbridge.remote.http import check_options

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
    browser_url: str | None


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
    return Settings(_resolve_issuers(arguments, fetch), fetch, arguments.get("clock", Clock()), token_cache)


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


def _resolve_issuers(arguments: VerifierArguments, fetch: FetchOptions) -> tuple[IssuerSettings, ...]:
    issuers = arguments.get("issuers")
    if issuers is None:
        single = {name: value for name, value in arguments.items() if name in IssuerArguments.__annotations__}
        return (resolve_issuer(cast(IssuerArguments, single), fetch),)
    beside = sorted(name for name in arguments if name in IssuerArguments.__annotations__ and name != "leeway")
    if beside:
        raise ConfigurationError(f"issuers= and {beside[0]}= exclude each other; say it in each Issuer(…)")
    if not isinstance(issuers, Sequence) or not all(isinstance(issuer, Issuer) for issuer in issuers):
        raise ConfigurationError("issuers= is a list: issuers=[Issuer(issuer_url=…, audience=…, name=…), …]")
    if not issuers or len({issuer.issuer_url for issuer in issuers}) < len(issuers):
        raise ConfigurationError("issuers= needs at least one Issuer, and each issuer_url once")
    names = [issuer.name for issuer in issuers]
    if len(set(names)) < len(names) or not all(map(can_go_before_ids, names)):
        raise ConfigurationError(
            "each Issuer needs a name of its own, without a colon and not 'client' (which marks machines): it goes"
            " before its users' ids"
        )
    leeway = IssuerArguments(leeway=arguments["leeway"]) if "leeway" in arguments else IssuerArguments()
    resolved = [(issuer.name, resolve_issuer({**issuer.arguments(), **leeway}, fetch)) for issuer in issuers]
    # Also where there is one: a second must not rename the first one's users.
    return tuple(
        replace(settings, mapping=replace(settings.mapping, user_id_prefix=f"{name}:")) for name, settings in resolved
    )


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
    algorithms = _algorithms(arguments)
    keys = _static_keys(arguments, algorithms)
    client_ids = read_allow_list(arguments.get("client_ids", ()), "client_ids")
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
    return IssuerSettings(issuer_url, profile, policy, mapping, keys, discovery_url, jwks_uri, browser_url)


def unverified_mapping(arguments: IssuerArguments) -> ClaimMapping:
    """The mapping alone, for ``validate=False``: no issuer or key is needed to read claims that nobody vouches for."""
    logger.warning(
        "validate=False: claims are read unverified and nobody is authenticated; whoever calls chooses who to be."
        " For demos only"
    )
    profile = profile_for(arguments.get("provider") or "auto", arguments.get("issuer_url"))
    return _mapping(cast(IssuerArguments, _said(arguments)), profile.mapping, frozenset())


def _algorithms(arguments: IssuerArguments) -> frozenset[str]:
    if "algorithm" in arguments and "algorithms" in arguments:
        raise ConfigurationError("algorithm= is the one-element form of algorithms=; write one of them")
    static = any(arguments.get(name) is not None for name in ("verification_keys", "secret_key"))
    default = "HS256" if arguments.get("secret_key") is not None else ASYMMETRIC_ALGORITHMS
    said = arguments.get("algorithm", arguments.get("algorithms", default))
    algorithms = frozenset(read_names(said, "algorithms", 'algorithms=["RS256", "ES256"]'))
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
        return _read_key_set(_read_file(cast(str, arguments["jwks_file"]), "jwks_file"), "jwks_file")
    jwks = arguments.get("jwks")
    if jwks is not None:
        return _read_key_set(_jwks_text(jwks).encode(), "jwks")
    return None


def _jwks_text(jwks: Mapping[str, Any] | str) -> str:
    try:
        return jwks if isinstance(jwks, str) else json.dumps(thaw(jwks))
    except TypeError:
        raise ConfigurationError('jwks is a JWK Set, {"keys": […]}, as a dict or as its JSON text') from None


def _read_file(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} {os.fspath(path)} cannot be read: {error.strerror}") from None


def _read_key_set(data: bytes, name: str) -> KeySet:
    try:
        return parse_key_set(data)
    except KeysUnavailableError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _audiences(arguments: IssuerArguments, profile: Profile, client_ids: frozenset[str]) -> frozenset[str] | None:
    audience, required = arguments.get("audience"), profile.rules.audience_required
    if arguments.get("issuer_url") is not None and not required and not client_ids:
        # With an audience too: a token that names none would pass, whichever client it was made for.
        raise ConfigurationError(f'{profile.name} access tokens name the app client: write client_ids=["…"]')
    if audience is not None:
        return frozenset(read_names(audience, "audience", 'audience="agent-api"'))
    if arguments.get("issuer_url") is None or (client_ids and ("audience" in arguments or not required)):
        return None
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
        names = arguments.get(f"{name}_claim")
        if names is not None:
            said[name] = read_names(names, f"{name}_claim", f'{name}_claim="path.to.claim"')
    reassignable = [path for path in said.get("user_id", ()) if path in _REASSIGNABLE]
    if reassignable and len(said["user_id"]) > 1:
        logger.warning(
            "user_id_claim=%r: who may choose %r can choose another person's id in one of the other claims, and whose"
            " token lacks a claim gets another id of their own; name one claim, such as 'sub'",
            list(said["user_id"]),
            reassignable[0],
        )
    elif reassignable:
        logger.warning(
            "user_id_claim=%r: a provider may give this name to another person later, who then has the first one's"
            " sessions; 'sub' is never reassigned",
            reassignable[0],
        )
    tenants = read_allow_list(arguments.get("tenants", ()), "tenants")
    if not all(map(can_go_before_ids, tenants)):
        raise ConfigurationError(
            "tenants are names without a colon, and none is 'client' (which marks machines): they go before users' ids"
        )
    return replace(
        row,
        **cast(Any, said),
        dependencies=read_claim_names(arguments.get("dependencies_claims", ()), "dependencies_claims"),
        session_state=read_claim_names(arguments.get("session_state_claims", ()), "session_state_claims"),
        own_clients=own_clients,
        tenants=tenants,
    )
