"""Amazon Cognito's user pools as moto has them: real answers of its API, and tokens signed by moto's one key.

    with Cognito(tmp_path) as server:
        pool = server.make_pool()
        client_id = pool.make_client()
        pool.make_user("alice", groups=["admins"])
        tokens = pool.log_in(client_id, "alice")

Tokens name the issuer that AWS would have, and the keys are at ``pool.jwks_uri`` on loopback. moto signs the tokens of
all pools, access and ID, with one key.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.providers.servers.environments import moto_python
from tests.providers.servers.process import ServerProcess

REGION = "eu-central-1"
_PASSWORD = "Passw0rd!Passw0rd"
# moto reads region and service from the signature's scope, and does not check the signature.
_SCOPE = f"Credential=test/20260101/{REGION}/cognito-idp/aws4_request"
_HEADERS = {
    "Authorization": f"AWS4-HMAC-SHA256 {_SCOPE}, SignedHeaders=host, Signature=none",
    "Content-Type": "application/x-amz-json-1.1",
}

Json = dict[str, Any]


class Cognito:
    """The server. Answers that are no success raise `httpx2.HTTPStatusError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: ServerProcess | None = None
        self._client = httpx2.Client(trust_env=False, timeout=30)
        self.base_url = ""

    def __enter__(self) -> Self:
        # Its credentials are nobody's, and no file or endpoint of the machine is asked for others.
        aws = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._process = ServerProcess([moto_python(), "moto_server.py"], self._folder / "moto.log", env=aws)
        self.base_url = f"http://127.0.0.1:{self._process.start()['port']}"
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        if self._process is not None:
            self._process.stop()

    def call(self, operation: str, **body: object) -> Json:
        """One operation of the user pools' API."""
        headers = {**_HEADERS, "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}"}
        answer = self._client.post(self.base_url, headers=headers, content=json.dumps(body)).raise_for_status()
        result: Json = answer.json() if answer.content else {}
        return result

    def make_pool(self, name: str = "agents") -> UserPool:
        """A new user pool."""
        return UserPool(self, self.call("CreateUserPool", PoolName=name)["UserPool"]["Id"])


class UserPool:
    """One user pool: an issuer of its own."""

    def __init__(self, server: Cognito, pool_id: str) -> None:
        self._server = server
        self.pool_id = pool_id
        self.issuer_url = f"https://cognito-idp.{REGION}.amazonaws.com/{pool_id}"
        self.jwks_uri = f"{server.base_url}/{pool_id}/.well-known/jwks.json"
        self.discovery_url = f"{server.base_url}/{pool_id}/.well-known/openid-configuration"

    def make_client(self, name: str = "agent-ui") -> str:
        """A new app client's id."""
        made = self._server.call(
            "CreateUserPoolClient",
            UserPoolId=self.pool_id,
            ClientName=name,
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            ReadAttributes=["email", "name"],
        )
        client_id: str = made["UserPoolClient"]["ClientId"]
        return client_id

    def make_user(self, username: str, groups: Sequence[str] = ()) -> None:
        """A user who can log in, with an email address and a name."""
        attributes = {"email": f"{username}@example.com", "name": username.title()}
        listed = [{"Name": name, "Value": value} for name, value in attributes.items()]
        user = {"UserPoolId": self.pool_id, "Username": username}
        self._server.call("AdminCreateUser", **user, MessageAction="SUPPRESS", UserAttributes=listed)
        self._server.call("AdminSetUserPassword", **user, Password=_PASSWORD, Permanent=True)
        for group in groups:
            self._server.call("CreateGroup", UserPoolId=self.pool_id, GroupName=group)
            self._server.call("AdminAddUserToGroup", **user, GroupName=group)

    def log_in(self, client_id: str, username: str) -> Json:
        """``AccessToken``, ``IdToken`` and ``RefreshToken`` of a new login."""
        return self._ask(client_id, "USER_PASSWORD_AUTH", USERNAME=username, PASSWORD=_PASSWORD)

    def refresh(self, client_id: str, refresh_token: str) -> Json:
        """``AccessToken`` and ``IdToken`` of the same login."""
        return self._ask(client_id, "REFRESH_TOKEN_AUTH", REFRESH_TOKEN=refresh_token)

    def _ask(self, client_id: str, flow: str, **parameters: str) -> Json:
        answer = self._server.call("InitiateAuth", AuthFlow=flow, ClientId=client_id, AuthParameters=parameters)
        tokens: Json = answer["AuthenticationResult"]
        return tokens
