"""authlib.jose, deprecated and still what others build on: ``JsonWebToken.decode`` with a key set."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from benchmarks.harness import AUDIENCE, ISSUER_URL
from benchmarks.peers import Keys

with warnings.catch_warnings():
    import authlib.deprecate  # it turns its warnings on, which say to take joserfc

    warnings.simplefilter("ignore", authlib.deprecate.AuthlibDeprecationWarning)
    from authlib.jose import JsonWebKey, JsonWebToken


def verifier(keys: Keys, alg: str) -> Callable[[str], object]:
    """Keys are parsed once."""
    key_set = JsonWebKey.import_key_set(dict(keys.jwks))
    decoder = JsonWebToken([alg])
    options = {
        "iss": {"essential": True, "value": ISSUER_URL},
        "aud": {"essential": True, "value": AUDIENCE},
        "exp": {"essential": True},
    }

    def verify(token: str) -> object:
        claims = decoder.decode(token, key_set, claims_options=options)
        claims.validate()
        return claims

    return verify
