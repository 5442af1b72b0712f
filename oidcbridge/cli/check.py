"""``oidcbridge check``: ask a provider as the library would, judge a token in every respect, and say what to change."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer
from typer.models import OptionInfo

from oidcbridge.cli.check_input import CheckOptions, read_token
from oidcbridge.cli.terminal import say
from oidcbridge.errors import ConfigurationError

_FAILED, _USAGE, _UNREACHABLE = 1, 2, 3


def _option(text: str, metavar: str) -> OptionInfo:
    option: OptionInfo = typer.Option(help=text, metavar=metavar, show_default=False)
    return option


_Issuer = Annotated[
    str | None,
    typer.Argument(
        help="The issuer, to the letter. Without it, the settings are read from OIDCBRIDGE_*, as in an app.",
        metavar="ISSUER_URL",
        show_default=False,
    ),
]
_Token = Annotated[str | None, _option("Judge a token: the file that holds it, or - for stdin or a prompt.", "FILE|-")]
_Audience = Annotated[list[str] | None, _option("The name of this API in 'aud'. May be given again.", "NAME")]
_ClientId = Annotated[list[str] | None, _option("A client whose tokens are accepted. May be given again.", "ID")]
_Provider = Annotated[str | None, _option("Whose tokens they are. Default: by the issuer URL.", "NAME")]
_DiscoveryUrl = Annotated[str | None, _option("Where the discovery document is, if not below the issuer.", "URL")]
_JwksUri = Annotated[str | None, _option("Where the keys are, without discovery.", "URL")]
_CaFile = Annotated[
    str | None, _option("PEM file of the certificate authorities to trust instead of the system's.", "FILE")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON (its members: oidcbridge/diagnosis/report.py).")]


def check(  # noqa: PLR0917 - typer reads the options from the signature
    issuer_url: _Issuer = None,
    audience: _Audience = None,
    client_id: _ClientId = None,
    token: _Token = None,
    provider: _Provider = None,
    ca_file: _CaFile = None,
    discovery_url: _DiscoveryUrl = None,
    jwks_uri: _JwksUri = None,
    as_json: _Json = False,
) -> None:
    """Find out what is wrong with a provider, the settings or a token.

    Fetches discovery and keys as an app would, with the same settings, and says what to change.

    Exit codes: 0 good, 1 a check failed or could not be made, 2 wrong usage or settings,
    3 the provider cannot be asked.
    """
    options = CheckOptions(
        issuer_url=issuer_url,
        audience=tuple(audience or ()),
        client_ids=tuple(client_id or ()),
        provider=provider,
        discovery_url=discovery_url,
        jwks_uri=jwks_uri,
        ca_file=ca_file,
    )
    raise typer.Exit(_check(options, token, as_json=as_json))


def _check(options: CheckOptions, token: str | None, *, as_json: bool) -> int:
    from oidcbridge.cli.check_run import run_check  # noqa: PLC0415 - brings the HTTP client
    from oidcbridge.cli.check_view import check_lines  # noqa: PLC0415 - see above
    from oidcbridge.diagnosis.report import Outcome  # noqa: PLC0415 - see above

    try:
        settings = options.settings(os.environ)
        text = None if token is None else read_token(token)
    except ConfigurationError as error:
        say(f"oidcbridge check: {error}")
        return _USAGE
    report = run_check(settings, text)
    print(json.dumps(report.as_dict(), indent=2) if as_json else "\n".join(check_lines(report)))
    return {Outcome.GOOD: 0, Outcome.FAILED: _FAILED, Outcome.UNREACHABLE: _UNREACHABLE}[report.outcome]
