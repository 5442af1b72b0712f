"""Which URLs may be fetched at all: decided on the text, before any request."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from oidcbridge.errors import ConfigurationError


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine by name or number (RFC 6761 section 6.3, RFC 1122 section 3.2.1.3)."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def check_url(url: str, *, name: str, allow_http: bool) -> None:
    """Refuse what is no plain https URL; http is for loopback, or for every host where ``allow_http``.

    ``name`` says in the message which setting it is. Raises `ConfigurationError`.
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
            f"{name} is plain http to {host!r}: whoever is on the path could install signing keys. Use https, or write"
            " fetch=FetchOptions(insecure_allow_http=True) where the network itself is trusted"
        )
