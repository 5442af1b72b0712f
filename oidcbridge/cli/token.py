"""``oidcbridge token``: get an access token to try an endpoint with. stdout carries the token alone.

Secrets come from the environment, a file or a prompt: arguments are seen by every user of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from oidcbridge.cli.terminal import say
from oidcbridge.cli.token_request import (
    CLIENTS_VARIABLE,
    DEFAULT_REDIRECT_URI,
    ISSUER_VARIABLE,
    PASSWORD_VARIABLE,
    SECRET_VARIABLE,
    Grant,
    TokenRequest,
    find_client_id,
    find_client_secret,
    find_issuer_url,
    find_user,
)
from oidcbridge.errors import ConfigurationError, OIDCBridgeError, ProviderError


def _option(text: str, metavar: str | None = None, *, minimum: float | None = None) -> OptionInfo:
    option: OptionInfo = typer.Option(help=text, metavar=metavar, min=minimum, show_default=False)
    return option


_Issuer = Annotated[str | None, _option(f"Issuer URL, to the letter. Default: {ISSUER_VARIABLE}.", "URL")]
_ClientId = Annotated[str | None, _option(f"Client to act as. Default: the first of {CLIENTS_VARIABLE}.", "ID")]
_Grant = Annotated[Grant, _option("How to get the token. Default: code, which opens a browser.")]
_Scope = Annotated[
    str | None, _option("Scopes, separated by spaces. Default: openid, and none for a service.", "SCOPES")
]
_Audience = Annotated[str | None, _option("Sent as 'audience' (Auth0 needs it).", "AUDIENCE")]
_Resource = Annotated[str | None, _option("Sent as 'resource' (RFC 8707).", "URI")]
_RedirectUri = Annotated[
    str, _option(f"Loopback address registered for the client. Default: {DEFAULT_REDIRECT_URI}.", "URI")
]
_Username = Annotated[str | None, _option("User for --grant password; asked for if left out.", "NAME")]
_PasswordFile = Annotated[
    Path | None, _option(f"File with the user's password. Default: {PASSWORD_VARIABLE}, or asked.", "FILE")
]
_SecretFile = Annotated[Path | None, _option(f"File with the client's secret. Default: {SECRET_VARIABLE}.", "FILE")]
_NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only show the address to open.")]
_CaFile = Annotated[
    str | None, _option("PEM file of the certificate authorities to trust instead of the system's.", "FILE")
]
_Timeout = Annotated[float, _option("How long to wait for you to sign in. Default: 300.", "SECONDS", minimum=1)]


def token(  # noqa: PLR0917 - typer reads the options from the signature
    issuer: _Issuer = None,
    client_id: _ClientId = None,
    grant: _Grant = Grant.CODE,
    scope: _Scope = None,
    audience: _Audience = None,
    resource: _Resource = None,
    redirect_uri: _RedirectUri = DEFAULT_REDIRECT_URI,
    username: _Username = None,
    password_file: _PasswordFile = None,
    client_secret_file: _SecretFile = None,
    no_browser: _NoBrowser = False,
    ca_file: _CaFile = None,
    timeout: _Timeout = 300.0,
) -> None:
    """Get an access token to try an endpoint with.

    stdout carries the token alone: curl -H "Authorization: Bearer $(oidcbridge token)" URL

    Exit codes: 1 refused, 2 wrong usage or settings, 3 the provider cannot be asked.
    """
    from oidcbridge.cli.token_grants import fetch_access_token  # noqa: PLC0415 - Authlib and the HTTP client are slow

    with _ending_with_a_line():
        request = TokenRequest(
            grant=grant,
            issuer_url=find_issuer_url(issuer),
            client_id=find_client_id(client_id),
            client_secret=find_client_secret(client_secret_file, grant),
            scope=scope,
            audience=audience,
            resource=resource,
            redirect_uri=redirect_uri,
            open_browser=not no_browser,
            ca_file=ca_file,
            patience=timeout,
            **find_user(username, password_file, grant),
        )
        print(fetch_access_token(request))


@contextmanager
def _ending_with_a_line() -> Iterator[None]:
    """End the command with one line on stderr and an exit code, instead of a traceback, for every expected fault."""
    try:
        yield
    except OIDCBridgeError as error:
        say(f"oidcbridge token: {error}")
        raise typer.Exit(_exit_code(error)) from None


def _exit_code(error: OIDCBridgeError) -> int:
    if isinstance(error, ConfigurationError):
        return 2
    return 3 if isinstance(error, ProviderError) else 1
