"""agno's ``JWTMiddleware`` of AgentOS, with a key set file; audience and issuer are checked, scopes are not."""

from __future__ import annotations

from collections.abc import Callable

from agno.os.middleware import JWTMiddleware  # type: ignore[import-not-found, unused-ignore]
from agno.os.middleware.jwt import JWTValidator  # type: ignore[import-not-found, unused-ignore]
from starlette.types import ASGIApp

from benchmarks.harness import AUDIENCE, ISSUER_URL
from benchmarks.in_process import agent_app
from benchmarks.peers import Keys


def verifier(keys: Keys, alg: str) -> Callable[[str], object]:
    """What the middleware calls."""
    validator = JWTValidator(jwks_file=str(keys.jwks_file), algorithm=alg, issuer=ISSUER_URL)

    def verify(token: str) -> object:
        return validator.validate_token(token, AUDIENCE)

    return verify


def protected(keys: Keys) -> ASGIApp:
    """As its documentation adds it to an app."""
    app = agent_app()
    app.add_middleware(
        JWTMiddleware,
        jwks_file=str(keys.jwks_file),
        algorithm="RS256",
        audience=AUDIENCE,
        verify_audience=True,
        issuer=ISSUER_URL,
    )
    return app
