"""joserfc: ``jwt.decode`` with a key set, and a claims registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from joserfc import jwt
from joserfc.jwk import KeySet, KeySetSerialization

from benchmarks.harness import AUDIENCE, ISSUER_URL
from benchmarks.peers import Keys


def verifier(keys: Keys, alg: str) -> Callable[[str], object]:
    """Keys are parsed once."""
    key_set = KeySet.import_key_set(cast(KeySetSerialization, dict(keys.jwks)))
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER_URL},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )

    def verify(token: str) -> dict[str, Any]:
        claims = jwt.decode(token, key_set, algorithms=[alg]).claims
        registry.validate(claims)
        return claims

    return verify
