"""What one token is asked for: options, ``OIDCBRIDGE_*`` defaults, and secrets from anywhere but the arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from oidcbridge.cli.terminal import ask, ask_secret
from oidcbridge.errors import ConfigurationError

ISSUER_VARIABLE = "OIDCBRIDGE_ISSUER_URL"
CLIENTS_VARIABLE = "OIDCBRIDGE_CLIENT_IDS"
SECRET_VARIABLE = "OIDCBRIDGE_CLIENT_SECRET"  # noqa: S105 - names a variable
PASSWORD_VARIABLE = "OIDCBRIDGE_PASSWORD"  # noqa: S105 - names a variable

DEFAULT_REDIRECT_URI = "http://127.0.0.1:8765/callback"
"""One fixed port: RFC 8252 section 7.3 lets it vary, and several providers match it exactly all the same."""


class Grant(StrEnum):
    """How the token is obtained."""

    CODE = "code"
    DEVICE = "device"
    CLIENT_CREDENTIALS = "client-credentials"
    PASSWORD = "password"  # noqa: S105 - names a grant


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRequest:
    """One request for a token, complete but for what only a person can give meanwhile. No secret is in its repr."""

    grant: Grant
    issuer_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None
    audience: str | None = None
    resource: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    redirect_uri: str = DEFAULT_REDIRECT_URI
    open_browser: bool = True
    ca_file: str | None = None
    patience: float = 300.0
    """Seconds to wait for the person who signs in."""

    @property
    def targets(self) -> dict[str, str]:
        """The parameters that say whom the token is for; several providers have only one of the two."""
        named = {"audience": self.audience, "resource": self.resource}  # `resource`: RFC 8707 section 2
        return {name: value for name, value in named.items() if value}

    @property
    def asked_scope(self) -> str | None:
        """The scope to ask for: by default ``openid`` for a person, and the provider's own choice for a service."""
        return self.scope or (None if self.grant is Grant.CLIENT_CREDENTIALS else "openid")


def find_issuer_url(option: str | None) -> str:
    """Return ``--issuer`` or its variable, byte for byte."""
    return option or os.environ.get(ISSUER_VARIABLE) or _missing("--issuer", "URL", ISSUER_VARIABLE)


def find_client_id(option: str | None) -> str:
    """Return ``--client-id`` or the first of its variable's comma list."""
    first = os.environ.get(CLIENTS_VARIABLE, "").split(",")[0].strip()
    return option or first or _missing("--client-id", "ID", CLIENTS_VARIABLE)


def find_client_secret(file: Path | None, grant: Grant) -> str | None:
    """Return the client's secret, None for a public client; client credentials cannot do without and ask for it."""
    secret = _read_secret(file) if file else os.environ.get(SECRET_VARIABLE)
    if not secret and grant is Grant.CLIENT_CREDENTIALS:
        return ask_secret(
            "Client secret",
            otherwise=f"the client's secret is missing: set {SECRET_VARIABLE} or give --client-secret-file",
        )
    return secret or None


def find_user(username: str | None, password_file: Path | None, grant: Grant) -> dict[str, str]:
    """Return username and password for the password grant, asking for what is not given; no other grant has them."""
    if grant is not Grant.PASSWORD:
        if username or password_file:
            raise ConfigurationError("--username and --password-file go with --grant password")
        return {}
    name = username or ask("Username", otherwise="the user is missing: give --username NAME")
    password = _read_secret(password_file) if password_file else os.environ.get(PASSWORD_VARIABLE)
    if not password:
        otherwise = f"the password is missing: set {PASSWORD_VARIABLE} or give --password-file"
        password = ask_secret("Password", otherwise=otherwise)
    return {"username": name, "password": password}


def _missing(option: str, value: str, variable: str) -> NoReturn:
    raise ConfigurationError(f"{option} is missing: give {option} {value} or set {variable}")


def _read_secret(file: Path) -> str:
    """Return a file's one line; its end of line is not part of the secret."""
    try:
        secret = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the secret in {file}: {_reason(error)}") from None
    if not secret or not secret.isprintable():
        raise ConfigurationError(f"{file} should hold the secret alone, on one line")
    return secret


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8 text"
