"""JSON bodies in which a client could supply what the token is to say: sessions, and runs over AG-UI.

=========================  ==========================================================================================
``POST /sessions``,        ``session_state`` and ``metadata`` lose the names of claims: the next run would find them
``PATCH /sessions/{id}``
``POST …/agui``            ``state`` and ``context`` (which agno makes ``dependencies`` of) get them from the token; one
                           that is an object is refused in ``state``, where agno would merge it with an older one
=========================  ==========================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from starlette.types import Message, Receive, Scope

from oidcbridge.agentos.injection import Injection
from oidcbridge.asgi.paths import route_path
from oidcbridge.core.principal import Principal
from oidcbridge.errors import MalformedRequestError

Rewrite = Callable[[dict[str, Any], Injection, Principal | None], dict[str, Any]]
_SESSION = re.compile(r"/sessions(?:/[^/]+)?")


async def guarded(scope: Scope, receive: Receive, injection: Injection, principal: Principal | None) -> Receive:
    """``receive`` with the request's body as it may reach agno.

    Raises `MalformedRequestError` for a body that is no JSON text where one is guarded: what we cannot read we cannot
    guard.
    """
    rewrite = _rewrite_for(scope, injection)
    if rewrite is None:
        return receive
    body = await _read_body(receive)
    if body is None:
        return receive  # the client has gone
    try:
        sent = json.loads(body) if body else None
    except (ValueError, RecursionError):
        raise MalformedRequestError("the body is no JSON text") from None
    if isinstance(sent, dict):
        body = json.dumps(rewrite(sent, injection, principal)).encode()
        _set_length(scope, len(body))
    return _replay(body, receive)


def _rewrite_for(scope: Scope, injection: Injection) -> Rewrite | None:
    path, method = route_path(scope), scope["method"]
    if method == "POST" and path.endswith("/agui") and (injection.session_state or injection.dependencies):
        return _run_over_agui
    if method in ("POST", "PATCH") and _SESSION.fullmatch(path) and (injection.session_state or injection.metadata):
        return _session
    return None


def _session(sent: dict[str, Any], injection: Injection, _principal: Principal | None) -> dict[str, Any]:
    """Left out, not filled in: whoever patches a session need not be the one whose it is."""
    names: dict[str, Collection[str]] = {"session_state": injection.session_state, "metadata": injection.metadata}
    return {name: _without(value, names.get(name, ())) for name, value in sent.items()}


def _run_over_agui(sent: dict[str, Any], injection: Injection, principal: Principal | None) -> dict[str, Any]:
    rewritten = dict(sent)
    if injection.session_state:
        state, ours = sent.get("state"), injection.session_state_of(principal)
        objects = sorted(name for name, value in ours.items() if isinstance(value, dict))
        if objects:
            raise MalformedRequestError(
                "over AG-UI, agno merges objects in the state with those of the session before, so what a token says no"
                f" more would stay: in session_state_claims name the members of {objects}, not the objects"
            )
        rewritten["state"] = {**(state if isinstance(state, dict) else {}), **ours}
    if injection.dependencies:
        context = sent.get("context")
        others = [
            entry
            for entry in (context if isinstance(context, list) else ())
            if not (isinstance(entry, dict) and _names_one_of(entry.get("description"), injection.dependencies))
        ]
        given = sorted(injection.dependencies_of(principal).items())
        # Text that agno reads as JSON: null, a list and a number arrive as what they are.
        rewritten["context"] = others + [{"description": name, "value": json.dumps(value)} for name, value in given]
    return rewritten


def _names_one_of(name: object, names: Collection[str]) -> bool:
    return isinstance(name, str) and name in names


def _without(value: Any, names: Collection[str]) -> Any:
    if not isinstance(value, dict) or not names:
        return value
    return {name: member for name, member in value.items() if name not in names}


async def _read_body(receive: Receive) -> bytes | None:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    has_sent = False

    async def replay() -> Message:
        nonlocal has_sent
        if has_sent:
            return await receive()
        has_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _set_length(scope: Scope, length: int) -> None:
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
    scope["headers"] = [*kept, (b"content-length", str(length).encode())]
