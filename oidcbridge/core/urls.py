"""Which URLs may be fetched or shown at all: decided on the text, before any request (RFC 8725 section 3.10)."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from oidcbridge.errors import ConfigurationError

_DEFAULT_PORT = {"https": 443, "http": 80}


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine by name or number (RFC 6761 section 6.3, RFC 1122 section 3.2.1.3)."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str | None:
    """``scheme://host[:port]`` in one spelling, without the scheme's own port (RFC 6454 section 6.2).

    None for what is no http or https URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORT or not host:
        return None
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORT[parts.scheme]) else f":{port}")


def check_issuer_urls(
    issuer_url: str | None,
    *,
    discovery_url: str | None,
    jwks_uri: str | None,
    browser_url: str | None,
    allow_http: bool,
) -> None:
    """Refuse a set of URLs that cannot mean one issuer. Raises `ConfigurationError`."""
    urls = {"issuer_url": issuer_url, "discovery_url": discovery_url, "jwks_uri": jwks_uri, "browser_url": browser_url}
    for name, url in urls.items():
        if url is not None and not isinstance(url, str):
            raise ConfigurationError(f"{name} is a string: write {name}=str(…)")
        if url is not None:
            danger = "read passwords and codes" if name == "browser_url" else "install signing keys"
            check_url(url, name=name, allow_http=allow_http, danger=danger)
    if issuer_url is None:
        if discovery_url or jwks_uri or browser_url:
            raise ConfigurationError(
                "discovery_url, jwks_uri and browser_url say where an issuer is reached: write issuer_url too"
            )
        return
    if "/.well-known/" in issuer_url:
        raise ConfigurationError(
            "issuer_url is a discovery document's address; write the part before '/.well-known/', exactly as the"
            " document's own 'issuer' says"
        )
    if "?" in issuer_url:
        raise ConfigurationError("issuer_url has no query part (OpenID Connect Discovery section 2)")
    if "{" in issuer_url:
        raise ConfigurationError("issuer_url is a template; write your tenant's own issuer")
    if browser_url is not None and (urlsplit(browser_url).path.strip("/") or "?" in browser_url):
        raise ConfigurationError(
            f"browser_url is an origin, without a path: write browser_url={origin_of(browser_url)!r}"
        )


def check_url(url: str, *, name: str, allow_http: bool, danger: str = "install signing keys") -> None:
    """Refuse what is no plain https URL; http is for loopback, or for every host where ``allow_http``.

    ``name`` says in the message which setting it is, ``danger`` what plain http would let a stranger do. Raises
    `ConfigurationError`.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ConfigurationError(f"{name} must be an absolute https:// URL")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ConfigurationError(f"{name} must hold no blanks and no control or non-ASCII characters")
    if parts.username is not None or "#" in url:
        raise ConfigurationError(f"{name} must hold no user name and no fragment")
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        raise ConfigurationError(
            f"{name} is plain http to {host!r}: whoever is on the path could {danger}. Use https, or write"
            " fetch=FetchOptions(insecure_allow_http=True) where the network itself is trusted"
        )
