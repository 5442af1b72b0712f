"""Who is calling, told to fastmcp's own layers.

Stands where fastmcp has Starlette's AuthenticationMiddleware, out of which an outage of the identity provider comes as
a 500, and which reads the first of two Authorization headers. ::

    credential                    what the MCP endpoint answers
    verified                      what it does, or fastmcp's 403 with the scopes that are needed
    none, or a token refused      fastmcp's 401, which names the resource metadata
    two, or one malformed         400 invalid_request (RFC 6750 section 3.1)
    provider unreachable          503 with Retry-After: clients keep their tokens

The server's public routes (metadata, custom ones) answer in every case: which route asks for a caller is known further
in, so the last two rows stand in for the 401 that comes out of there.
"""

from __future__ import annotations

from collections.abc import Callable

from fastmcp.server.auth import AccessToken
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge.asgi.gate import Gate
from oidcbridge.asgi.private_answers import private
from oidcbridge.asgi.responses import Refusal, refusal_of
from oidcbridge.asgi.state import set_anonymous
from oidcbridge.core.principal import Principal
from oidcbridge.errors import MissingCredentialError, OIDCBridgeError, TokenError


class BearerAuthentication:
    """Plain ASGI middleware; ``gate`` verifies, ``access_token`` makes what fastmcp knows of the caller."""

    def __init__(self, app: ASGIApp, gate: Gate, access_token: Callable[[Principal, str], AccessToken]) -> None:
        self.app = app
        self._gate = gate
        self._access_token = access_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        error = await self._recognise(scope)
        if scope["type"] == "http":
            send = private(send, self._gate.settings.vary)
            if error is not None:
                send = self._answering(error, scope, send)
        await self.app(scope, receive, send)

    async def _recognise(self, scope: Scope) -> OIDCBridgeError | None:
        """Fill the connection's state; what was wrong with its credential, where nobody is known by it."""
        try:
            await self._gate.admit(scope)
        except OIDCBridgeError as error:
            set_anonymous(scope)  # also where a layer further out knows somebody: here a token decides
            return error
        state = scope["state"]
        user = AuthenticatedUser(self._access_token(state["principal"], state["token"]))
        scope["user"], scope["auth"] = user, AuthCredentials(user.scopes)
        return None

    def _answering(self, error: OIDCBridgeError, scope: Scope, send: Send) -> Send:
        """``send``, which tells the log of ``error`` if it comes to a 401, and puts our answer in its place."""
        is_answered = False

        async def send_or_answer(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._gate.report(error, scope)
                is_answered = not isinstance(error, MissingCredentialError | TokenError)
                if is_answered:
                    await _answer(refusal_of(error, self._gate.vary), message, send)
            if not is_answered:
                await send(message)

        return send_or_answer

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keys are fetched while the server starts, and never waited for: it starts while the provider is down."""
        verifier = self._gate.verifier
        assert verifier is not None  # noqa: S101 - `OIDCTokenVerifier` has one
        verifier.start_warming()
        try:
            await self.app(scope, receive, send)
        finally:
            verifier.pause()


async def _answer(refusal: Refusal, instead_of: Message, send: Send) -> None:
    """Answer with ``refusal``, which pages may read that might have read the answer in whose place it stands."""
    headers, body = refusal.as_sent
    cors = [item for item in instead_of["headers"] if item[0].lower().startswith(b"access-control-allow-")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": [*headers, *cors]})
    await send({"type": "http.response.body", "body": body})
