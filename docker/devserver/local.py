"""Keycloak as a process of this machine: one home folder for each instance, loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from devserver.distribution import VERSION, environment
from devserver.probe import is_healthy, serves_issuer
from devserver.record import Record, forget_record, write_record
from devserver.terminal import KeycloakError, UnavailableError, say, step

READY_WITHIN = 300.0
"""Seconds a start may take; 15 to 40 are usual, the first one of a home being the longest."""

STOPPED_WITHIN = 30.0
"""Seconds an orderly stop may take before the process is killed; 1 to 2 are usual."""

MARKER = "made-by-docker-keycloak.py"


class LocalServer:
    """One instance, which lives in `home`.

    The home has its own database, log and realm files; the code in `lib/` is a link to the shared distribution.
    """

    def __init__(self, home: Path) -> None:
        if os.name == "nt":
            raise UnavailableError("On Windows Keycloak runs in Docker only: start Docker Desktop.")
        self.home = home
        self.log = home / "keycloak.log"
        self._log_start = 0  # where in the log the latest start begins

    def check_home(self) -> None:
        """Raise KeycloakError for a home with files that are not ours: a start or a reset would delete some."""
        if self.home.is_dir() and any(self.home.iterdir()) and not (self.home / MARKER).is_file():
            raise KeycloakError(f"{self.home} holds other files: choose an empty or a new folder for --home.")

    def start(self, realms: Path, port: int, management_port: int, distribution: Path, java: Path) -> Record:
        """Start, and return when Keycloak serves its realms; on any failure nothing is left running.

        Raises KeycloakError when it stops by itself, or is not ready in time.
        """
        first_start = self._lay_out(realms, distribution)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [distribution / "bin" / "kc.sh", *self._arguments(port, management_port)],
                env=environment(java) | _administrator(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # outlives this terminal, and its Ctrl-C is ours to pass on
            )
        record = Record("local", port, management_port, process.pid)
        # A child bears our own arguments until its program is loaded, and would look like a stranger.
        _within(5.0, lambda: self.is_running(record) or process.poll() is not None)
        write_record(self.home, record)
        with ExitStack() as undo, step(f"Starting Keycloak {VERSION} on {record.base_url}"):
            if first_start:  # half a database would keep the next start from importing the corrected files
                undo.callback(self._delete_data)
            undo.callback(self.stop, record)
            self._wait_until_ready(record)
            undo.pop_all()
        return record

    def is_running(self, record: Record) -> bool:
        """Whether the noted process is still ours: after a reboot its number may be another program's."""
        return f"{self._home_option()} " in _command_line(record.pid)

    def is_ready(self, record: Record) -> bool:
        """Whether Keycloak is up and its realms are imported."""
        return is_healthy(record) and serves_issuer(record)

    def stop(self, record: Record) -> None:
        """Stop the noted process and wait for its end; the database stays."""
        if self.is_running(record):
            with suppress(ProcessLookupError):  # it may end between the look and the signal
                os.kill(record.pid, signal.SIGTERM)  # kc.sh passes it on to Java and waits
                if not _within(STOPPED_WITHIN, lambda: not self.is_running(record)):
                    os.killpg(record.pid, signal.SIGKILL)
        forget_record(self.home)

    def wipe(self) -> None:
        """Delete the database and the log of a stopped instance."""
        if (self.home / MARKER).is_file():
            self._delete_data()
            self.log.unlink(missing_ok=True)

    def follow(self, record: Record) -> None:
        """Copy the log to stdout until the process ends."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_start)
            while self.is_running(record):
                print(log.read(), end="", flush=True)
                time.sleep(0.3)
            print(log.read(), end="", flush=True)

    def _delete_data(self) -> None:
        shutil.rmtree(self.home / "data", ignore_errors=True)

    def _lay_out(self, realms: Path, distribution: Path) -> bool:
        """Make the home what kc.sh expects; True when there is no database yet."""
        self.check_home()
        imports = self.home / "data" / "import"
        first_start = not (self.home / "data" / "h2").is_dir()
        if first_start:
            self.home.mkdir(parents=True, exist_ok=True)
            (self.home / MARKER).touch()
            shutil.rmtree(imports, ignore_errors=True)
            shutil.copytree(realms, imports)
        elif _contents(imports) != _contents(realms):
            say("The realm files have changed since this database was made; `reset` imports them anew.")
        library = self.home / "lib"
        library.unlink(missing_ok=True)
        library.symlink_to(distribution / "lib", target_is_directory=True)
        return first_start

    def _home_option(self) -> str:
        return f"-Dkc.home.dir={self.home}"

    def _arguments(self, port: int, management_port: int) -> list[str]:
        return [
            self._home_option(),
            "start",
            "--optimized",
            "--import-realm",
            "--http-enabled=true",
            "--http-host=127.0.0.1",
            f"--http-port={port}",
            f"--http-management-port={management_port}",
            f"--hostname=http://127.0.0.1:{port}",
            "--hostname-backchannel-dynamic=true",  # as in docker/compose.yml, so that both answer alike
            "--cache=local",  # else it opens two cluster ports on all interfaces, whatever --http-host says
            "--log-level=info,io.smallrye.health:warn",  # else each question for its health is a line
        ]

    def _wait_until_ready(self, record: Record) -> None:
        def settled() -> bool:
            return not self.is_running(record) or self.is_ready(record)

        in_time = _within(READY_WITHIN, settled)
        if not self.is_running(record):
            raise KeycloakError(f"Keycloak stopped while it started. From {self.log}:\n{self._complaints()}")
        if not in_time:
            raise KeycloakError(f"Keycloak was not ready within {READY_WITHIN:.0f} s: see {self.log}.")

    def _complaints(self) -> str:
        """Return what the latest start logged as errors, or its last lines, each cut to a readable length."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_start)
            lines = log.read().splitlines()
        chosen = [line for line in lines if " ERROR " in line] or lines
        return "\n".join(line[:300] for line in chosen[-8:])


def _administrator() -> dict[str, str]:
    """Return the first administrator, who is made together with the database."""
    defaults = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin"}
    return {name: os.environ.get(name, value) for name, value in defaults.items()}


def _command_line(pid: int) -> str:
    """Return a process's arguments, each followed by a space; empty when it has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() + " "


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; False when the time is up first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True
