"""``oidcbridge demo``: an identity provider and a protected agent service on loopback, and a story told with both.

``agent.py`` is the service, to be copied; ``provider.py`` the identity provider; ``stage.py`` runs both. ``story.py``
plays the steps of ``steps_*.py``, each of which says what it expects and checks it; ``teller.py`` shows it all.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer.models import OptionInfo

from oidcbridge.cli.terminal import say
from oidcbridge.errors import ConfigurationError


def _port(whose: str) -> OptionInfo:
    option: OptionInfo = typer.Option(
        help=f"Port of {whose}. Default: a free one.", metavar="PORT", min=0, max=65535, show_default=False
    )
    return option


_Port = Annotated[int, _port("the agent service")]
_IdpPort = Annotated[int, _port("the identity provider")]
_Once = Annotated[bool, typer.Option("--once", help="Exit after the story, at a terminal too.")]


def demo(port: _Port = 0, idp_port: _IdpPort = 0, once: _Once = False) -> None:
    """See it work: a provider, a protected agent, ten steps.

    Both the identity provider and the agent service are real HTTP servers on 127.0.0.1. At a terminal they stay up
    after the story, until Ctrl-C.

    Exit codes: 0 every step answered as it should, 1 one did not, 2 a port is taken.
    """
    from oidcbridge.cli.demo.show import run_demo  # noqa: PLC0415 - servers, frameworks and rich are slow to import

    # A company's proxy cannot reach this machine's loopback, and HTTP clients ask it all the same.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    try:
        passed = run_demo(port=port, idp_port=idp_port, once=once)
    except ConfigurationError as error:
        say(f"oidcbridge demo: {error}")
        raise typer.Exit(2) from None
    raise typer.Exit(0 if passed else 1)
