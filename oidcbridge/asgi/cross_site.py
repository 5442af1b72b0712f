"""Cookie credentials and other sites: a browser sends a cookie unasked, so somebody else's page could use it.

For a cookie credential, an unsafe method or a WebSocket needs one of::

    Origin: ours, or one of allowed_origins
    no Origin, and Sec-Fetch-Site: same-origin
    no Origin, and an X-Requested-With header        no page can send it across origins without asking first

``Origin: null`` is refused, and so is ``Sec-Fetch-Site: same-site`` or ``cross-site``, whatever stands beside it.
CORSMiddleware does not see WebSockets; this does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oidcbridge.errors import CrossSiteRequestError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
_HTTP_SCHEME = {"ws": "http", "wss": "https"}
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_OTHER_SITES = frozenset({"same-site", "cross-site"})


def check_same_site(scope: Mapping[str, Any], allowed_origins: frozenset[str]) -> None:
    """Refuse a cookie credential that another site's page may have sent. Raises `CrossSiteRequestError`."""
    if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
        return
    origins = _values(scope, b"origin")
    if origins:
        origin = origins[0].lower() if len(origins) == 1 else ""
        if origin and (origin in allowed_origins or origin == own_origin(scope)):
            return
        raise CrossSiteRequestError(
            f"a cookie came with Origin {ascii(', '.join(origins))[:200]}, which is neither our own"
            f" ({ascii(own_origin(scope))[:200]}) nor in allowed_origins; behind a proxy that ends TLS, let the server"
            " know the outer scheme (uvicorn --proxy-headers) or name the origin in allowed_origins"
        )
    sites = _values(scope, b"sec-fetch-site")
    if sites == ["same-origin"] or (_OTHER_SITES.isdisjoint(sites) and _values(scope, b"x-requested-with")):
        return
    raise CrossSiteRequestError(
        "a cookie came with an unsafe request that names no Origin; a client that is no browser sends"
        " X-Requested-With, or the token in the Authorization header"
    )


def own_origin(scope: Mapping[str, Any]) -> str | None:
    """The origin this request was sent to, by its Host header and the server's scheme; None without one host.

    ``X-Forwarded-*`` is not read: whether a proxy may speak is the server's to know, which then puts it into the scope
    (OWASP ASVS 4.1.3).
    """
    hosts = _values(scope, b"host")
    if len(hosts) != 1:
        return None
    scheme = _HTTP_SCHEME.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
    return without_default_port(f"{scheme}://{hosts[0].lower()}")


def without_default_port(origin: str) -> str:
    """``origin`` as browsers write it: they leave out the scheme's own port (RFC 6454 section 6.2)."""
    return origin.removesuffix(_DEFAULT_PORT.get(origin.partition(":")[0], ""))


def _values(scope: Mapping[str, Any], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
