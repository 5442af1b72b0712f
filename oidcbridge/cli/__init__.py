"""The command line. Its commands need the ``cli`` extra; importing this module does not."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the console script's entry point. Always ends in ``SystemExit``.

    Exit codes: 0 done; 1 refused by the provider or the person; 2 wrong usage or settings, or the extra is missing;
    3 the provider cannot be asked; 130 interrupted.
    """
    try:
        import typer  # noqa: F401, PLC0415 - only asks whether the extra is there
    except ModuleNotFoundError:
        print("oidcbridge's command line needs the 'cli' extra: pip install \"oidcbridge[cli]\"", file=sys.stderr)
        raise SystemExit(2) from None

    from oidcbridge.cli.app import app  # noqa: PLC0415 - needs the extra

    app(prog_name="oidcbridge")
