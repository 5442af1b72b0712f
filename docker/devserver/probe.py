"""Ports of 127.0.0.1, and whether Keycloak answers on them. Never asks a proxy, never leaves loopback."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

from devserver.record import Record
from devserver.terminal import KeycloakError

TIMEOUT = 2.0
"""Seconds for one question."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def claim_ports(*wanted: int) -> list[int]:
    """Return the wanted ports, each 0 replaced by a free one; no two are the same.

    Raises KeycloakError when another program listens on one of them.
    """
    with ExitStack() as probes:
        return [_bound_port(probes.enter_context(socket.socket()), port) for port in wanted]


def is_healthy(record: Record) -> bool:
    """Whether the management port says that start-up, realm import included, is over."""
    return _get(f"http://127.0.0.1:{record.management_port}/health/ready") is not None


def serves_issuer(record: Record) -> bool:
    """Whether discovery answers and names the issuer exactly as we do."""
    body = _get(f"{record.issuer_url}/.well-known/openid-configuration")
    if body is None:
        return False
    try:
        metadata = json.loads(body)
    except ValueError:
        return False
    return isinstance(metadata, dict) and metadata.get("issuer") == record.issuer_url


def _bound_port(probe: socket.socket, port: int) -> int:
    # Without this a port counts as taken for a minute after its last server stopped (TIME_WAIT).
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError as error:
        raise KeycloakError(
            f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}):"
            " stop the program that has it, or choose another with --port."
        ) from error
    return int(probe.getsockname()[1])


def _get(url: str) -> bytes | None:
    """Return the body of a 200 answer; None for any other answer, and for none."""
    try:
        with _opener.open(url, timeout=TIMEOUT) as response:
            body: bytes = response.read()
            return body
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return None
