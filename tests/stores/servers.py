"""A real Redis on loopback that a test may stop, freeze and start again, and programs in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECRET = "a secret of the tests, 32 bytes or more"
ISSUER = "https://id.example.com/realms/acme"

BEGINNING = f"""
import asyncio, os, signal, sys, threading, time
from oidcbridge.stores import FileKeyStore, RedisKeyStore
ISSUER = {ISSUER!r}
def say(*words):
    print(*words, flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Redis:
    """A redis-server without persistence. Its address changes no more once it has been started."""

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        self.port = free_port()
        self.socket_path = folder / "redis.sock"
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        own = [
            "--bind",
            "127.0.0.1",
            "--protected-mode",
            "yes",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(folder),
        ]
        self._command = ["redis-server", *ports, *own, "--unixsocket", str(self.socket_path), *options]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nobody answers, while the system still takes connections; until `thaw`, or the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.thaw()

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def raw(self, *command: str | bytes | int) -> Any:
        """The answer to a command of the test's own, by redis-py's plain client, as somebody else would send it."""
        import redis

        with redis.Redis(unix_socket_path=str(self.socket_path), protocol=2) as client:
            return client.execute_command(*command)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket_path))
                client.sendall(b"PING\r\n")
                return client.recv(64)[:1] in (b"+", b"-")
            except OSError:
                return False


@contextmanager
def running_redis(folder: Path, *options: str, tls: bool = False) -> Iterator[Redis]:
    """Skips the test where no redis-server is installed; fails it in CI, which installs one."""
    if shutil.which("redis-server") is None:
        message = "redis-server is not installed (Debian: apt install redis-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    server = Redis(folder, *options, tls=tls)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(program), *arguments]


def run(program: str, *arguments: str) -> list[str]:
    """What the program printed; it must end well, and leave nothing on stderr."""
    ended = subprocess.run(command(program, *arguments), capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout.split()


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program while it runs; it is killed in the end."""
    pipe, both = subprocess.PIPE, subprocess.STDOUT  # a warning is one word too many
    with subprocess.Popen(command(program, *arguments), stdin=pipe, stdout=pipe, stderr=both, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> list[str]:
    """The words of the next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().split()
