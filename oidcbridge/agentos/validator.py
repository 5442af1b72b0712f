"""The validator that agno asks where its own stood: in its layer, on the WebSocket, and beside an MCP provider."""

from __future__ import annotations

from typing import Any

import jwt

from oidcbridge.agentos.callers import SCOPES, SESSION_ID, USER_ID, Callers, ProvenToken
from oidcbridge.asgi.responses import refusal_of
from oidcbridge.errors import ExpiredTokenError, OIDCBridgeError


class TokenValidator:
    """agno's ``JWTValidator`` by another name: it is asked by duck typing, and both methods are sync.

    On an event loop it never waits: who asks it has the keys fetched before. ``extra_scopes`` are had by everyone; they
    are for the WebSocket, which demands its scope even where authorization is off.
    """

    def __init__(self, callers: Callers, extra_scopes: tuple[str, ...] = ()) -> None:
        self._callers = callers
        self._extra_scopes = extra_scopes

    def validate_token(self, token: str, expected_audience: object = None) -> dict[str, Any]:
        """The claims of a good token. Raises PyJWT's ``InvalidTokenError``, as agno expects.

        Our verifier has decided about the audience, so ``expected_audience`` is not looked at.
        """
        if isinstance(token, ProvenToken):
            return token.claims
        try:
            principal = self._callers.verifier_of(token).verify_now(token)
        except ExpiredTokenError as error:
            raise jwt.ExpiredSignatureError(refusal_of(error).detail) from None
        except OIDCBridgeError as error:
            raise jwt.InvalidTokenError(refusal_of(error).detail) from None
        return self._callers.claims_of(principal)

    def extract_claims(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Who the token speaks for."""
        scopes = [*payload[SCOPES], *self._extra_scopes]
        return {
            "user_id": payload[USER_ID],
            "session_id": payload[SESSION_ID],
            "scopes": scopes,
            "audience": payload.get("aud"),
        }
