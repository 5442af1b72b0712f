"""Where the demo plays: the identity provider and the agent service, both listening on 127.0.0.1."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from oidcbridge import FetchOptions
from oidcbridge.cli.demo.agent import build_agent_service
from oidcbridge.cli.demo.provider import ADA, ALL_SCOPES, build_provider
from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import FakeIssuer, FakeKey, LoopbackServer

HOST = "127.0.0.1"

# The story packs a week of key changes into seconds; everything else is as it comes. By default a key set lives 60
# seconds at least, whatever the provider says, and unknown keys may cause two fetches at once.
HURRIED = FetchOptions(min_max_age=1.0, unknown_kid_burst=6)


@dataclass(frozen=True)
class Stage:
    """The two servers. ``provider_server`` may be stopped and started again: it keeps its port."""

    provider: FakeIssuer
    provider_server: LoopbackServer
    agent_url: str

    def token(self, key: FakeKey | None = None) -> str:
        """A fresh access token of Ada's with every scope."""
        return self.provider.mint(ADA.username, scope=ALL_SCOPES, claims=ADA.claims, key=key)


@contextmanager
def open_stage(port: int = 0, idp_port: int = 0) -> Iterator[Stage]:
    """Start both servers, and stop them at the end. Port 0 is a free one.

    Raises ``ConfigurationError`` for a port that is taken.
    """
    provider = build_provider()
    server = provider.serve(HOST, idp_port)
    try:
        server.start()
    except OSError as error:
        raise _taken(idp_port, "--idp-port", error) from None
    try:
        with _listen(port) as listener:
            url = f"http://{HOST}:{listener.getsockname()[1]}"
            with _serving(provider.issuer_url, listener):
                yield Stage(provider, server, url)
    finally:
        server.stop()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        if os.name == "posix":  # a restart within the TIME_WAIT of the last one; Windows would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise _taken(port, "--port", error) from None
    return listener


def _taken(port: int, option: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {HOST}:{port} ({error.strerror}): give another {option}, or leave it out for a free one"
    )


def _is_real(record: logging.LogRecord) -> bool:
    # After a refused WebSocket uvicorn's default implementation logs an error that there was not (its pull 3138).
    return record.msg != "ASGI callable returned without completing handshake."


@contextmanager
def _serving(issuer_url: str, listener: socket.socket) -> Iterator[None]:
    app = build_agent_service(issuer_url, fetch=HURRIED)
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_is_real)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="oidcbridge-demo-agent", daemon=True
    )
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the agent service did not start; what uvicorn said stands above")
            time.sleep(0.01)
        asyncio.run(app.state.oidcbridge.warm())  # as a readiness check would: a busy machine may take seconds
        yield
    finally:
        server.should_exit = True
        thread.join()
        log.removeFilter(_is_real)
