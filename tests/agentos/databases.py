"""The databases that an AgentOS of the tests stands on: SQLite, and PostgreSQL as agno's documentation writes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agno.db.base import BaseDb
from agno.db.postgres import PostgresDb
from agno.db.sqlite import SqliteDb

from tests.agentos.postgres_server import Postgres


class Database(Protocol):
    """A database of a test's own, empty at first, which several servers may share."""

    def connect(self) -> BaseDb:
        """One more server's connections to it; agno closes them when the server ends."""
        ...

    def dump(self) -> str:
        """All that is stored in it, as text, read past agno."""
        ...


@dataclass(frozen=True)
class SqliteDatabase:
    """A file."""

    file: Path

    def connect(self) -> BaseDb:
        return SqliteDb(db_file=str(self.file))

    def dump(self) -> str:
        with closing(sqlite3.connect(self.file)) as connection:
            return "\n".join(connection.iterdump())


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of a server that runs."""

    server: Postgres
    name: str

    def connect(self) -> BaseDb:
        return PostgresDb(db_url=self.server.url(self.name))

    def dump(self) -> str:
        return self.server.dump(self.name)
