"""``oidcbridge serve-idp``: the test kit's identity provider alone, to develop an app against. Loopback only."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oidcbridge.cli.serve_idp_plan import Algorithm, Plan, Secret, build_issuer, introduction
from oidcbridge.cli.terminal import say
from oidcbridge.cli.token_request import PASSWORD_VARIABLE, SECRET_VARIABLE, Grant, find_client_secret
from oidcbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from oidcbridge.testing import FakeIssuer

_Port = Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.", metavar="PORT", min=0, max=65535)]
_Host = Annotated[str, typer.Option(help="Loopback address to listen on.", metavar="ADDRESS")]
_ClientId = Annotated[str, typer.Option(help="The client, for both grants.", metavar="ID")]
_SecretFile = Annotated[
    Path | None,
    typer.Option(help=f"File with the client's secret. Default: {SECRET_VARIABLE}, or made up.", metavar="FILE"),
]
_User = Annotated[str, typer.Option(help=f"The user. Password: {PASSWORD_VARIABLE}, or made up.", metavar="NAME")]
_Audience = Annotated[str, typer.Option(help="Whom the tokens are for.", metavar="NAME")]
_Scope = Annotated[str, typer.Option(help="What client and user may have, separated by spaces.", metavar="SCOPES")]
_Algorithm = Annotated[Algorithm, typer.Option(help="What tokens are signed with.")]
_RotateEvery = Annotated[
    float | None, typer.Option(help="Sign with a new key every so often.", metavar="SECONDS", min=1, show_default=False)
]


def serve_idp(  # noqa: PLR0917 - typer reads the options from the signature
    port: _Port = 8090,
    host: _Host = "127.0.0.1",
    client_id: _ClientId = "dev",
    client_secret_file: _SecretFile = None,
    user: _User = "ada",
    audience: _Audience = "agent-api",
    scope: _Scope = "agents:run agents:read",
    algorithm: _Algorithm = Algorithm.RS256,
    rotate_every: _RotateEvery = None,
) -> None:
    """Run a development identity provider on loopback.

    It has discovery, keys and a token endpoint. It signs tokens for one client (client credentials) and one user
    (password), until Ctrl-C. There is no login page.

    Exit codes: 0 stopped, 2 wrong usage, or a port that is taken.
    """
    try:
        secret = find_client_secret(client_secret_file, Grant.CODE)  # that grant does without one, and asks nobody
        password = os.environ.get(PASSWORD_VARIABLE)
        _serve(
            Plan(
                host=host,
                port=port,
                client_id=client_id,
                secret=Secret(secret or "dev-secret", SECRET_VARIABLE, secret is not None, client_secret_file),
                user=user,
                password=Secret(password or "dev-password", PASSWORD_VARIABLE, bool(password)),
                audience=audience,
                scopes=tuple(scope.split()),
                algorithm=algorithm,
                rotate_every=rotate_every,
            )
        )
    except ConfigurationError as error:
        say(f"oidcbridge serve-idp: {error}")
        raise typer.Exit(2) from None


def _serve(plan: Plan) -> None:
    issuer = build_issuer(plan)
    server = issuer.serve(plan.host, plan.port)
    try:
        server.start()
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {plan.host}:{plan.port} ({error.strerror}): stop what uses that port,"
            " or give another --port"
        ) from None
    try:
        for line in introduction(plan, issuer.issuer_url):
            print(line, flush=True)
        _run_until_interrupted(issuer, plan.rotate_every)
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        server.stop()


def _run_until_interrupted(issuer: FakeIssuer, rotate_every: float | None) -> None:
    while True:
        time.sleep(rotate_every or 3600)
        if rotate_every:
            issuer.retire()
            print(f"Signing with a new key from now on: {issuer.rotate().kid}", flush=True)
