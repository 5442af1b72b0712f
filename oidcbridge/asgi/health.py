"""An ASGI endpoint for a verifier's health, to be mounted where a readiness probe asks for it."""

from __future__ import annotations

import json
from dataclasses import asdict

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from oidcbridge.verifier import Verifier


def health_endpoint(verifier: Verifier) -> ASGIApp:
    """An app that answers 200 where every issuer's keys can be used, else 503; each issuer's state in the body.

    ``app.mount("/health/oidc", health_endpoint(app.state.oidcbridge))``, and the path among ``excluded_route_paths``.
    It asks nobody, and names no key; errors of the provider are in the log, not here. Liveness must not depend on it:
    restarting an app does not bring its provider back.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        issuers = verifier.health()
        ready = all(issuer.usable for issuer in issuers)
        shown = [{name: value for name, value in asdict(issuer).items() if name != "last_error"} for issuer in issuers]
        body = json.dumps({"ready": ready, "issuers": shown})
        headers = {"Cache-Control": "no-store"}
        response = Response(body, 200 if ready else 503, headers, media_type="application/json")
        await response(scope, receive, send)

    return answer
