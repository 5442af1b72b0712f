"""The servers, each started once for the session, on free ports of 127.0.0.1.

One that does not start skips its tests, saying why; with CI=true it fails them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import NoReturn

import pytest

from tests.e2e.keycloak_server import KeycloakServer, KeycloakUnavailableError
from tests.providers.servers.auth0_simulator import Auth0Simulator
from tests.providers.servers.cognito import Cognito
from tests.providers.servers.environments import ServerUnavailableError
from tests.providers.servers.oidc_provider import OidcProvider

ROOT = Path(__file__).parents[3]
REALMS = (
    ROOT / "tests" / "providers" / "servers" / "keycloak" / "acme-realm.json",
    ROOT / "docker" / "keycloak" / "agents-realm.json",
)


def or_skip(stack: ExitStack, server: AbstractContextManager[object]) -> None:
    """Start ``server``; it stops with ``stack``."""
    try:
        stack.enter_context(server)
    except ServerUnavailableError as error:
        unavailable(error)


def unavailable(error: Exception) -> NoReturn:
    """Skip, or fail where CI asks for every test."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"the provider tests could not run: {error}")
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def oidc_provider(server_folder: Path) -> Iterator[OidcProvider]:
    with ExitStack() as stack:
        server = OidcProvider(server_folder)
        or_skip(stack, server)
        yield server


@pytest.fixture(scope="session")
def cognito(server_folder: Path) -> Iterator[Cognito]:
    with ExitStack() as stack:
        server = Cognito(server_folder)
        or_skip(stack, server)
        yield server


@pytest.fixture(scope="session")
def auth0_simulator(server_folder: Path) -> Iterator[Auth0Simulator]:
    with ExitStack() as stack:
        server = Auth0Simulator(server_folder)
        or_skip(stack, server)
        yield server


@pytest.fixture(scope="session")
def keycloak(server_folder: Path) -> Iterator[KeycloakServer]:
    """A real Keycloak: the realm acme of servers/keycloak, and agents of docker/keycloak beside it."""
    realms = server_folder / "realms"
    realms.mkdir()
    for realm in REALMS:
        shutil.copy(realm, realms)
    with closing(KeycloakServer(server_folder / "keycloak", realm="acme", realms=realms)) as server:
        try:
            server.start()
        except KeycloakUnavailableError as error:
            unavailable(error)
        yield server
