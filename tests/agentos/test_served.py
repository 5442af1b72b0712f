"""``agent_os.serve``: with workers and with reload the module is imported again, and each process protects its app."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from oidcbridge.testing import FakeIssuer, auth_header

MODULE = """
from agno.agent import Agent
from agno.os import AgentOS

from oidcbridge import FetchOptions
from oidcbridge.agentos import protect

agent_os = AgentOS(id="os1", agents=[Agent(id="a1", name="a1", telemetry=False)], telemetry=False)
app = protect(
    agent_os, issuer_url={issuer!r}, audience="agent-api", fetch=FetchOptions(insecure_allow_http=True)
)

if __name__ == "__main__":
    agent_os.serve("my_agents:app", host="127.0.0.1", port={port}, {how})
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            assert httpx2.get(f"{address}/health", timeout=5).status_code == 200
        except httpx2.TransportError:
            assert process.poll() is None, "the server has ended; server.log says why"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.2)
        else:
            return


@contextmanager
def served(folder: Path, issuer: FakeIssuer, how: str) -> Iterator[str]:
    """The address of the module's app, which its own process serves."""
    port = free_port()
    (folder / "my_agents.py").write_text(MODULE.format(issuer=issuer.issuer_url, how=how, port=port))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "my_agents.py"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that its workers go with it
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_up(address, process)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@pytest.mark.parametrize("how", ["workers=2, timeout_worker_healthcheck=60", "reload=True"])
def test_every_process_that_serves_it_is_protected(tmp_path: Path, how: str) -> None:
    issuer = FakeIssuer(url=None, algorithms=("ES256",))
    with issuer.serve(), served(tmp_path, issuer, how) as address:
        good = auth_header(issuer.mint("ada", scope="agents:read"))
        for _ in range(6):
            assert httpx2.get(f"{address}/agents", timeout=10).status_code == 401
            assert httpx2.get(f"{address}/agents", headers=good, timeout=10).status_code == 200
