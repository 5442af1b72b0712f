"""What a user would take instead, each configured as its documentation says, with the keys at hand.

A peer is a module of this package with up to two functions: ``verifier(keys, alg)`` goes from a token to its claims,
``protected(keys)`` is the benchmarks' app behind the peer's own FastAPI layer.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeGuard

from starlette.types import ASGIApp

from oidcbridge.testing import FakeIssuer

PEERS = {
    "PyJWT": "pyjwt",
    "joserfc": "joserfc",
    "authlib.jose": "authlib_jose",
    "fastapi-keycloak-middleware": "fastapi_keycloak_middleware",
    "auth0-fastapi-api": "auth0_fastapi_api",
    "fastmcp": "fastmcp",
    "agno": "agno",
}
"""Name -> module."""
DISTRIBUTIONS = {"authlib.jose": "Authlib"}
"""Where it is not the name."""

Verify = Callable[[str], object] | Callable[[str], Awaitable[object]]


class Keys(NamedTuple):
    """What a peer is told of the issuer, so that none has to ask for it while it is measured."""

    jwks: Mapping[str, Any]
    jwks_file: Path
    discovery: Mapping[str, Any]
    issuer: FakeIssuer
    """Answers in process, for those that take an HTTP client."""


class Peer(NamedTuple):
    """One peer, or why it is none here."""

    name: str
    version: str
    module: ModuleType | None
    reason: str
    """Why there is no module."""

    def verifier(self, keys: Keys, alg: str) -> Verify | None:
        """From a token to its claims; None where it cannot do that."""
        make = getattr(self.module, "verifier", None)
        verify: Verify | None = make(keys, alg) if make else None
        return verify

    def protected(self, keys: Keys) -> ASGIApp | None:
        """The app behind the peer's layer; None where it has none."""
        make = getattr(self.module, "protected", None)
        app: ASGIApp | None = make(keys) if make else None
        return app

    @property
    def claims(self) -> Mapping[str, object]:
        """What its tokens must say otherwise than the others'."""
        return getattr(self.module, "CLAIMS", {})


def keys_of(issuer: FakeIssuer, folder: Path) -> Keys:
    """What is known of ``issuer``; the key set is written into ``folder`` too."""
    jwks = issuer.jwks()
    jwks_file = folder / "jwks.json"
    jwks_file.write_text(json.dumps(jwks), encoding="utf-8")
    return Keys(jwks, jwks_file, issuer.discovery(), issuer)


def load() -> list[Peer]:
    """Every peer, also those that are not installed."""
    peers = []
    for name, module_name in PEERS.items():
        try:
            version = importlib.metadata.version(DISTRIBUTIONS.get(name, name))
            module = importlib.import_module(f"{__name__}.{module_name}")
        except (ImportError, importlib.metadata.PackageNotFoundError) as error:
            peers.append(Peer(name, "", None, f"not installed: {error}"))
        else:
            peers.append(Peer(name, version, module, ""))
    return peers


def is_async(verify: Verify) -> TypeGuard[Callable[[str], Awaitable[object]]]:
    """Whether it has to be awaited."""
    return inspect.iscoroutinefunction(verify)
