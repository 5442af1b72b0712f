"""The fake issuer's token endpoint: client credentials, and a password for a development user (RFC 6749 section 4).

For tests and for trying things on one machine. The password grant is gone from OAuth 2.1; it stays here because one
request without a browser is what a developer at a shell wants.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, unquote_plus

from oidcbridge.testing.responses import FakeResponse, json_response

GRANT_TYPES = ("client_credentials", "password")
CLIENT_AUTHENTICATION_METHODS = ("client_secret_basic", "client_secret_post", "none")
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}  # RFC 6749 section 5.1


@dataclass(frozen=True)
class FakeClient:
    """A client that may use the token endpoint.

    Without a ``secret`` it is a public client, which can only ask on behalf of a user. ``scopes`` are what it may
    have for itself (client credentials), ``algorithm`` is what its tokens are signed with (by default the issuer's
    first), ``claims`` are added to its own tokens.
    """

    client_id: str
    secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    algorithm: str | None = None
    claims: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FakeUser:
    """A development user with a password; ``sub`` defaults to the user name, ``scopes`` are the user's rights."""

    username: str
    password: str = field(repr=False)
    sub: str | None = None
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, object] = field(default_factory=dict)


class Mint(Protocol):
    """How an access token is made: ``FakeIssuer.mint``."""

    def __call__(
        self,
        sub: str,
        *,
        alg: str | None,
        scope: str,
        expires_in: int,
        client_id: str,
        claims: Mapping[str, object],
    ) -> str:
        """Sign a token of these terms; ``expires_in`` is in seconds."""
        ...


class _RefusalError(Exception):
    """An error answer of RFC 6749 section 5.2; it never leaves this module."""

    def __init__(self, error: str, description: str, *, challenge: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.challenge = challenge

    def response(self) -> FakeResponse:
        headers = dict(_NO_STORE)
        if self.challenge:
            headers["www-authenticate"] = 'Basic realm="token endpoint", charset="UTF-8"'
        content = {"error": self.error, "error_description": self.description}
        return json_response(content, status=401 if self.error == "invalid_client" else 400, headers=headers)


class TokenEndpoint:
    """Answers token requests of the clients and users it knows; ``token_lifetime`` is in seconds."""

    def __init__(
        self, mint: Mint, clients: Iterable[FakeClient], users: Iterable[FakeUser], token_lifetime: int
    ) -> None:
        self._mint = mint
        self._clients = {client.client_id: client for client in clients}
        self._users = {user.username: user for user in users}
        self._token_lifetime = token_lifetime

    def handle(self, headers: Mapping[str, str], body: bytes) -> FakeResponse:
        """Answer one POST; header names in lower case. Faults become error answers (RFC 6749 section 5.2)."""
        try:
            parameters = _parse_form(headers.get("content-type", ""), body)
            client = self._authenticate(headers.get("authorization"), parameters)
            return self._grant(client, parameters)
        except _RefusalError as refusal:
            return refusal.response()

    def _authenticate(self, authorization: str | None, parameters: Mapping[str, str]) -> FakeClient:
        if authorization is not None and "client_secret" in parameters:  # RFC 6749 section 2.3
            raise _RefusalError("invalid_request", "the client authenticated in two ways; use one")
        if authorization is not None:
            client_id, secret = _parse_basic(authorization)
        else:
            client_id, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
        client = self._clients.get(client_id)
        if client is None or not _same_text(secret, client.secret or ""):
            description = "unknown client, or its secret is missing or wrong"
            raise _RefusalError("invalid_client", description, challenge=authorization is not None)
        return client

    def _grant(self, client: FakeClient, parameters: Mapping[str, str]) -> FakeResponse:
        match parameters.get("grant_type"):
            case "client_credentials":
                if client.secret is None:  # RFC 6749 section 4.4
                    raise _RefusalError("unauthorized_client", "client_credentials is for clients with a secret")
                # RFC 9068 section 2.2: without a user, `sub` names the client
                return self._issue(client, client.client_id, client.scopes, client.claims, parameters)
            case "password":
                user = self._read_user(parameters)
                return self._issue(client, user.sub or user.username, user.scopes, user.claims, parameters)
            case None:
                raise _RefusalError("invalid_request", "grant_type is missing")
            case _:
                raise _RefusalError("unsupported_grant_type", f"use one of: {', '.join(GRANT_TYPES)}")

    def _read_user(self, parameters: Mapping[str, str]) -> FakeUser:
        if "username" not in parameters or "password" not in parameters:
            raise _RefusalError("invalid_request", "the password grant needs username and password")
        user = self._users.get(parameters["username"])
        if user is None or not _same_text(parameters["password"], user.password):
            raise _RefusalError("invalid_grant", "unknown user, or the password is wrong")
        return user

    def _issue(
        self,
        client: FakeClient,
        sub: str,
        allowed: tuple[str, ...],
        claims: Mapping[str, object],
        parameters: Mapping[str, str],
    ) -> FakeResponse:
        asked = parameters.get("scope", "").split()
        if not set(asked) <= set(allowed):
            raise _RefusalError("invalid_scope", f"allowed here: {' '.join(allowed) or 'no scope at all'}")
        scope = " ".join(asked or allowed)  # RFC 6749 section 3.3: asked for nothing, given the default
        token = self._mint(
            sub,
            alg=client.algorithm,
            scope=scope,
            expires_in=self._token_lifetime,
            client_id=client.client_id,
            claims=claims,
        )
        content = {"access_token": token, "token_type": "Bearer", "expires_in": self._token_lifetime}
        return json_response(content | ({"scope": scope} if scope else {}), headers=_NO_STORE)


def _parse_form(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise _RefusalError("invalid_request", "send the parameters as application/x-www-form-urlencoded")
    try:
        # Parameters without a value count as left out (RFC 6749 section 3.2), which is parse_qsl's default.
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError as error:
        raise _RefusalError("invalid_request", "the body is no form in UTF-8") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise _RefusalError("invalid_request", "a parameter is repeated")
    return parameters


def _parse_basic(authorization: str) -> tuple[str, str]:
    """Read client id and secret, which are form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    refusal = _RefusalError(
        "invalid_client", "the Authorization header is not: Basic base64(client_id:client_secret)", challenge=True
    )
    scheme, _, credentials = authorization.partition(" ")
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = (unquote_plus(part, errors="strict") for part in text.partition(":"))
    except ValueError as error:  # binascii.Error and UnicodeDecodeError among them
        raise refusal from error
    if scheme.lower() != "basic" or not colon:
        raise refusal
    return client_id, secret


def _same_text(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8"))
