"""A real PostgreSQL of the tests' own: in a folder that nobody else can enter, on a socket in it and on no port.

with running_postgres() as server:
    db = PostgresDb(db_url=server.url(server.create()))
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

PACKAGED = Path("/usr/lib/postgresql")
"""Debian keeps its servers there, by version, and off the PATH."""

_PORT, _USER = "5432", "ai"  # a port is part of the socket's name; agno's documentation calls the user so
_WITHIN = 120  # seconds for a program to end, where the machine is busy


def programs() -> Path | None:
    """The folder of initdb and the rest: the PATH's, else the newest of Debian's."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    packaged = sorted(PACKAGED.glob("*/bin/initdb"), key=lambda initdb: float(initdb.parts[-3]))
    return packaged[-1].parent if packaged else None


def unprivileged() -> pwd.struct_passwd | None:
    """The account to run it as where we are root, whom PostgreSQL refuses; else it is our own."""
    if os.geteuid() != 0:
        return None
    accounts = {account.pw_name: account for account in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


class Postgres:
    """A cluster in a folder. Whoever can enter that may do anything in it, which is its account and root."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._programs = programs
        self._account = unprivileged()
        self._numbers = count(1)

    def start(self) -> None:
        """Make the cluster, start it, and wait until it answers. Raises RuntimeError, quoting what went wrong."""
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        how = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run("initdb", f"--pgdata={self._data}", f"--username={_USER}", *how)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "port": _PORT,
            "max_connections": "200",  # each AgentOS has a pool of its own
            "fsync": "off",
        }
        options = shlex.join(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        log = self.folder / "log"
        try:
            self._run("pg_ctl", "start", "--wait", f"--pgdata={self._data}", f"--log={log}", f"--options={options}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text('utf-8') if log.exists() else ''}") from error

    def stop(self) -> None:
        """Stop it, and wait for the end."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={self._data}")

    def create(self) -> str:
        """Create a database with nothing in it; return its name."""
        name = f"ai_{next(self._numbers)}"
        self._run("createdb", *self._where, name)
        return name

    def url(self, name: str) -> str:
        """The address of a database, as `PostgresDb` takes it."""
        return f"postgresql+psycopg://{_USER}@/{name}?host={self.folder}&port={_PORT}"

    def ask(self, name: str, query: str) -> str:
        """What a database answers, its columns and rows without decoration."""
        return self._run("psql", "--no-psqlrc", "--no-align", "--tuples-only", *self._where, "-c", query, name).strip()

    def dump(self, name: str) -> str:
        """All rows of a database, as text."""
        return self._run("pg_dump", "--data-only", *self._where, name)

    @property
    def _where(self) -> list[str]:
        return [f"--host={self.folder}", f"--port={_PORT}", f"--username={_USER}"]

    def _run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs to its end; return its output."""
        account = self._account
        identity: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()} if account else {}
        )
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN,
            check=False,
            **identity,
        )
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server while it runs; meanwhile no variable of the shell leads its clients elsewhere.

    Skips the test where none is installed; fails it in CI, which installs one.
    """
    found = programs()
    if found is None:
        message = "PostgreSQL is not installed (Debian: apt install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    # Not tmp_path: the path of a socket has to be short, and every folder above open to the server's account.
    with tempfile.TemporaryDirectory(prefix="oidcbridge-") as folder, pytest.MonkeyPatch.context() as shell:
        for name in [name for name in os.environ if name.startswith("PG")]:
            shell.delenv(name)
        server = Postgres(Path(folder), found)
        try:
            server.start()
            yield server
        finally:
            server.stop()
