"""Keycloak as a container, described by docker/compose.yml."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from devserver.probe import serves_issuer
from devserver.record import Record, forget_record, write_record
from devserver.terminal import KeycloakError, step

COMPOSE_FILE = Path(__file__).resolve().parents[1] / "compose.yml"

SERVICE = "keycloak"
"""The one that is started here; the file also describes an agent service."""

READY_WITHIN = 300.0
"""Seconds until the realms are served: the image builds its configuration at the container's first start."""


def find_compose() -> tuple[str, ...] | None:
    """Return the command that drives compose on a running engine; None when no engine answers."""
    docker = shutil.which("docker")
    if docker is None or not _succeeds(docker, "info"):
        return None
    if _succeeds(docker, "compose", "version"):
        return (docker, "compose")
    standalone = shutil.which("docker-compose")
    return (standalone,) if standalone else None


class ComposeServer:
    """The container; its database lives in it, so that it outlasts a stop and not a wipe."""

    def __init__(self, home: Path, command: tuple[str, ...], port: int) -> None:
        self.home = home
        self._port = port
        self._command = (*command, "--project-name", f"oidcbridge-keycloak-{port}", "--file", str(COMPOSE_FILE))

    def start(self) -> Record:
        """Start, fetching the image the first time, and return when Keycloak serves its realms.

        Raises KeycloakError when the engine refuses, or Keycloak is not ready in time.
        """
        record = Record("docker", self._port)
        self._compose("up", "--detach", SERVICE)
        write_record(self.home, record)
        with ExitStack() as undo, step(f"Starting Keycloak in Docker on {record.base_url}"):
            undo.callback(self.stop, record)
            self._wait_until_ready(record)
            undo.pop_all()
        return record

    def is_running(self, record: Record) -> bool:
        """Whether the container runs and answers, or is about to."""
        return serves_issuer(record) or bool(self._compose("ps", "--quiet", SERVICE).strip())

    def is_ready(self, record: Record) -> bool:
        """Whether Keycloak is up and its realms are imported."""
        return serves_issuer(record)

    def stop(self, record: Record) -> None:
        """Stop the container; it keeps its database."""
        del record  # the project's name says which container
        self._compose("stop")
        forget_record(self.home)

    def wipe(self) -> None:
        """Delete the stopped container, and its database with it."""
        self._compose("down", "--volumes")

    def follow(self, record: Record) -> None:
        """Copy the log to stdout until the container ends."""
        del record
        subprocess.run(
            [*self._command, "logs", "--follow", "--tail", "0", SERVICE], env=self._environment(), check=False
        )

    def _wait_until_ready(self, record: Record) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready(record):
            if time.monotonic() > deadline or not self.is_running(record):
                log = self._compose("logs", "--tail", "20", SERVICE)
                raise KeycloakError(f"Keycloak stopped, or was not ready within {READY_WITHIN:.0f} s. Its log:\n{log}")
            time.sleep(1.0)

    def _compose(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KeycloakError(f"Docker Compose could not do `{arguments[0]}` (exit code {done.returncode}).")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return os.environ | {"KEYCLOAK_PORT": str(self._port)}


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
