"""What is accepted, as data: Policy, the token-kind rules a profile brings, FetchOptions, Clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from oidcbridge.core.addresses import AddressRule
from oidcbridge.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2  # for a type in FetchOptions only; its one run-time import is in remote/http.py

#: RFC 8725 section 3.11 and RFC 9068 section 4: no ``typ``, ``JWT`` or ``at+jwt``; any other explicit type is refused.
LEGACY_HEADER_TYPES = frozenset({"jwt", "at+jwt"})


class KindMarker(NamedTuple):
    """A claim by which a provider itself says what kind a token is; it then decides alone."""

    claim: str
    access: frozenset[str] | None = None
    """Its values in access tokens; None: any text, since other tokens lack the claim (authentik's ``uid``)."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """How a provider's access tokens are told from its other tokens (RFC 8725 section 3.12)."""

    header_types: frozenset[str] = LEGACY_HEADER_TYPES
    marker: KindMarker | None = None
    foreign_claims: tuple[str, ...] = ("nonce", "at_hash", "c_hash", "events")
    """Claims of ID and logout tokens; looked at only where there is no marker."""
    signs: tuple[tuple[str, ...], ...] = ()
    """Claims that each access token has, all those of one entry at least; looked at only where there is no marker."""
    id_tokens_only: bool = False
    """The provider signs no access tokens that anybody else could tell from ID tokens: all are refused, until the
    operator accepts ID tokens by name."""
    refuses_header_nonce: bool = False
    """A ``nonce`` in the header refuses the token: it is for Microsoft's own APIs, and nobody else can verify it."""
    audience_required: bool = True
    """False (Cognito): an access token may have no ``aud``, and the client allow-list decides."""
    audience_claim: str = "aud"
    """Where a token names whom it is for (RFC 7519 section 4.1.3); elsewhere only where the keys are one's own."""
    client_id_claims: tuple[str, ...] = ("client_id", "azp", "cid", "appid")
    keys_name_issuers: bool = False
    """A key with an ``issuer`` of its own signs for that issuer alone, unless it is a template (Entra)."""
    hint: Callable[[Mapping[str, Any]], str] | None = None
    """What to add to the refusal of a token that lacks a claim; empty where nothing is known."""

    def with_id_tokens(self) -> TokenRules:
        """The same where the operator accepts ID tokens in the place of access tokens; logout tokens never."""
        return replace(self, id_tokens_only=False, signs=(), foreign_claims=("events",))


@dataclass(frozen=True, slots=True)
class Policy:
    """What one issuer's tokens must say. ``audiences`` None: no audience rule (then ``client_ids`` is not empty)."""

    issuer: str | None
    audiences: frozenset[str] | None
    algorithms: frozenset[str]
    client_ids: frozenset[str] = frozenset()
    leeway: float = 60.0
    token_type: Literal["at+jwt"] | None = None
    rules: TokenRules = field(default_factory=TokenRules)
    other_issuers: Mapping[str, tuple[str, str] | None] = field(default_factory=dict, hash=False)
    """Further values of ``iss`` that stand for this issuer, and the claim with its value that a token has to have
    beside it, if any: Google's two spellings, the tenants of Entra with their ``tid``."""
    header_types: frozenset[str | None] = field(init=False)
    """The ``typ`` values that pass; None is a header without one."""

    def __post_init__(self) -> None:
        strict = self.token_type is not None
        types = frozenset({self.token_type}) if strict else self.rules.header_types | {None}
        object.__setattr__(self, "header_types", types)
        object.__setattr__(self, "other_issuers", MappingProxyType(dict(self.other_issuers)))


_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """Where the time comes from, in seconds; replace it in tests (`oidcbridge.testing.Clock`).

    Asked several times a request: so these are the system's own functions, with no call of ours around them.
    """

    #: Seconds since boot that go on while the machine sleeps, where the system counts them.
    boottime: Callable[[], float] = staticmethod(
        time.monotonic if _BOOTTIME is None else partial(time.clock_gettime, _BOOTTIME)
    )
    #: Seconds that never go back.
    monotonic: Callable[[], float] = staticmethod(time.monotonic)
    #: Wall-clock seconds since the epoch; tokens are judged by it.
    time: Callable[[], float] = staticmethod(time.time)


_WEEK = 7 * 86400.0
_FETCH_BOUNDS: Mapping[str, tuple[float, float]] = {
    "deadline": (0.01, 300.0),
    "connect_timeout": (0.01, 300.0),
    "request_wait": (0.0, 300.0),
    "max_bytes": (1, 2**24),
    "max_age": (0.0, _WEEK),
    "min_max_age": (0.0, _WEEK),
    "max_max_age": (0.0, _WEEK),
    "hard_age": (0.0, _WEEK),
    "max_stale": (0.0, _WEEK),
    "idle_after": (0.0, _WEEK),
    "suspect_age": (0.0, _WEEK),
    "discovery_max_age": (0.0, 4 * _WEEK),
    "unknown_kid_burst": (0, 100),
    "unknown_kid_interval": (0.01, 3600.0),
    "negative_kid_ttl": (0.0, 3600.0),
    "backoff_max": (0.1, 3600.0),
}


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Deadlines, caps and intervals of the one outbound door. All times in seconds, all sizes in bytes.

    Raises `ConfigurationError` for a number out of its bounds and for a proxy that is no address.
    """

    deadline: float = 5.0
    """Wall-clock limit of one fetch: name look-up, connection, TLS, headers and body together."""
    connect_timeout: float = 2.0
    request_wait: float = 2.5
    """How long a request waits for a fetch; the fetch itself goes on."""
    max_bytes: int = 256 * 1024
    """Largest body, after decompression."""
    max_age: float = 300.0
    """Freshness of a key set whose answer says nothing about it; what it says is clamped to the next two."""
    min_max_age: float = 60.0
    max_max_age: float = 900.0
    hard_age: float = 600.0
    """From this age on, or twice its freshness if that is longer, a set that nobody has renewed is waited for."""
    max_stale: float = 4 * 3600.0
    """How long known keys go on while the provider cannot be reached."""
    idle_after: float = 900.0
    """Keys that nobody has used for so long are not refreshed ahead."""
    suspect_age: float = 60.0
    """A signature that does not verify makes us ask for the keys anew only where they are at least so old."""
    discovery_max_age: float = 24 * 3600.0
    unknown_kid_burst: int = 2
    unknown_kid_interval: float = 10.0
    """The bucket of refetches that unknown ``kid`` values may cause: its size, and the seconds per refill."""
    negative_kid_ttl: float = 30.0
    on_suppressed: Literal["401", "503"] = "401"
    """The answer to an unknown ``kid`` while that bucket is empty. 503 spares a good token of a key that is seconds old
    a refusal, and lets strangers cause 5xx answers, which some gateways take for a broken app."""
    backoff_max: float = 60.0
    user_agent: str | None = None
    ca_file: str | None = None
    """PEM file of the certificate authorities to trust instead of the system's."""
    client_cert_file: str | None = None
    """PEM file of our own certificate and its chain, for a provider that asks for one (mutual TLS). Read for each
    fetch, so that it may be renewed in place."""
    client_key_file: str | None = None
    """PEM file of its private key, unencrypted; without it, the key is in ``client_cert_file`` too."""
    proxy: str | None = field(default=None, repr=False)
    """Proxy URL (http, https; socks5 and socks5h where the package socksio is installed); without it the usual
    environment variables are honoured."""
    insecure_allow_http: bool = False
    """Plain http to other hosts than loopback. Whoever is on the path can then install signing keys."""
    http_client: Callable[[], httpx2.AsyncClient] | None = field(default=None, repr=False)
    """Builds the client, on our own loop; redirects, deadline, size cap and cookies stay ours."""
    addresses: AddressRule | None = field(default=None, repr=False)
    """Look names up ourselves and connect to allowed addresses alone; `DynamicIssuers` sets it for its issuers. None:
    whoever wrote the issuer into the code is trusted with its name."""

    def __post_init__(self) -> None:
        for name, (low, high) in _FETCH_BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigurationError(f"FetchOptions({name}=) is a number from {low:g} to {high:g}")
        if self.on_suppressed not in ("401", "503"):
            raise ConfigurationError('FetchOptions(on_suppressed=) is "401" or "503"')
        if self.min_max_age > self.max_max_age:
            raise ConfigurationError("FetchOptions(min_max_age=) is above max_max_age")
        if self.proxy is not None and not _is_proxy_url(self.proxy):
            # Never repeated, not even its scheme: without one, that is where the user name stands.
            raise ConfigurationError(
                'FetchOptions(proxy=) is the address of a proxy: write proxy="http://proxy.example:3128" (or https,'
                " socks5, socks5h)"
            )
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ConfigurationError("FetchOptions(client_key_file=) is the key of a client_cert_file: write that too")
        if self.client_cert_file is not None and self.http_client is not None:
            raise ConfigurationError(
                "FetchOptions(http_client=) builds its own client, which would not use client_cert_file: load the"
                " certificate there, verify=<SSLContext>"
            )
        if self.addresses is not None:
            self._refuse_foreign_look_ups()

    def _refuse_foreign_look_ups(self) -> None:
        for name in ("proxy", "http_client"):
            if getattr(self, name) is not None:
                raise ConfigurationError(
                    f"FetchOptions({name}=) and DynamicIssuers exclude each other: it would look names up by itself,"
                    " and a tenant's name could lead it into your own network. Leave it out, or write each Issuer(…)"
                )


def _is_proxy_url(proxy: object) -> bool:
    if not isinstance(proxy, str) or not proxy.isprintable() or " " in proxy:
        return False
    try:
        parts = urlsplit(proxy)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "socks5", "socks5h") and bool(host)
