"""A server as a child process: told to listen on 127.0.0.1, ready when it says so, gone when we are."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.providers.servers.environments import HERE, ServerUnavailableError

_READY = "READY "
_READY_WITHIN = 60.0  # seconds; 1 to 5 are usual
_STOPPED_WITHIN = 10.0


class ServerProcess:
    """One child. It writes ``READY {json}`` to its output once it listens, and ends when its standard input does.

    The second holds however this process ends: nothing is left running.
    """

    def __init__(self, command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, Any]:
        """Start, and return what it said when it was ready. Raises ServerUnavailableError, with the log's end."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=HERE, env=self._env, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        give_up = time.monotonic() + _READY_WITHIN
        while time.monotonic() < give_up:
            ended = self._process.poll() is not None  # asked first: what it wrote before its end is then all there
            for line in self._log.read_text("utf-8", errors="replace").splitlines(keepends=True):
                if line.startswith(_READY) and line.endswith("\n"):
                    said: dict[str, Any] = json.loads(line.removeprefix(_READY))
                    return said
            if ended:
                break
            time.sleep(0.05)
        self.stop()
        raise ServerUnavailableError(f"{Path(self._command[1]).name} did not start: {self._tail()}")

    def stop(self) -> None:
        """End it, and wait for that."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tail(self) -> str:
        return " ".join(self._log.read_text("utf-8", errors="replace").split())[-500:] or "it said nothing"
