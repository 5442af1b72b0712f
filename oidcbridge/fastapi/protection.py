"""``protect``: one line that puts a FastAPI app behind an identity provider."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar, Unpack

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.asgi.middleware import GATE, GateMiddleware, build_gate
from oidcbridge.asgi.responses import OIDCHTTPException, answer_error
from oidcbridge.errors import ConfigurationError, OIDCBridgeError
from oidcbridge.fastapi.openapi import install_openapi
from oidcbridge.verifier import Verifier

logger = logging.getLogger("oidcbridge.fastapi")

App = TypeVar("App", bound=FastAPI)


def protect(
    app: App,
    verifier: Verifier | None = None,
    *,
    middleware: bool = True,
    public_docs: bool = True,
    swagger_client_id: str | None = None,
    **arguments: Unpack[MiddlewareArguments],
) -> App:
    """Protect ``app`` and return it.

    ``middleware``: every route needs a token; False: only routes that ask for a principal do. ``public_docs``: the
    app's own ``/docs``, ``/redoc``, ``/openapi.json`` and ``/docs/oauth2-redirect`` need none. ``swagger_client_id``:
    the public client that Swagger UI's Authorize button logs in with (PKCE). The other arguments are those of
    `oidcbridge.OIDCMiddleware`; instead of the verifier's, a ready ``verifier`` may be given.

    The verifier is kept at ``app.state.oidcbridge``. Raises `ConfigurationError` on this line for a mistake in the
    arguments, and where ``app`` is protected already or has started.
    """
    if getattr(app.state, GATE, None) is not None:
        raise ConfigurationError("this app is protected already; for several issuers write issuers=[…] in one call")
    if app.middleware_stack is not None:
        raise ConfigurationError("this app has started already; call protect where the app is made")
    gate = build_gate(verifier, arguments, docs=_docs_paths(app) if public_docs else ())
    app.state.oidcbridge = gate.verifier
    setattr(app.state, GATE, gate)
    app.user_middleware.insert(_place(app.user_middleware), Middleware(GateMiddleware, gate, decide=middleware))
    for kind in (OIDCHTTPException, OIDCBridgeError):
        app.add_exception_handler(kind, answer_error)
    install_openapi(app, gate, every_route=middleware)
    login: dict[str, object] = {"usePkceWithAuthorizationCodeGrant": True, "scopes": "openid"}
    if swagger_client_id is not None:
        login["clientId"] = swagger_client_id
    app.swagger_ui_init_oauth = {**login, **(app.swagger_ui_init_oauth or {})}
    return app


def _docs_paths(app: FastAPI) -> list[str]:
    """Where FastAPI serves its own pages: without the document, or without ``/docs``, it serves less."""
    if not app.openapi_url:
        return []
    docs = [app.openapi_url, app.docs_url, app.redoc_url]
    if app.docs_url:
        docs.append(app.swagger_ui_oauth2_redirect_url)
    return [path for path in docs if path]


def _place(stack: Sequence[Middleware]) -> int:
    """Outermost, but inside a CORSMiddleware that is there already: a browser has to be able to read our 401.

    What stands outside that one stays outside of the protection too, and is named in the log.
    """
    classes: list[object] = [entry.cls for entry in stack]
    within = [at for at, cls in enumerate(classes) if isinstance(cls, type) and issubclass(cls, CORSMiddleware)]
    place = within[-1] + 1 if within else 0
    outside = [getattr(cls, "__name__", str(cls)) for at, cls in enumerate(classes[:place]) if at not in within]
    if outside:
        logger.warning(
            "%s stand outside of CORSMiddleware and so outside of the protection: what they answer needs no token."
            " Call protect before adding them, or add CORSMiddleware last",
            ", ".join(outside),
        )
    return place
