"""Auth0 as a third party sees it: the npm package @simulacrum/auth0-simulator, over https by a test CA.

    with Auth0Simulator(tmp_path) as server:
        Verifier(issuer_url=server.issuer_url, fetch=FetchOptions(ca_file=str(server.ca_file)), ...)
        tokens = server.log_in()

One fixed RS256 key, no rotation, no ``permissions``; a machine's token has no ``sub``, which the real service gives.
"""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.providers.servers.certificates import write_certificates
from tests.providers.servers.environments import ServerUnavailableError, node
from tests.providers.servers.process import ServerProcess

API = "https://api.acme.example"
CLIENT_ID = "agent-ui-of-32-characters-at-mos"
_USER = {
    "id": "auth0|6553da60a54af58e29493993",
    "name": "Alice Adams",
    "email": "alice@example.com",
    "password": "alice-pw",
    "picture": "https://cdn.example.com/alice.png",
}
USER_ID = _USER["id"]

Json = dict[str, Any]


class Auth0Simulator:
    """The server. Answers that are no success raise `httpx2.HTTPStatusError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: ServerProcess | None = None
        self.ca_file = folder / "ca.pem"
        self.issuer_url = ""

    def __enter__(self) -> Self:
        certificates = self._folder / ".simulacrum" / "certs"  # where it looks, below HOME
        write_certificates(self.ca_file, certificates / "localhost.pem", certificates / "localhost-key.pem")
        port = _free_port()
        command = [node(), "auth0-simulator.cjs", str(port), API, json.dumps(_USER)]
        log = self._folder / "auth0-simulator.log"
        self._process = ServerProcess(command, log, env={"HOME": str(self._folder)})
        self._process.start()
        self.issuer_url = f"https://localhost:{port}/"
        trusted = ssl.create_default_context(cafile=str(self.ca_file))
        self._client = httpx2.Client(trust_env=False, timeout=30, verify=trusted)
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        if self._process is not None:
            self._process.stop()

    def log_in(self, *, audience: str = API) -> Json:
        """A user's access and ID token, by password."""
        return self._token(
            grant_type="password", username=_USER["email"], password=_USER["password"], audience=audience
        )

    def machine_token(self) -> str:
        """A machine's access token, by client credentials."""
        token: str = self._token(grant_type="client_credentials", audience=API)["access_token"]
        return token

    def _token(self, **form: str) -> Json:
        answer = self._client.post(f"{self.issuer_url}oauth/token", json={**form, "client_id": CLIENT_ID})
        tokens: Json = answer.raise_for_status().json()
        return tokens


def _free_port() -> int:
    """A free port of those that the simulator takes: 3000 to 9999, where the system gives none by itself."""
    for port in range(4400, 10_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise ServerUnavailableError("every port from 4400 to 9999 is taken, and the simulator takes no other")
