"""oidcbridge: point ``issuer_url`` at an identity provider and the agent endpoints behind it have enterprise SSO.

The names below are imported on first use (PEP 562), so ``import oidcbridge`` loads no framework and no HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oidcbridge._version import __version__
    from oidcbridge.arguments import DynamicIssuers, Issuer
    from oidcbridge.asgi.middleware import OIDCMiddleware
    from oidcbridge.core.bearer import TokenSource
    from oidcbridge.core.events import Event
    from oidcbridge.core.mapping import ClaimMapping
    from oidcbridge.core.policy import Clock, FetchOptions
    from oidcbridge.core.principal import Principal
    from oidcbridge.errors import (
        AccessDeniedError,
        ConfigurationError,
        CredentialError,
        OIDCBridgeError,
        ProviderError,
        TokenError,
    )
    from oidcbridge.profiles import Profile
    from oidcbridge.verifier import Verifier

_HOMES = {
    "AccessDeniedError": "oidcbridge.errors",
    "ClaimMapping": "oidcbridge.core.mapping",
    "Clock": "oidcbridge.core.policy",
    "ConfigurationError": "oidcbridge.errors",
    "CredentialError": "oidcbridge.errors",
    "DynamicIssuers": "oidcbridge.arguments",
    "Event": "oidcbridge.core.events",
    "FetchOptions": "oidcbridge.core.policy",
    "Issuer": "oidcbridge.arguments",
    "OIDCBridgeError": "oidcbridge.errors",
    "OIDCMiddleware": "oidcbridge.asgi.middleware",
    "Principal": "oidcbridge.core.principal",
    "Profile": "oidcbridge.profiles",
    "ProviderError": "oidcbridge.errors",
    "TokenError": "oidcbridge.errors",
    "TokenSource": "oidcbridge.core.bearer",
    "Verifier": "oidcbridge.verifier",
    "__version__": "oidcbridge._version",
}

__all__ = [
    "AccessDeniedError",
    "ClaimMapping",
    "Clock",
    "ConfigurationError",
    "CredentialError",
    "DynamicIssuers",
    "Event",
    "FetchOptions",
    "Issuer",
    "OIDCBridgeError",
    "OIDCMiddleware",
    "Principal",
    "Profile",
    "ProviderError",
    "TokenError",
    "TokenSource",
    "Verifier",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
