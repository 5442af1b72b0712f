"""fastapi-keycloak-middleware: the key set is given (``validation_options``) in place of fetching the realm's.

It checks neither issuer nor audience.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi_keycloak_middleware import (  # type: ignore[import-not-found, unused-ignore]
    KeycloakConfiguration,
    setup_keycloak_middleware,
)
from jwcrypto.jwk import JWKSet  # type: ignore[import-not-found, import-untyped, unused-ignore]
from keycloak import KeycloakOpenID  # type: ignore[import-not-found, unused-ignore]
from starlette.types import ASGIApp

from benchmarks.in_process import agent_app
from benchmarks.peers import Keys

SERVER, REALM, CLIENT = "https://id.example.com/", "acme", "agent-api"


def verifier(keys: Keys, alg: str) -> Callable[[str], Awaitable[object]]:
    """What the middleware calls, of python-keycloak."""
    del alg  # the key alone decides
    key_set = _key_set(keys)
    keycloak = KeycloakOpenID(server_url=SERVER, client_id=CLIENT, realm_name=REALM)

    async def verify(token: str) -> object:
        return await keycloak.a_decode_token(token, validate=True, key=key_set)

    return verify


def protected(keys: Keys) -> ASGIApp:
    """As its README sets it up."""
    app = agent_app()
    configuration = KeycloakConfiguration(
        url=SERVER, realm=REALM, client_id=CLIENT, validation_options={"key": _key_set(keys)}
    )
    setup_keycloak_middleware(app, keycloak_configuration=configuration)
    return app


def _key_set(keys: Keys) -> JWKSet:
    return JWKSet.from_json(keys.jwks_file.read_text(encoding="utf-8"))
