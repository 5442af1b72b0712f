"""The end-to-end suite runs against a real Keycloak, started once for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.keycloak_server import KeycloakServer, KeycloakUnavailableError

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.keycloak)


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakServer]:
    """The Keycloak that the suite shares, with the realms of docker/keycloak.

    Without Java or Maven its tests are skipped, saying what to install; with CI=true they fail.
    """
    with closing(KeycloakServer(tmp_path_factory.mktemp("keycloak") / "home")) as server:
        start_or_skip(server)
        yield server


def start_or_skip(server: KeycloakServer) -> None:
    try:
        server.start()
    except KeycloakUnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the end-to-end suite could not run: {error}")
        pytest.skip(str(error))
