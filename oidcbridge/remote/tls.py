"""How an answer's connection was secured, for a diagnosis. That it was is not decided here: no other one is made."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple


class TLS(NamedTuple):
    """What was agreed on: the protocol's version (``TLSv1.3``) and the other side's certificate as DER bytes."""

    protocol: str
    certificate: bytes


def read_tls(extensions: Mapping[str, Any]) -> TLS | None:
    """By the HTTP client's response ``extensions``; None for plain http, and where a client does not tell."""
    stream = extensions.get("network_stream")
    session = stream.get_extra_info("ssl_object") if stream is not None else None
    if not isinstance(session, ssl.SSLObject | ssl.SSLSocket):
        return None
    certificate = session.getpeercert(binary_form=True)
    return TLS(session.version() or "TLS", certificate) if certificate else None
