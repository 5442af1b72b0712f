"""examples/keycloak.py under uvicorn, as a real service in front of a real Keycloak.

Two things are added that no example needs: ``/health/oidc``, and the name of the worker on every answer.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oidcbridge.asgi.health import health_endpoint

ROOT = Path(__file__).resolve().parents[2]
HEALTH = "/health/oidc"
WORKER = "x-worker"
"""The header that names the worker process which answered."""


def app() -> ASGIApp:
    """The service as each worker runs it."""
    from examples.keycloak import app as agent

    agent.add_route(HEALTH, health_endpoint(agent.state.oidcbridge))
    worker = (WORKER.encode(), str(os.getpid()).encode())

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), worker]
            await send(message)

        await agent(scope, receive, send_named)

    return named


class AgentServer:
    """A context manager: the service runs inside the ``with``, on a free port of 127.0.0.1."""

    def __init__(self, issuer_url: str, log_file: Path, *, workers: int = 1, port: int | None = None) -> None:
        self.port = port or _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._log_file = log_file
        self._command = [
            *(sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--factory", f"{__name__}:app"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers), "--no-access-log"),
        ]
        self._environment = {**os.environ, "KEYCLOAK_ISSUER_URL": issuer_url}

    def __enter__(self) -> Self:
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the agent service did not start:\n{self.log}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(15)

    @property
    def log(self) -> str:
        """What the service printed."""
        return self._log_file.read_text(encoding="utf-8")

    def get(self, path: str, token: str | None = None) -> httpx2.Response:
        """GET ``path``, with ``token`` as the bearer."""
        return self.request("GET", path, token)

    def request(self, method: str, path: str, token: str | None = None) -> httpx2.Response:
        """Send one request on a connection of its own."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx2.Client(trust_env=False, timeout=30) as client:
            return client.request(method, f"{self.base_url}{path}", headers=headers)

    def _answers(self) -> bool:
        try:
            return self.get("/docs").status_code == 200
        except httpx2.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
