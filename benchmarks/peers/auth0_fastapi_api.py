"""auth0-fastapi-api: discovery and keys come through its ``custom_fetch`` before the first measured call.

It takes RS256 alone, and an issuer that is a bare host.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends
from starlette.types import ASGIApp

from benchmarks.harness import AUDIENCE
from benchmarks.in_process import agent_app
from benchmarks.peers import Keys

with warnings.catch_warnings():
    import authlib.deprecate  # it turns its warnings on, and the peer builds on authlib.jose

    warnings.simplefilter("ignore", authlib.deprecate.AuthlibDeprecationWarning)
    from fastapi_plugin import Auth0FastAPI  # type: ignore[import-not-found, unused-ignore]

DOMAIN = "acme.example.com"
CLAIMS = {"iss": f"https://{DOMAIN}/"}


def verifier(keys: Keys, alg: str) -> Callable[[str], Awaitable[object]] | None:
    """The client beneath the FastAPI layer."""
    if alg != "RS256":
        return None
    client = _auth0(keys).api_client

    async def verify(token: str) -> object:
        return await client.verify_access_token(access_token=token)

    return verify


def protected(keys: Keys) -> ASGIApp:
    """As its README sets it up."""
    return agent_app(dependencies=[Depends(_auth0(keys).require_auth())])


def _auth0(keys: Keys) -> Any:
    async def fetch(url: str) -> dict[str, Any]:
        if url.endswith("/openid-configuration"):
            return {"issuer": CLAIMS["iss"], "jwks_uri": f"{CLAIMS['iss']}jwks"}
        return dict(keys.jwks)

    return Auth0FastAPI(domain=DOMAIN, audience=AUDIENCE, custom_fetch=fetch)
