"""AgentOS behind enterprise SSO: ``app = protect(agent_os, issuer_url=…, audience=…)``. Needs the extra ``agno``.

`JWTMiddleware` stands in for agno's own, beside which `TokenSource` is imported.

``install`` replaces agno's layer by ours, ``layer`` serves a connection, ``callers`` knows whose token it is,
``injection``, ``bodies`` and ``stored_state`` say what a run is given, ``scopes`` what a caller may, ``socket`` and
``validator`` keep the WebSocket's protocol, ``refusals`` words the answers, ``surface`` lists what of agno's we stand
on.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oidcbridge.agentos.install import protect
    from oidcbridge.agentos.jwt_middleware import JWTMiddleware
    from oidcbridge.core.bearer import TokenSource
else:
    _HOMES = {
        "protect": f"{__name__}.install",
        "JWTMiddleware": f"{__name__}.jwt_middleware",
        "TokenSource": "oidcbridge.core.bearer",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return getattr(import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "agno":
                raise
            raise ModuleNotFoundError(
                'oidcbridge.agentos needs agno 3.1 or newer: pip install "oidcbridge[agno]"', name=error.name
            ) from None


__all__ = ["JWTMiddleware", "TokenSource", "protect"]
