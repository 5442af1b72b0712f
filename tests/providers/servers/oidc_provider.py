"""oidc-provider (npm), once as it is and once in the shape of each provider that cannot run here.

    with OidcProvider(tmp_path) as server:
        tokens = server.log_in("auth0", scope="openid profile read:docs")
        token = server.machine_token("okta", resource="api://default")
        server.rotate("rotating", "publish")

Its own are ``plain`` and ``rotating``; the others are listed in oidc-provider/shapes.mjs.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.providers.servers.environments import node
from tests.providers.servers.process import ServerProcess

API = "https://api.acme.example"
"""The resource indicator (RFC 8707) of our API; its tokens are signed with RS256."""
APIS = {"RS256": API, "ES256": "https://es256.acme.example", "EdDSA": "https://eddsa.acme.example"}
OTHER_API = "https://other.acme.example"

SHAPE_PATHS = {
    "plain": "/plain",
    "rotating": "/rotating",
    "auth0": "/auth0/",
    "auth0-rfc9068": "/auth0-rfc9068/",
    "okta": "/oauth2/default",
    "okta-org": "/oauth2/org",
    "entra-v2": "/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
    "entra-v2-other": "/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0",
    "entra-v1": "/72f988bf-86f1-41af-91ab-2d7cd011db47/",
    "pingone": "/9b3c7f10-42d5-4e8a-b6f1-0c5d2e7a9f34/as",
    "zitadel": "/zitadel",
    "authentik": "/application/o/agents/",
    "hydra": "/hydra/",
}

Json = dict[str, Any]
_REDIRECTS = 10  # to the login and back are 3


class OidcProvider:
    """The server, and tokens of its issuers by the grants they allow.

    Answers that are no success raise `httpx2.HTTPStatusError`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: ServerProcess | None = None
        self._client = httpx2.Client(trust_env=False, timeout=30)
        self.base_url = ""

    def __enter__(self) -> Self:
        self._process = ServerProcess([node(), "oidc-provider/server.mjs"], self._folder / "oidc-provider.log")
        said = self._process.start()
        self.base_url, self._callback = f"http://127.0.0.1:{said['port']}", said["callback"]
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        if self._process is not None:
            self._process.stop()

    def issuer_url(self, shape: str) -> str:
        """The issuer, to the letter."""
        return f"{self.base_url}{SHAPE_PATHS[shape]}"

    @property
    def organizations_url(self) -> str:
        """Entra's discovery for all tenants, whose issuer is a template (``…/{tenantid}/v2.0``)."""
        return f"{self.base_url}/organizations/v2.0/.well-known/openid-configuration"

    def organizations_discovery(self) -> Json:
        """What that document says."""
        document: Json = self._client.get(self.organizations_url).raise_for_status().json()
        return document

    def machine_token(
        self, shape: str, *, resource: str | None = API, scope: str = "tools:run", client_id: str = "svc"
    ) -> str:
        """A machine's access token, by client credentials; opaque where no resource is asked for."""
        form = {"grant_type": "client_credentials"} | ({"resource": resource, "scope": scope} if resource else {})
        answer = self._client.post(self._endpoint(shape, "token"), data=form, auth=(client_id, f"{client_id}-secret"))
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def log_in(
        self,
        shape: str,
        user: str = "alice",
        *,
        scope: str = "openid profile email tools:run",
        resource: str | None = API,
        client_id: str = "agent-ui",
    ) -> Json:
        """The token endpoint's answer for a user: access, ID and refresh token, by code and PKCE (RFC 7636).

        The access token is opaque where no resource is asked for.
        """
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"resource": resource} if resource else {}
        question = {
            "client_id": client_id,
            "redirect_uri": self._callback,
            "response_type": "code",
            "scope": scope,
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
            "login_hint": user,
            "prompt": "login",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | asked
        code = self._code(self._endpoint(shape, "auth"), question)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._callback, **asked}
        return self._tokens(shape, {**form, "client_id": client_id, "code_verifier": verifier})

    def refresh(self, shape: str, refresh_token: str, *, client_id: str = "agent-ui") -> Json:
        """The answer to a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
        return self._tokens(shape, form)

    def rotate(self, shape: str, how: Literal["publish", "promote", "rotate", "rotate-hard"]) -> None:
        """Change the keys: publish a next one, sign with it, both at once, or withdraw all others too."""
        self._client.post(f"{self.base_url}/control/{shape}/{how}").raise_for_status()

    def discovery(self, shape: str) -> Json:
        """What the issuer says about itself."""
        document: Json = self._client.get(
            f"{self.issuer_url(shape).rstrip('/')}/.well-known/openid-configuration"
        ).json()
        return document

    def jwks(self, shape: str) -> Json:
        """The published keys."""
        jwks: Json = self._client.get(self.discovery(shape)["jwks_uri"]).json()
        return jwks

    def _endpoint(self, shape: str, path: str) -> str:
        return f"{self.issuer_url(shape).rstrip('/')}/{path}"

    def _code(self, url: str, question: Json) -> str:
        """Follow the login's redirects up to the one that carries the code to the client."""
        with httpx2.Client(trust_env=False, timeout=30) as browser:
            answer = browser.get(url, params=question)
            for _ in range(_REDIRECTS):
                if not answer.is_redirect or answer.headers["location"].startswith(self._callback):
                    break
                answer = browser.get(answer.url.join(answer.headers["location"]))
        sent = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        if sent.get("state") != [question["state"]] or "code" not in sent:
            raise RuntimeError(f"the login ended with {answer.status_code}: {sent.get('error_description')}")
        return sent["code"][0]

    def _tokens(self, shape: str, form: Json) -> Json:
        tokens: Json = self._client.post(self._endpoint(shape, "token"), data=form).raise_for_status().json()
        return tokens
