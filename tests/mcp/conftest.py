"""One issuer for the whole directory; tests that break an issuer take one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from oidcbridge.testing import FakeIssuer
from tests.environment import _bare_environment

__all__ = ["_bare_environment"]

if find_spec("fastmcp") is None:

    class WithoutFastMCP(pytest.Module):
        """A module that cannot even be imported here."""

        def collect(self) -> Iterator[pytest.Item]:
            pytest.skip("fastmcp is not installed: make agentos has it", allow_module_level=True)

    def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
        """What pytest makes of a file of tests in this directory."""
        return WithoutFastMCP.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def issuer() -> Iterator[FakeIssuer]:
    """An issuer that works throughout, answered in process."""
    with FakeIssuer("https://mcp.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer


@pytest.fixture
def frail_issuer() -> Iterator[FakeIssuer]:
    """An issuer of this test's own, to be broken."""
    with FakeIssuer("https://frail-mcp.idp.test", algorithms=("ES256",)).impersonate() as issuer:
        yield issuer
