"""``oidcbridge inspect``: what a token says, without a network. Unverified, and it says so."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from oidcbridge.cli.check_input import read_token
from oidcbridge.cli.terminal import say
from oidcbridge.errors import ConfigurationError

_UNREADABLE, _USAGE = 1, 2

_Token = Annotated[
    str | None,
    typer.Argument(
        help="The file that holds the token, or - for stdin. Default: stdin, or a prompt.",
        metavar="FILE|-",
        show_default=False,
    ),
]
_Provider = Annotated[
    str, typer.Option(help="Whose token it is. Default: as it looks.", metavar="NAME", show_default=False)
]
_Audience = Annotated[
    list[str] | None,
    typer.Option(help="The name of this API, whose roles stand alone. May be given again.", metavar="NAME"),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON (its members: oidcbridge/diagnosis/report.py).")]


def inspect(
    token: _Token = None, provider: _Provider = "auto", audience: _Audience = None, as_json: _Json = False
) -> None:
    """Decode a token, and say what kind it is and what it would map to.

    Nothing is verified and nobody is asked; the signature is never shown.

    Exit codes: 0 decoded, 1 not a token that anybody but its provider could read, 2 wrong usage.
    """
    from oidcbridge.cli.check_view import inspect_lines  # noqa: PLC0415 - brings the HTTP client
    from oidcbridge.diagnosis.inspection import inspect_token  # noqa: PLC0415 - see above

    try:
        text = read_token(token)
        report = inspect_token(text, time.time(), provider=provider, audience=tuple(audience or ()))
    except ConfigurationError as error:
        say(f"oidcbridge inspect: {error}")
        raise typer.Exit(_USAGE) from None
    print(json.dumps(report.as_dict(), indent=2) if as_json else "\n".join(inspect_lines(report)))
    raise typer.Exit(0 if report.shape.claims else _UNREADABLE)
