"""PyJWT: ``jwt.decode`` with the key that the header's ``kid`` names, as ``PyJWKClient`` finds it."""

from __future__ import annotations

from collections.abc import Callable

import jwt

from benchmarks.harness import AUDIENCE, ISSUER_URL
from benchmarks.peers import Keys


def verifier(keys: Keys, alg: str) -> Callable[[str], object]:
    """Keys are parsed once."""
    known = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(keys.jwks)).keys}

    def verify(token: str) -> object:
        key = known[jwt.get_unverified_header(token)["kid"]]
        options: jwt.types.Options = {"require": ["exp", "iss", "aud"]}
        return jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER_URL, options=options)

    return verify
