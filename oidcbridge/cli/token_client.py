"""Authlib's OAuth client, set up for one provider, and its answers told apart."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from oidcbridge.cli.terminal import printable
from oidcbridge.cli.token_discovery import find_endpoint
from oidcbridge.cli.token_errors import refusal
from oidcbridge.cli.token_request import TokenRequest
from oidcbridge.core.claims import as_names
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.core.strict_json import StrictJSONError, parse_json_object
from oidcbridge.core.urls import is_loopback
from oidcbridge.errors import ConfigurationError, ProviderError
from oidcbridge.remote.http import TRANSPORT_ERRORS

REQUEST_TIMEOUT = 10.0  # seconds without a byte from the provider


def read_authorities(ca_file: str | None) -> ssl.SSLContext | bool:
    """Return whom to trust for TLS: the PEM file's authorities, or the system's (True)."""
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"--ca-file {ca_file} is no PEM file of certificates: {error.strerror}") from None


def open_client(metadata: IssuerMetadata, request: TokenRequest, authorities: ssl.SSLContext | bool) -> OAuth2Client:
    """Return the client for one request, a context manager. Raises `GrantError` without a usable token endpoint."""
    client = OAuth2Client(
        client_id=request.client_id,
        client_secret=request.client_secret,
        token_endpoint_auth_method=_auth_method(metadata, request.client_secret),
        scope=request.asked_scope,
        redirect_uri=request.redirect_uri,
        code_challenge_method="S256",
        verify=authorities,
        timeout=REQUEST_TIMEOUT,
        follow_redirects=False,  # a token request carries secrets: it goes where discovery says, or nowhere
        # Nor to the proxy that HTTP_PROXY names, when the provider is on this machine.
        trust_env=not is_loopback(urlsplit(find_endpoint(metadata, "token_endpoint")).hostname),
    )
    for method, encode in _CLIENT_AUTHENTICATION.items():
        client.register_client_auth_method((method, encode))
    client.register_compliance_hook("access_token_response", _checked)
    return client


def read_answer(response: Any) -> Mapping[str, Any]:
    """Return the JSON object of an OAuth answer, a refusal included (RFC 6749 sections 5.1 and 5.2).

    Raises ``ProviderError`` for what is none: a page, a redirect, an outage (HTTP 5xx), times that are no numbers.
    """
    try:
        answer = parse_json_object(response.content)
    except StrictJSONError as error:
        raise ProviderError(f"{_seen(response)}, which is no OAuth answer: {error}") from None
    if response.status_code >= 500 or (response.status_code >= 300 and "error" not in answer):
        said = f": {refusal(answer['error'], answer.get('error_description'))}" if "error" in answer else ""
        raise ProviderError(f"{_seen(response)}{said}")
    # Authlib calls int() on these, whatever they are.
    if not all(_is_number(answer.get(name)) for name in ("expires_in", "expires_at")):
        raise ProviderError(f"{_seen(response)} with an expiry that is no number of seconds")
    return answer


@contextmanager
def told_apart(endpoint: str) -> Iterator[None]:
    """Turn what Authlib and the HTTP client beneath it raise into our own errors."""
    try:
        yield
    except OAuthError as error:
        raise refusal(error.error, error.description) from None
    except TRANSPORT_ERRORS as error:
        raise ProviderError(f"cannot reach {endpoint}: {printable(error) or type(error).__name__}") from None


def _checked(response: Any) -> Any:
    read_answer(response)
    return response


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float) or (str(value).isdecimal() and len(str(value)) <= 20)


def _seen(response: Any) -> str:
    return f"{printable(response.url)} answered HTTP {response.status_code}"


def _auth_method(metadata: IssuerMetadata, client_secret: str | None) -> str:
    """How the client authenticates: Basic (RFC 6749 section 2.3.1), or a form field where that alone is offered."""
    if client_secret is None:
        return "none"
    offered = as_names(metadata.document.get("token_endpoint_auth_methods_supported"))
    if "client_secret_post" in offered and "client_secret_basic" not in offered:
        return "client_secret_post"
    return "client_secret_basic"  # also where nothing is said: OpenID Connect Discovery section 3


# Authlib's own three: its Basic leaves the form-encoding out, and its other two fail on a form (a user's password) that
# is not ASCII, since they parse the encoded body as bytes.


def _encode_basic(client: Any, method: str, url: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """Form-encode id and secret, then Base64 (RFC 6749 section 2.3.1)."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return url, headers, body


def _encode_form(client: Any, method: str, url: str, headers: Any, body: bytes) -> tuple[str, Any, bytes]:
    """Name the client in the form, with its secret if it has one."""
    fields = {"client_id": client.client_id}
    if client.client_secret is not None:
        fields["client_secret"] = client.client_secret
    return url, headers, b"&".join(part for part in (body, urlencode(fields).encode()) if part)


_CLIENT_AUTHENTICATION = {
    "client_secret_basic": _encode_basic,
    "client_secret_post": _encode_form,
    "none": _encode_form,
}
