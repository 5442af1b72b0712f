"""A real Keycloak for end-to-end tests: the server, its admin API, and tokens by every grant.

    server = KeycloakServer(tmp_path / "keycloak")
    server.start()
    token = server.password_token("agent-ui", "ada", "ada-pw", scope="openid agents:run")["access_token"]
    new_key = server.rotate_key("RS256", priority=200)      # signs from now on; the old one stays listed
    server.stop()                                           # the realms and their keys outlast it

`docker/keycloak.py` does the starting and stopping, on free ports of 127.0.0.1. Answers of Keycloak that are no
success raise `httpx2.HTTPStatusError`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.e2e.keycloak_browser import Browser

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "keycloak.py"
CALLBACK = "http://127.0.0.1:8765/callback"
"""The redirect URI that every client of the realm allows for its code grant."""

Json = dict[str, Any]

_UNAVAILABLE = 3  # the exit code of docker/keycloak.py on a machine without Java or Maven
_PROVIDERS = {"RS": "rsa-generated", "PS": "rsa-generated", "ES": "ecdsa-generated", "Ed": "eddsa-generated"}


def keycloak_py(*arguments: object, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run docker/keycloak.py to its end, with nothing in its environment but what is given."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


class KeycloakUnavailableError(Exception):
    """This machine cannot run Keycloak; the text says what to install."""


class KeycloakServer:
    """An instance of its own, with the realms `agents` and `other`, in a folder and on ports of its own."""

    def __init__(self, home: Path, *, realm: str = "agents", realms: Path | None = None) -> None:
        self.home = home
        self.realm = realm
        self._options = ["--local"] + ([f"--realms={realms}"] if realms else [])
        self._ports = {"port": 0, "management_port": 0}
        self._client = httpx2.Client(trust_env=False, timeout=30)

    def start(self) -> None:
        """Start and wait until ready; the first start picks the ports, later ones use them again.

        Raises KeycloakUnavailableError without Java or Maven, RuntimeError when the start fails.
        """
        self._run_script("start")

    def stop(self) -> None:
        """Stop and wait for the end; keys, users and sessions stay."""
        self._run_script("stop")

    def restart(self) -> None:
        """Stop and start again, with the same issuer and keys."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """Start anew from the realm files as they are now: same issuer, new keys."""
        self._run_script("reset")

    def close(self) -> None:
        """Stop, and close the connections."""
        self.stop()
        self._client.close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['port']}"

    @property
    def issuer_url(self) -> str:
        return self.issuer_url_of(self.realm)

    def issuer_url_of(self, realm: str) -> str:
        return f"{self.base_url}/realms/{realm}"

    @property
    def log(self) -> str:
        """What Keycloak logged since this instance's database was made."""
        return (self.home / "keycloak.log").read_text(encoding="utf-8")

    # Tokens. Each answer is the token endpoint's whole JSON: access_token, refresh_token, id_token, scope, ...

    def password_token(
        self, client_id: str, username: str, password: str, *, scope: str = "openid", realm: str | None = None
    ) -> Json:
        return self._token(
            realm, grant_type="password", client_id=client_id, username=username, password=password, scope=scope
        )

    def client_credentials_token(self, client_id: str, client_secret: str, *, scope: str = "") -> Json:
        return self._token(
            None, grant_type="client_credentials", client_id=client_id, client_secret=client_secret, scope=scope
        )

    def refresh(self, client_id: str, refresh_token: str) -> Json:
        return self._token(None, grant_type="refresh_token", client_id=client_id, refresh_token=refresh_token)

    def login_with_pkce(
        self, client_id: str, username: str, password: str, *, scope: str = "openid", redirect_uri: str = CALLBACK
    ) -> Json:
        """Log in by the form, as a person in a browser does, and redeem the code (RFC 7636).

        Raises RuntimeError when the form does not lead back to the client, as with a wrong password.
        """
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        digest = hashlib.sha256(verifier.encode()).digest()
        question = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        browser = Browser(self.base_url)
        browser.open(f"{self.issuer_url}/protocol/openid-connect/auth?{urlencode(question)}")
        answer = parse_qs(urlsplit(browser.log_in(username, password)).query)
        if answer.get("state") != [state] or answer.get("iss") != [self.issuer_url]:
            raise RuntimeError(f"the login came back with another state or issuer: {sorted(answer)}")
        return self._token(
            None,
            grant_type="authorization_code",
            client_id=client_id,
            code=answer["code"][0],
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )

    # The admin API.

    def admin(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Ask the admin API of the realm; `path` starts with a slash, or is empty for the realm itself."""
        token = self._token("master", grant_type="password", client_id="admin-cli", username="admin", password="admin")[
            "access_token"
        ]
        response = self._client.request(
            method,
            f"{self.base_url}/admin/realms/{self.realm}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        )
        return response.raise_for_status()

    def rotate_key(self, algorithm: str = "RS256", priority: int = 200) -> str:
        """Make a new signing key and return its component id; with the highest priority it signs from now on."""
        config = {"priority": priority, "enabled": "true", "active": "true", "algorithm": algorithm}
        component = {
            "name": f"{algorithm} {priority}",
            "providerId": _PROVIDERS[algorithm[:2]],
            "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": self.admin("GET", "").json()["id"],
            "config": {name: [str(value)] for name, value in config.items()},
        }
        return self.admin("POST", "/components", component).headers["location"].rsplit("/", 1)[1]

    def set_key(self, component_id: str, *, active: bool | None = None, enabled: bool | None = None) -> None:
        """Make a key passive (listed, not signing: active=False) or withdraw it from the JWKS (enabled=False)."""
        component = self.admin("GET", f"/components/{component_id}").json()
        for name, value in {"active": active, "enabled": enabled}.items():
            if value is not None:
                component["config"][name] = [str(value).lower()]
        self.admin("PUT", f"/components/{component_id}", component)

    def remove_keys(self, algorithm: str) -> None:
        """Delete all keys of an algorithm, as in a realm that was never asked for a token signed with it."""
        for key in self.realm_keys():
            if key.get("algorithm") == algorithm:
                self.admin("DELETE", f"/components/{key['providerId']}")

    def realm_keys(self) -> list[Json]:
        """Return all keys, disabled ones too: `kid`, `providerId` (the component id), `status`, `algorithm`, `use`."""
        keys: list[Json] = self.admin("GET", "/keys").json()["keys"]
        return keys

    def jwks(self) -> Json:
        """Return the key set as the public sees it."""
        jwks: Json = self._client.get(f"{self.issuer_url}/protocol/openid-connect/certs").raise_for_status().json()
        return jwks

    def update_client(self, client_id: str, attributes: Mapping[str, str] | None = None, **fields: object) -> None:
        """Change a client: `attributes` are merged into its own, fields (`webOrigins=[...]`) replaced."""
        (client,) = self.admin("GET", f"/clients?{urlencode({'clientId': client_id})}").json()
        client |= fields
        client["attributes"] |= attributes or {}
        self.admin("PUT", f"/clients/{client['id']}", client)

    def update_realm(self, **fields: object) -> None:
        """Change the realm: `update_realm(accessTokenLifespan=1800)`, in seconds."""
        self.admin("PUT", "", fields)

    def _token(self, realm: str | None, **form: str) -> Json:
        url = f"{self.issuer_url_of(realm or self.realm)}/protocol/openid-connect/token"
        given = {name: value for name, value in form.items() if value}
        token: Json = self._client.post(url, data=given).raise_for_status().json()
        return token

    def _run_script(self, command: str) -> None:
        arguments = [f"--home={self.home}"]
        if command != "stop":
            ports = [f"--{name.replace('_', '-')}={port}" for name, port in self._ports.items()]
            arguments += [*self._options, *ports]
        # The administrator is admin / admin here, whatever the developer's own Keycloak uses.
        env = {name: value for name, value in os.environ.items() if not name.startswith("KC_")}
        done = keycloak_py(command, *arguments, env=env)
        if done.returncode == _UNAVAILABLE:
            raise KeycloakUnavailableError(done.stderr.strip())
        if done.returncode:
            raise RuntimeError(f"keycloak.py {command} ended with {done.returncode}:\n{done.stderr}")
        if command != "stop":
            record = json.loads((self.home / "server.json").read_text(encoding="utf-8"))
            self._ports = {name: record[name] for name in self._ports}
