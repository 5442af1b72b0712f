"""The ways to a token, each through Authlib's client: functions ``(client, metadata, request) -> token answer``."""

from __future__ import annotations

import re
import secrets
import webbrowser
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oidcbridge.cli.terminal import printable, say, stdout_as_stderr
from oidcbridge.cli.token_client import open_client, read_authorities, told_apart
from oidcbridge.cli.token_device import device_grant
from oidcbridge.cli.token_discovery import fetch_metadata, find_endpoint
from oidcbridge.cli.token_errors import GrantError
from oidcbridge.cli.token_redirect import ExpectedAnswer, LoopbackRedirect
from oidcbridge.cli.token_request import Grant, TokenRequest
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.core.urls import is_loopback

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

_ACCESS_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6749 appendix A.12, without the space no header could carry


def fetch_access_token(request: TokenRequest) -> str:
    """Return an access token. Raises `GrantError`, ``ProviderError`` or ``ConfigurationError``."""
    authorities = read_authorities(request.ca_file)
    metadata = fetch_metadata(request.issuer_url, request.ca_file)
    with open_client(metadata, request, authorities) as client:
        answer = _GRANTS[request.grant](client, metadata, request)
    token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not isinstance(token, str) or not _ACCESS_TOKEN.fullmatch(token):
        raise GrantError("the provider's answer holds no access token")
    if str(kind).lower() != "bearer":  # RFC 6749 section 7.1: not to be used without understanding its type
        raise GrantError(f"the provider issued a token of type {printable(kind)!r}, which is no bearer token")
    if token.count(".") != 2:  # RFC 7519 section 3.1: a signed JWT has three parts
        say("warning: this access token is no signed JWT, so an endpoint cannot verify it; Auth0 needs --audience")
    return token


def _code_grant(client: OAuth2Client, metadata: IssuerMetadata, request: TokenRequest) -> Mapping[str, Any]:
    """Authorization code with PKCE S256 in the browser (RFC 7636, RFC 8252)."""
    token_endpoint = find_endpoint(metadata, "token_endpoint")
    expected = ExpectedAnswer(
        issuer_url=metadata.issuer,
        issuer_required=metadata.document.get("authorization_response_iss_parameter_supported") is True,
    )
    verifier = secrets.token_urlsafe(48)
    url, _ = client.create_authorization_url(
        find_endpoint(metadata, "authorization_endpoint"),
        state=expected.state,
        code_verifier=verifier,
        **request.targets,
    )
    with LoopbackRedirect(request.redirect_uri, expected) as redirect:
        _show(url, request.open_browser)
        code = redirect.wait(request.patience)
    with told_apart(token_endpoint):
        answer: Mapping[str, Any] = client.fetch_token(
            token_endpoint,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            resource=request.resource,
        )
    return answer


def _show(url: str, open_browser: bool) -> None:
    say(f"To sign in, open\n\n    {url}\n")
    if open_browser:
        with stdout_as_stderr():
            webbrowser.open(url)


def _client_credentials_grant(
    client: OAuth2Client, metadata: IssuerMetadata, request: TokenRequest
) -> Mapping[str, Any]:
    """The client's own token (RFC 6749 section 4.4)."""
    endpoint = find_endpoint(metadata, "token_endpoint")
    with told_apart(endpoint):
        answer: Mapping[str, Any] = client.fetch_token(endpoint, grant_type="client_credentials", **request.targets)
    return answer


def _password_grant(client: OAuth2Client, metadata: IssuerMetadata, request: TokenRequest) -> Mapping[str, Any]:
    """A user's token for their password (RFC 6749 section 4.3), which RFC 9700 section 2.4 leaves to development."""
    endpoint = find_endpoint(metadata, "token_endpoint")
    if not is_loopback(urlsplit(endpoint).hostname):
        say("warning: the password grant is for local development; elsewhere use --grant code or --grant device")
    with told_apart(endpoint):
        answer: Mapping[str, Any] = client.fetch_token(
            endpoint, grant_type="password", username=request.username, password=request.password, **request.targets
        )
    return answer


_GRANTS: dict[Grant, Callable[[OAuth2Client, IssuerMetadata, TokenRequest], Mapping[str, Any]]] = {
    Grant.CODE: _code_grant,
    Grant.DEVICE: device_grant,
    Grant.CLIENT_CREDENTIALS: _client_credentials_grant,
    Grant.PASSWORD: _password_grant,
}
