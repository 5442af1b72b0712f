"""A real AgentOS with a stub model, on SQLite and on PostgreSQL; one issuer for the whole directory. No network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oidcbridge.testing import FakeIssuer
from tests.agentos.postgres_server import Postgres, running_postgres

if TYPE_CHECKING:
    from tests.agentos.databases import Database

_OF_AGNO = ("OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE", "JWT_SECRET_KEY", "AUTHORIZATION_ENABLED")

if find_spec("agno") is None:
    if os.environ.get("CI") == "true":
        raise pytest.UsageError("tests/agentos need agno, and CI leaves none of them out: make agentos")

    class WithoutAgno(pytest.Module):
        """A module that cannot even be imported here."""

        def collect(self) -> Iterator[pytest.Item]:
            pytest.skip("agno is not installed: make agentos has it", allow_module_level=True)

    def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
        """What pytest makes of a file of tests in this directory."""
        return WithoutAgno.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors, but for what agno and what it stands on warn each other of."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for module in ("agno", "fastmcp", "mcp", "sqlalchemy", "a2a", "ag_ui", "websockets"):
                item.add_marker(pytest.mark.filterwarnings(rf"ignore:::{module}\."))
            item.add_marker(pytest.mark.filterwarnings("ignore:Duplicate Operation ID"))  # of agno's routes


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer's shell says of oidcbridge and of agno is no part of a test."""
    for name in [name for name in os.environ if name.startswith("OIDCBRIDGE_") or name in _OF_AGNO]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGNO_TELEMETRY", "false")


@pytest.fixture(scope="session")
def issuer() -> Iterator[FakeIssuer]:
    """An issuer that works throughout, answered in process."""
    with FakeIssuer("https://agentos.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture
def frail_issuer() -> Iterator[FakeIssuer]:
    """An issuer of this test's own, to be broken."""
    with FakeIssuer("https://frail-agentos.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole directory, where one is installed."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Database]:
    """Makes a database, empty at first; what stands on it is tested on SQLite and on PostgreSQL."""
    from tests.agentos.databases import PostgresDatabase, SqliteDatabase  # which cannot be imported without agno

    if request.param == "sqlite":
        return lambda: SqliteDatabase(tmp_path_factory.mktemp("sqlite") / "agents.db")
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: PostgresDatabase(server, server.create())
