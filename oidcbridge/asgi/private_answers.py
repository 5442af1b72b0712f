"""An answer that depends on a token is not to be stored, unless the app says so, and names what it varies by.

RFC 6750 section 5.3; RFC 9110 section 12.5.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from starlette.types import Message, Send

from oidcbridge.asgi.state import DECIDED

_MERGED = frozenset({b"vary", b"cache-control"})
_NO_STORE = (b"cache-control", b"no-store")


def private(send: Send, vary: bytes, unless_open: Mapping[str, Any] | None = None) -> Send:
    """``send`` for an answer that depends on the token; ``vary`` is the value that ``Vary`` must have.

    ``unless_open``: the state of a connection that nobody decided beforehand; its answer is private only if a route
    has asked who is calling.
    """
    has_begun = False

    # A plain function that hands the awaitable on: a stream pays one call a chunk here, and a coroutine costs three.
    def send_private(message: Message) -> Awaitable[None]:
        nonlocal has_begun
        if not has_begun and message["type"] == "http.response.start":
            has_begun = True
            if unless_open is None or DECIDED in unless_open:
                message = {**message, "headers": private_headers(message.get("headers", ()), vary)}
        return send(message)

    return send_private


def private_headers(headers: Iterable[tuple[bytes, bytes]], vary: bytes) -> list[tuple[bytes, bytes]]:
    """``headers`` with ``Cache-Control: no-store`` where none is set, and ``Vary`` merged into what is there."""
    merged = list(headers)  # a new one: the app's own may be a constant that another answer uses too
    for name, _ in merged:
        if name.lower() in _MERGED:
            return _merge(merged, vary)
    merged.append((b"vary", vary))
    merged.append(_NO_STORE)
    return merged


def _merge(headers: Iterable[tuple[bytes, bytes]], vary: bytes) -> list[tuple[bytes, bytes]]:
    merged, listed, cached = [], [], False
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"vary":
            listed += [part for part in value.split(b",") if part.strip()]
            continue
        cached = cached or lowered == b"cache-control"
        merged.append((name, value))
    named = {part.strip().lower() for part in listed}
    if b"*" not in named:
        listed += [part for part in vary.split(b",") if part.strip().lower() not in named]
    merged.append((b"vary", b", ".join(part.strip() for part in listed)))
    if not cached:
        merged.append(_NO_STORE)
    return merged
