"""What is written to `JWTMiddleware`: agno's arguments, in the words of ours.

Where agno's environment is read, and what stands where nothing is said::

    keys or an issuer in the code      no variable is read
    OIDCBRIDGE_*                       counts before agno's, as far as it is about tokens
    JWT_VERIFICATION_KEY               and JWT_JWKS_FILE, beside each other where both are set
    JWT_SECRET_KEY                     of the documentation's older pages, where neither of those is set: HS256

    static keys                        RS256 and the claims ``sub``, ``scopes``, ``session_id``, as agno has it
    an issuer                          the provider's own, and ``session_id``
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

from agno.os.middleware.jwt import AuthMiddleware

from oidcbridge.agentos.own_settings import INERT_KEY
from oidcbridge.arguments import DynamicIssuers, HttpArguments, Issuer, MiddlewareArguments, Names, VerifierArguments
from oidcbridge.core.bearer import TokenSource
from oidcbridge.core.events import Observer
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.environment import VERIFIER_VARIABLES, read_environment
from oidcbridge.errors import ConfigurationError
from oidcbridge.profiles import Profile
from oidcbridge.settings import names_a_source


class Unsaid(str):
    """A default of agno's, told from the same text written out."""


RS256, SUB, SCOPES, SESSION_ID, AUD = map(Unsaid, ("RS256", "sub", "scopes", "session_id", "aud"))
_CLAIMS = ("user_id_claim", "session_id_claim", "scopes_claim", "dependencies_claims", "session_state_claims")


class MoreArguments(TypedDict, total=False):
    """The arguments of `oidcbridge.OIDCMiddleware` that agno's own layer has not."""

    issuer_url: str | None
    client_ids: Names
    provider: str | Profile
    algorithms: Names
    discovery_url: str | None
    jwks_uri: str | None
    browser_url: str | None
    jwks: Mapping[str, Any] | str | None
    secret_key: str | bytes | None
    roles_claim: Names
    groups_claim: Names
    permissions_claim: Names
    tenant_claim: Names
    tenants: Names
    leeway: float
    token_type: Literal["at+jwt"] | None
    accept_id_tokens: bool
    issuers: Sequence[Issuer | DynamicIssuers] | DynamicIssuers
    unqualified_user_ids: bool
    token_cache: int
    fetch: FetchOptions
    key_store: KeyStore | str | os.PathLike[str] | None
    observer: Observer | None
    clock: Clock
    allowed_origins: Sequence[str]
    require_authentication: bool


def sort_arguments(said: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor was told. Raises `TypeError` for an unknown argument."""
    for name in more:
        if name not in MoreArguments.__annotations__:
            raise TypeError(f"JWTMiddleware() got an unexpected keyword argument {name!r}")
    sorted_out = {name: value for name, value in said.items() if name not in ("self", "app", "more")}
    if sorted_out["verification_keys"] == [INERT_KEY]:
        sorted_out["verification_keys"] = None  # we wrote that, for AgentOS to see
    return {**sorted_out, **more}


def written(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said at all."""
    return {name: value for name, value in said.items() if value is not None and not isinstance(value, Unsaid)}


def http_arguments(said: Mapping[str, Any]) -> HttpArguments:
    """The HTTP side's arguments. Raises `ConfigurationError`."""
    if said.get("require_authentication", True) is not True:
        raise ConfigurationError(
            "require_authentication=False: AgentOS takes every request that reaches it for one that may; leave it out"
        )
    arguments = {name: value for name, value in written(said).items() if name in HttpArguments.__annotations__}
    source = getattr(said["token_source"], "value", said["token_source"])
    if source in [one.value for one in TokenSource]:
        arguments["token_source"] = TokenSource(source)  # agno's own has the same values
    arguments["excluded_route_paths"] = _exclusions(said["excluded_route_paths"])
    return cast(HttpArguments, arguments)


def _exclusions(paths: Sequence[str] | None) -> Sequence[str]:
    """agno's rule: what is said replaces its defaults, and a path counts with and without a slash at its end."""
    if paths is None:
        paths = AuthMiddleware._get_default_excluded_routes(cast(AuthMiddleware, None))
    if isinstance(paths, str):
        return paths  # which is refused
    return [*paths, *(f"{path}/" for path in paths if isinstance(path, str))]


def unverified_arguments(said: Mapping[str, Any]) -> MiddlewareArguments:
    """For ``validate=False``: which claims are read, and the HTTP side."""
    claims = {name: said[name] for name in _CLAIMS if said.get(name) is not None}
    return cast(MiddlewareArguments, {**claims, **http_arguments(said)})


def verifier_arguments(said: Mapping[str, Any], os_id: str | None, environ: Mapping[str, str]) -> VerifierArguments:
    """The arguments of the verifier. ``os_id``: the AgentOS, whose id is the audience where none is said.

    Raises `ConfigurationError` where nobody is named whose tokens are believed.
    """
    given = {name: value for name, value in written(said).items() if name in VerifierArguments.__annotations__}
    if "audience" in given and not isinstance(given["audience"], str):
        given["audience"] = tuple(given["audience"])
    elif said["verify_audience"] and not given.get("audience"):
        if os_id is None:
            raise ConfigurationError('verify_audience=True: this app is no AgentOS with an id; write audience="…"')
        given["audience"] = os_id
    if said["verifier"] is not None:
        return cast(VerifierArguments, given)
    given = _with_environment(given, environ)
    return cast(VerifierArguments, {**_defaults(given), **given})


def _with_environment(given: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    if names_a_source(given):
        return given
    ours = read_environment(VERIFIER_VARIABLES, environ)
    if names_a_source(ours):
        if given.keys() & {"algorithm", "algorithms"}:
            ours = {name: value for name, value in ours.items() if name not in ("algorithm", "algorithms")}
        return {**ours, **given}
    key, file, secret = map(environ.get, ("JWT_VERIFICATION_KEY", "JWT_JWKS_FILE", "JWT_SECRET_KEY"))
    if not (key or file or secret):
        raise ConfigurationError(
            "JWTMiddleware is told nobody whose tokens it is to believe: write issuer_url= and audience=,"
            " verification_keys=[…], secret_key= or jwks_file=, or set JWT_VERIFICATION_KEY, JWT_JWKS_FILE or"
            " JWT_SECRET_KEY"
        )
    found = {"secret_key": secret} if not (key or file) else {"verification_keys": key and [key], "jwks_file": file}
    return {**given, **{name: value for name, value in found.items() if value}}


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """What agno has where nothing is said, as far as it is the provider's no matter."""
    if given.get("issuers") is not None:
        return {}  # each says its own
    defaults: dict[str, Any] = {"session_id_claim": str(SESSION_ID)}
    if given.get("issuer_url") is not None:
        return {**defaults, "scopes_claim": [str(SCOPES), "scope", "scp"]}
    if "algorithms" not in given and "secret_key" not in given:
        defaults["algorithm"] = str(RS256)
    return {**defaults, "user_id_claim": str(SUB), "scopes_claim": str(SCOPES)}
