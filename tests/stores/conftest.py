"""The stores to be tested, each by the expression that makes it, here or in another process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from oidcbridge.core.key_store import KeyStore
from oidcbridge.stores import FileKeyStore, RedisKeyStore
from tests.remote.conftest import clock, issuer
from tests.stores.servers import SECRET, Redis, running_redis

__all__ = ["clock", "issuer"]


@dataclass(frozen=True)
class Kind:
    """One kind of store."""

    name: str
    source: str
    """The Python expression that makes one more store over the same entries."""

    def new(self) -> KeyStore:
        names = {"FileKeyStore": FileKeyStore, "RedisKeyStore": RedisKeyStore}
        store: KeyStore = eval(self.source, names)
        return store


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Redis]:
    # Not tmp_path: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="oidcbridge-") as folder, running_redis(Path(folder)) as server:
        yield server


@pytest.fixture
def redis(shared_redis: Redis) -> Redis:
    """A Redis with nothing in it."""
    shared_redis.raw("FLUSHALL")
    return shared_redis


@pytest.fixture
def files(tmp_path: Path) -> Kind:
    return Kind("file", f"FileKeyStore({str(tmp_path / 'keys')!r})")


@pytest.fixture
def network(redis: Redis) -> Kind:
    return Kind("redis", f"RedisKeyStore({redis.url!r}, secret={SECRET!r}, timeout=5.0)")


@pytest.fixture(params=["files", "network"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.getfixturevalue(request.param)
    return found
