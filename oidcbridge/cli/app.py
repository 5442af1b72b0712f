"""The frame of the command line: every command is registered here and imports its heavy parts when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from oidcbridge._version import __version__
from oidcbridge.cli.check import check
from oidcbridge.cli.demo import demo
from oidcbridge.cli.inspect import inspect
from oidcbridge.cli.serve_idp import serve_idp
from oidcbridge.cli.token import token

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # its table cuts variable names off on 80 columns
    add_completion=False,
    # A traceback with local variables would show secrets; a plain one goes to whoever reports the bug.
    pretty_exceptions_enable=False,
    help="Put agent endpoints behind OIDC single sign-on, and try them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"oidcbridge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


app.command()(demo)
app.command()(serve_idp)
app.command()(token)
app.command()(check)
app.command()(inspect)
