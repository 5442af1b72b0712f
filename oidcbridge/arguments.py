"""What a user may write: the arguments as types, so that mypy checks `Verifier`, `protect` and `add_middleware` alike.

The table in the README says what each argument means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict, cast

from oidcbridge.core.bearer import TokenSource
from oidcbridge.core.events import Observer
from oidcbridge.core.key_store import KeyStore
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.errors import ConfigurationError
from oidcbridge.profiles import Profile

Names = str | Sequence[str]
ClaimNames = Sequence[str] | Mapping[str, str]


def read_names(value: object, argument: str, example: str, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """One name or several, as a tuple. Raises `ConfigurationError` for anything but non-empty strings, or for none.

    A None among them (an unset variable) would open an allow-list: a token without that claim reads as None too.
    """
    names: tuple[object, ...] = (value,)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        names = tuple(value)
    if not all(isinstance(name, str) and name for name in names) or not (names or may_be_empty):
        raise ConfigurationError(f"{argument} is a string or a list of strings, none of them empty: {example}")
    return cast(tuple[str, ...], names)


def read_allow_list(names: Names | None, argument: str) -> frozenset[str]:
    """The names that are allowed; none: no such rule. Raises `ConfigurationError`, also for None: see `read_names`."""
    if names is None:
        raise ConfigurationError(
            f"{argument}=None would allow everybody: write the names, or leave the argument out to have no such rule"
        )
    return frozenset(read_names(names, argument, f'{argument}=["acme"]', may_be_empty=True))


def can_go_before_ids(name: str) -> bool:
    """Whether ``name:id`` is nobody else's id: not that of a shorter name, and no machine's (``client:…``)."""
    return bool(name) and ":" not in name and name != "client"


def read_claim_names(names: ClaimNames, argument: str) -> Mapping[str, str]:
    """Name -> claim path. Raises `ConfigurationError` for anything but non-empty strings."""
    if isinstance(names, str):
        raise ConfigurationError(f'{argument} is a list of claims, or a dict of name -> claim: {argument}=["{names}"]')
    wanted = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    if not all(isinstance(text, str) and text for item in wanted.items() for text in item):
        raise ConfigurationError(f'{argument} names claims by strings: {argument}=["email", "name"]')
    return wanted


class IssuerArguments(TypedDict, total=False):
    """What is said of one issuer; the argument table in the README says what each means."""

    issuer_url: str | None
    audience: Names | None
    client_ids: Names
    provider: str | Profile
    algorithms: Names
    algorithm: str
    discovery_url: str | None
    jwks_uri: str | None
    browser_url: str | None
    jwks: Mapping[str, Any] | str | None
    jwks_file: str | os.PathLike[str] | None
    verification_keys: Names | bytes | Sequence[bytes] | None
    secret_key: str | bytes | None
    user_id_claim: Names
    session_id_claim: Names
    scopes_claim: Names
    roles_claim: Names
    groups_claim: Names
    permissions_claim: Names
    tenant_claim: Names
    tenants: Names
    dependencies_claims: ClaimNames
    session_state_claims: ClaimNames
    leeway: float
    token_type: Literal["at+jwt"] | None
    accept_id_tokens: bool


class VerifierArguments(IssuerArguments, total=False):
    """Every argument of `oidcbridge.Verifier`."""

    issuers: Sequence[Issuer | DynamicIssuers] | DynamicIssuers
    unqualified_user_ids: bool
    token_cache: int
    fetch: FetchOptions
    key_store: KeyStore | str | os.PathLike[str] | None
    observer: Observer | None
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class _OfOneIssuer:
    """What may be said of an issuer beside who it is. None: not said.

    ``audience`` None is said: it needs ``client_ids``. For ``client_ids`` and ``tenants`` None is refused.
    """

    audience: Names | None = ()
    client_ids: Names = ()
    provider: str | Profile | None = None
    algorithms: Names | None = None
    user_id_claim: Names | None = None
    session_id_claim: Names | None = None
    scopes_claim: Names | None = None
    roles_claim: Names | None = None
    groups_claim: Names | None = None
    permissions_claim: Names | None = None
    tenant_claim: Names | None = None
    tenants: Names = ()
    dependencies_claims: ClaimNames | None = None
    session_state_claims: ClaimNames | None = None
    token_type: Literal["at+jwt"] | None = None
    accept_id_tokens: bool = False

    def arguments(self) -> IssuerArguments:
        """What was said, as the arguments of a single issuer."""
        names = [item.name for item in fields(self) if item.name in IssuerArguments.__annotations__]
        said = {name: getattr(self, name) for name in names if name != "audience"}
        said = {name: value for name, value in said.items() if value is not None or name in ("client_ids", "tenants")}
        return cast(IssuerArguments, said if self.audience == () else {**said, "audience": self.audience})


@dataclass(frozen=True, kw_only=True)
class Issuer(_OfOneIssuer):
    """One of several issuers; ``name`` goes before its users' ids (``name:sub``).

    With ``unqualified_user_ids=True`` beside ``issuers=`` it does not: only where no two issuers ever give the same id.
    """

    issuer_url: str
    name: str
    discovery_url: str | None = None
    jwks_uri: str | None = None
    browser_url: str | None = None
    jwks: Mapping[str, Any] | str | None = None
    jwks_file: str | os.PathLike[str] | None = None


@dataclass(frozen=True, kw_only=True)
class DynamicIssuers(_OfOneIssuer):
    """Issuers that are not known beforehand: the tenants of a platform, by a rule. Keys come by discovery alone.

    ``allow`` is a pattern, ``"https://{tenant}.id.example.com/"`` or ``"https://id.example.com/realms/{tenant}"``:
    each placeholder stands for one label of the host or one segment of the path, and what it stands for goes before
    the users' ids. Whoever can register such a name at the provider is let in.

    Or ``allow`` is a function of the issuer. It is called in a thread of ours, so it may ask a database; a request
    waits for it, and for the keys, ``fetch.request_wait`` seconds in all, and is answered 503 where that is not enough
    or the function raises. It returns the tenant's name, True for a name made of the issuer, or False or None for a
    stranger. Two issuers of one name would share their users: that no two have the same is the function's to see to.
    About an issuer in use it is asked again after ``fetch.max_age`` seconds, while requests go on; one that it has not
    let in again for ``fetch.max_stale`` seconds waits for its answer.

    ``max_issuers``: how many are kept; the one that was not used for longest leaves first.

    ``allowed_networks``: networks (``"10.20.0.0/16"``) where a provider may be, beside the public addresses.
    """

    allow: str | Callable[[str], str | bool | None]
    max_issuers: int = 256
    allowed_networks: Names = ()


class HttpArguments(TypedDict, total=False):
    """The arguments of the HTTP side alone."""

    token_source: TokenSource
    token_header_key: str
    cookie_name: str
    excluded_route_paths: Sequence[str]
    allowed_origins: Sequence[str]
    require_authentication: bool
    validate: bool


class MiddlewareArguments(VerifierArguments, HttpArguments, total=False):
    """Every argument of `oidcbridge.OIDCMiddleware` beside ``verifier``."""
