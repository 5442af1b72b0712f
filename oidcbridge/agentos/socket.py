"""agno's ``/workflows/ws``: its message protocol is kept, and what it checks on the event loop never has to wait.

The frames of a client pass through here on their way to agno::

    authenticate    the token's keys are fetched, if they must, before agno checks it; an outage is said as one
    anything else   the token that authenticated the socket is looked at again: expired, or its key withdrawn, it ends

In cookie mode the handshake's cookie makes the first ``authenticate``, so a page needs no token in its hands.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from oidcbridge.agentos.callers import Callers
from oidcbridge.asgi.cross_site import check_same_site
from oidcbridge.asgi.responses import refusal_of
from oidcbridge.asgi.token_source import read_credential
from oidcbridge.core.bearer import TokenSource
from oidcbridge.core.principal import Principal
from oidcbridge.errors import (
    CredentialError,
    ExpiredTokenError,
    MalformedRequestError,
    MalformedTokenError,
    OIDCBridgeError,
    ProviderError,
    TokenError,
)

PATH = "/workflows/ws"


def cookie_of(callers: Callers, scope: Mapping[str, Any]) -> str | None:
    """The token in the handshake's cookie, where cookies are read.

    Raises `CrossSiteRequestError` where another site's page may have sent it, and `MalformedRequestError`.
    """
    settings = callers.gate.settings
    if settings.token_source is TokenSource.HEADER:
        return None
    credential = read_credential(scope, settings)
    if credential is None or credential.source != "cookie":
        return None
    check_same_site(scope, settings.allowed_origins)
    return credential.token


class WorkflowSocket:
    """One such socket. ``receive`` and ``send`` stand in for the server's."""

    def __init__(self, callers: Callers, scope: Scope, receive: Receive, send: Send, cookie: str | None) -> None:
        self._callers = callers
        self._scope = scope
        self._receive = receive
        self._send = send
        self._opening = None if cookie is None else {"action": "authenticate", "token": cookie}
        self._is_open = False
        self._asked: str | None = None
        """The token agno is looking at; empty for one that is not ours."""
        self._token = ""
        """The token that authenticated the socket."""

    async def receive(self) -> Message:
        """The next message that agno is to see."""
        while True:
            if self._opening is not None and self._is_open:
                message: Message = {"type": "websocket.receive", "text": json.dumps(self._opening)}
                self._opening = None
            else:
                message = await self._receive()
            self._is_open = True  # the first message is the handshake's
            self._asked = None
            try:
                frame = _read(message)
            except RecursionError:  # agno, a few frames deeper or less deep, might read what we could not
                await self._refuse(MalformedRequestError("the frame is nested too deep to be read"))
                continue
            if frame is None:
                return message
            if frame.get("action") == "authenticate":
                if await self._is_to_be_checked(frame.get("token")):
                    return message
            elif not self._token:
                return message
            else:
                principal = await self._principal_still()
                if principal is not None:
                    return self._pinned(message, frame, principal)

    def send(self, message: Message) -> Awaitable[None]:
        """What agno sends; it says when it has accepted a token."""
        if self._asked is not None and (_read(message) or {}).get("event") == "authenticated":
            self._token = self._asked
        return self._send(message)

    async def _is_to_be_checked(self, token: object) -> bool:
        """Whether agno can check ``token`` without waiting: its keys are here, or it needs none."""
        if not token or (isinstance(token, str) and "." not in token):
            self._asked = ""  # one of agno's own, or nothing at all
            return True
        if not isinstance(token, str):
            await self._refuse(MalformedTokenError("a token is a text"))
            return False
        self._asked = token
        try:
            await self._callers.verifier_of(token).verify(token)
        except ProviderError as error:
            await self._refuse(error)
            return False
        except (TokenError, CredentialError) as error:
            self._callers.gate.report(error, self._scope)  # and agno refuses it in its own words
        return True

    async def _principal_still(self) -> Principal | None:
        """Whom the socket's token still speaks for; None, and an answer, where it does no more."""
        try:
            return await self._callers.verifier_of(self._token).verify(self._token)
        except (TokenError, ProviderError) as error:
            await self._refuse(error)
            return None

    def _pinned(self, message: Message, frame: dict[str, Any], principal: Principal) -> Message:
        """The frame with the token's session in it, where ``session_id_claim`` is written."""
        session_id = self._callers.session_of(principal)
        return message if session_id is None else {**message, "text": json.dumps({**frame, "session_id": session_id})}

    async def _refuse(self, error: OIDCBridgeError) -> None:
        self._callers.gate.report(error, self._scope)
        refusal = refusal_of(error)
        kind = "server_error" if isinstance(error, ProviderError) else "invalid_token"
        detail = refusal.detail
        if isinstance(error, ExpiredTokenError):
            kind, detail = "expired", f"{detail}. Send the authenticate action with a fresh one, or connect again"
        frame = {"event": "auth_error", "error": detail, "error_type": kind}
        await self._send({"type": "websocket.send", "text": json.dumps(frame)})


def _read(message: Message) -> dict[str, Any] | None:
    """The JSON object in a message, as agno reads it; None where there is none, which agno deals with."""
    text = message.get("text")
    if not isinstance(text, str):
        return None
    try:
        frame = json.loads(text)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) else None
