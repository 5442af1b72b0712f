"""What ``oidcbridge serve-idp`` serves, and the lines that say how to use it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from oidcbridge.cli.demo_shell import curl_token, own_token
from oidcbridge.cli.token_request import Grant

if TYPE_CHECKING:
    from oidcbridge.testing import FakeIssuer

_TOKEN_LIFETIME = 300


class Algorithm(StrEnum):
    """What tokens are signed with."""

    RS256 = "RS256"
    ES256 = "ES256"


@dataclass(frozen=True)
class Secret:
    """A secret that was given, which is never shown, or one made up for development, which is."""

    value: str = field(repr=False)
    variable: str
    given: bool
    file: Path | None = None

    def __str__(self) -> str:
        return (
            f"as given ({self.file or self.variable})"
            if self.given
            else f"{self.value}   ({self.variable} sets another)"
        )

    def as_field(self, name: str) -> str:
        """The option that makes curl send it."""
        if not self.given:
            return f"-d {name}={self.value}"
        source = f"$(cat {shlex.quote(str(self.file))})" if self.file else f"${self.variable}"
        return f'--data-urlencode {name}="{source}"'

    def as_variable(self) -> dict[str, str]:
        """What to set for ``oidcbridge token``."""
        return {} if self.given else {self.variable: self.value}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Whom to serve, and how."""

    host: str
    port: int
    client_id: str
    secret: Secret
    user: str
    password: Secret
    audience: str
    scopes: tuple[str, ...]
    algorithm: Algorithm
    rotate_every: float | None

    @property
    def token_lifetime(self) -> int:
        """Seconds. A key is withdrawn one rotation after the one that replaced it: no token outlives its key."""
        return int(min(_TOKEN_LIFETIME, self.rotate_every or _TOKEN_LIFETIME))


def build_issuer(plan: Plan) -> FakeIssuer:
    """The provider, which takes its address from its server."""
    from oidcbridge.testing import FakeClient, FakeIssuer, FakeUser  # noqa: PLC0415 - the JOSE library is slow to import

    return FakeIssuer(
        url=None,
        audience=plan.audience,
        algorithms=sorted(Algorithm, key=lambda algorithm: algorithm is not plan.algorithm),
        clients=[FakeClient(plan.client_id, plan.secret.value, scopes=plan.scopes)],
        # A login asks for `openid` unless it is told what to ask for.
        development_users=[FakeUser(plan.user, plan.password.value, scopes=("openid", *plan.scopes))],
        token_lifetime=plan.token_lifetime,
    )


def introduction(plan: Plan, issuer_url: str) -> Iterator[str]:
    """Say what is served, and the lines to copy."""
    yield "A development identity provider, for this machine alone: made-up people, and no login page."
    yield ""
    yield f"  issuer      {issuer_url}"
    yield f"  discovery   {issuer_url}/.well-known/openid-configuration"
    yield f"  client      {plan.client_id}   secret: {plan.secret}"
    yield f"  user        {plan.user}   password: {plan.password}"
    yield f"  scopes      {' '.join(plan.scopes)}"
    yield f"  signs with  {plan.algorithm}"
    yield ""
    yield "Protect an app with it:"
    yield ""
    yield f'  app = protect(FastAPI(), issuer_url="{issuer_url}", audience="{plan.audience}")'
    yield ""
    yield "Get a token for the client itself, in one of these ways:"
    yield ""
    yield from _token_lines(plan, issuer_url, Grant.CLIENT_CREDENTIALS)
    yield f"Get a token for {plan.user}:"
    yield ""
    yield from _token_lines(plan, issuer_url, Grant.PASSWORD)
    yield "Ctrl-C stops it."


def _token_lines(plan: Plan, issuer_url: str, grant: Grant) -> Iterator[str]:
    form = {"grant_type": grant.value.replace("-", "_"), "client_id": plan.client_id}
    secrets = [plan.secret.as_field("client_secret")]
    options = {"client-id": plan.client_id, "grant": grant.value}
    variables = plan.secret.as_variable()
    if plan.secret.file:
        options["client-secret-file"] = str(plan.secret.file)
    if grant is Grant.PASSWORD:
        form["username"] = options["username"] = plan.user
        secrets.append(plan.password.as_field("password"))
        options["scope"] = " ".join(plan.scopes)
        variables |= plan.password.as_variable()
    yield curl_token(issuer_url, form, *secrets)
    yield ""
    yield own_token(issuer_url, options, variables)
    yield ""
