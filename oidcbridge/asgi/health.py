"""An ASGI endpoint for a verifier's health, for readiness probes."""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from oidcbridge.verifier import Verifier


class HealthEndpoint:
    """Answers 200 where every issuer's keys can be used, else 503; each issuer's state is in the body.

    ``app.add_route("/health/oidc", HealthEndpoint(app.state.oidcbridge))``, and the path among
    ``excluded_route_paths``. It asks nobody and names no key; what went wrong at the provider is for the log, not for
    whoever asks here. Liveness must not depend on it: restarting an app does not bring its provider back.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        issuers = [asdict(issuer) for issuer in self._verifier.health()]
        for issuer in issuers:
            del issuer["last_error"]
        ready = all(issuer["usable"] for issuer in issuers)
        body = {"ready": ready, "issuers": issuers}
        await JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})(scope, receive, send)
