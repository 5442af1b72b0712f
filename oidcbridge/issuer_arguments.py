"""What is said of one issuer, argument by argument: read, checked and put into the words of the core.

Every `ConfigurationError` from here says what to write instead.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from oidcbridge.arguments import IssuerArguments, can_go_before_ids, read_allow_list, read_claim_names, read_names
from oidcbridge.core.claims import ClaimPaths
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS, HMAC_ALGORITHMS, KeySet, parse_key_set
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import TokenRules
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.core.strict_json import thaw
from oidcbridge.errors import ConfigurationError, KeysUnavailableError
from oidcbridge.profiles import Profile
from oidcbridge.profiles.profile import TENANT

logger = logging.getLogger("oidcbridge.settings")

MAX_LEEWAY = 300.0
_PER_TOKEN = ("jti", "uti", "event_id")
_REASSIGNABLE = ("email", "preferred_username", "username", "cognito:username", "upn", "unique_name", "nickname")


def read_algorithms(arguments: IssuerArguments) -> frozenset[str]:
    """The algorithms that are allowed. Raises `ConfigurationError`, also for HMAC beside an issuer."""
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


def read_static_keys(arguments: IssuerArguments, algorithms: frozenset[str]) -> KeySet | None:
    """The keys that stand in the arguments or in a file they name, if any. Raises `ConfigurationError`."""
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


def read_audiences(arguments: IssuerArguments, profile: Profile, client_ids: frozenset[str]) -> frozenset[str] | None:
    """The audiences that are accepted; None: by the client alone. Raises `ConfigurationError` where neither is said."""
    audience, required = arguments.get("audience"), profile.rules.audience_required
    if arguments.get("issuer_url") is not None and not required and not client_ids:
        # With an audience too: a token that names none would pass, whichever client it was made for.
        said = audience if isinstance(audience, str) else "…"
        raise ConfigurationError(
            f'{profile.name} access tokens name the app client: write client_ids=["{said}"] (OIDCBRIDGE_CLIENT_IDS)'
            " and leave audience out"
        )
    if audience is not None:
        return frozenset(read_names(audience, "audience", 'audience="agent-api"'))
    if arguments.get("issuer_url") is None or (client_ids and ("audience" in arguments or not required)):
        return None
    raise ConfigurationError(
        'audience is missing: write the name of this API as the provider puts it into "aud", audience="agent-api". To'
        ' go without, write audience=None and client_ids=["…"] (whose tokens are accepted)'
    )


def read_leeway(leeway: float) -> float:
    """Seconds of clock skew. Raises `ConfigurationError`."""
    if isinstance(leeway, bool) or not isinstance(leeway, int | float) or not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"leeway is 0 to {MAX_LEEWAY:.0f} seconds")
    return float(leeway)


def check_id_tokens(arguments: IssuerArguments, profile: Profile) -> None:
    """Raises `ConfigurationError` where ID tokens are accepted without need, or nothing else can be."""
    accepts = arguments.get("accept_id_tokens", False)
    if not isinstance(accepts, bool):
        raise ConfigurationError("accept_id_tokens is True or False")
    if accepts and profile.id_tokens == "refused":
        raise ConfigurationError(
            f"accept_id_tokens: {profile.name} has access tokens that can be told from ID tokens: let the client send"
            " those, and leave accept_id_tokens out"
        )
    if not accepts and profile.id_tokens == "needed":
        raise ConfigurationError(
            f"{profile.name} signs no access tokens that could be told from ID tokens: write accept_id_tokens=True"
            " and, as audience=, the id of the client whose users may come in; whoever that client sends its ID tokens"
            " to can then call this API with them"
        )


def read_rules(arguments: IssuerArguments, profile: Profile) -> TokenRules:
    """How access tokens are told from others: as the provider's row says, less what the operator accepts by name."""
    return profile.rules.with_id_tokens() if arguments.get("accept_id_tokens", False) else profile.rules


def read_issuer_names(
    issuer_url: str | None, profile: Profile, tenants: frozenset[str]
) -> tuple[dict[str, tuple[str, str] | None], str | None]:
    """What else stands for this issuer in ``iss`` (`Policy.other_issuers`), and in its discovery document, if anything.

    Raises `ConfigurationError` for an issuer of many tenants without the list of those that are let in.
    """
    if issuer_url is None:
        return {}, None
    template = profile.template
    found = re.fullmatch(template.pattern, issuer_url) if template else None
    if template is None or found is None:
        return dict.fromkeys(profile.issuer_spellings), None
    if not tenants or not all(re.fullmatch(template.tenant_pattern, tenant) for tenant in tenants):
        raise ConfigurationError(
            f"issuer_url={issuer_url!r} stands for every tenant: write tenants=[…] with the id of each that is let in"
            " (a GUID in lower case: the directory (tenant) id, not a domain), or the issuer of your own tenant alone"
        )
    before, after = issuer_url[: found.start("tenant")], issuer_url[found.end("tenant") :]
    return {f"{before}{one}{after}": (template.tenant_claim, one) for one in tenants}, f"{before}{TENANT}{after}"


def warn_of_ids(arguments: IssuerArguments) -> None:
    """Tell the operator of a user id that may go from one person to another."""
    said = arguments.get("user_id_claim")
    names = () if said is None else read_names(said, "user_id_claim", 'user_id_claim="path.to.claim"')
    reassignable = [path for path in names if path in _REASSIGNABLE]
    if reassignable and len(names) > 1:
        logger.warning(
            "user_id_claim=%r: who may choose %r can choose another person's id in one of the other claims, and whose"
            " token lacks a claim gets another id of their own; name one claim, such as 'sub'",
            list(names),
            reassignable[0],
        )
    elif reassignable:
        logger.warning(
            "user_id_claim=%r: a provider may give this name to another person later, who then has the first one's"
            " sessions; 'sub' is never reassigned",
            reassignable[0],
        )


def read_tenants(arguments: IssuerArguments) -> frozenset[str]:
    """The allow-list of tenants. Raises `ConfigurationError`."""
    tenants = read_allow_list(arguments.get("tenants", ()), "tenants")
    if not all(map(can_go_before_ids, tenants)):
        raise ConfigurationError(
            "tenants are names without a colon, and none is 'client' (which marks machines): they go before users' ids"
        )
    return tenants


def read_mapping(arguments: IssuerArguments, row: ClaimMapping, own_clients: frozenset[str]) -> ClaimMapping:
    """What is read from which claim: the provider's row, and what was said over it. Raises `ConfigurationError`."""
    said: dict[str, ClaimPaths] = {}
    for name in ("user_id", "session_id", "scopes", "roles", "groups", "permissions", "tenant"):
        names = arguments.get(f"{name}_claim")
        if names is not None:
            said[name] = read_names(names, f"{name}_claim", f'{name}_claim="path.to.claim"')
    per_token = [path for path in said.get("session_id", ()) if path in _PER_TOKEN]
    if per_token:
        raise ConfigurationError(
            f"session_id_claim={per_token[0]!r} names the token and not the session: each refresh would begin a new"
            " one. Name a claim that lasts, such as 'sid', or leave it out"
        )
    return replace(
        row,
        **cast(Any, said),
        dependencies=read_claim_names(arguments.get("dependencies_claims", ()), "dependencies_claims"),
        session_state=read_claim_names(arguments.get("session_state_claims", ()), "session_state_claims"),
        own_clients=own_clients,
        tenants=read_tenants(arguments),
    )
