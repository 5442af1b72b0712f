"""An endpoint for a verifier's health, for readiness probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oidcbridge.verifier import Verifier


def health_endpoint(verifier: Verifier) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers 200 where each issuer's keys can be used, else 503; each issuer's state is in the body.

    ``app.add_route("/health/oidc", health_endpoint(app.state.oidcbridge))``, and the path among
    ``excluded_route_paths``. Tenants that came by `DynamicIssuers` are counted by state, not named, and one tenant's
    outage is no reason to take the app from all the others. It asks nobody and names no key; what went wrong at the
    provider is for the log, not for whoever asks here. Liveness must not depend on it: restarting an app does not bring
    its provider back.
    """

    async def health(_request: Request) -> Response:
        health = verifier.health()
        tenants = Counter(issuer.state for issuer in health if issuer.dynamic)
        issuers = [asdict(issuer) for issuer in health if not issuer.dynamic]
        for issuer in issuers:
            del issuer["last_error"], issuer["dynamic"]
        ready = all(issuer["usable"] for issuer in issuers)
        body = {"ready": ready, "issuers": issuers} | ({"tenants": tenants} if tenants else {})
        return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})

    return health
