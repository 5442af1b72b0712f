"""The servers answer on 127.0.0.1 and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.providers.servers.auth0_simulator import Auth0Simulator
from tests.providers.servers.cognito import Cognito
from tests.providers.servers.oidc_provider import OidcProvider

TABLES = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
LISTENING = "0A"
LOOPBACK = "0100007F"  # 127.0.0.1, as Linux writes it


@pytest.mark.skipif(not TABLES[0].exists(), reason="who listens where is read from Linux's /proc")
def test_every_server_listens_on_loopback_alone(
    oidc_provider: OidcProvider, cognito: Cognito, auth0_simulator: Auth0Simulator
) -> None:
    urls = (oidc_provider.base_url, cognito.base_url, auth0_simulator.issuer_url)
    ports = {urlsplit(url).port for url in urls}
    rows = [line.split() for table in TABLES if table.exists() for line in table.read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == LISTENING]
    found = {(address, int(port, 16)) for address, port in listening if int(port, 16) in ports}
    assert found == {(LOOPBACK, port) for port in ports}
