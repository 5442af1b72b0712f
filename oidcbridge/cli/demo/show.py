"""The whole show: stage, story, summary, and at a terminal an open end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console

from oidcbridge._version import __version__
from oidcbridge.cli.demo import steps_access, steps_forged, steps_keys, steps_websocket
from oidcbridge.cli.demo.journal import Journal, keep_journal
from oidcbridge.cli.demo.provider import ADA, RS256_CLIENT, password_form
from oidcbridge.cli.demo.stage import Stage, open_stage
from oidcbridge.cli.demo.story import Outcome, Step, play
from oidcbridge.cli.demo.teller import Teller
from oidcbridge.cli.demo_shell import curl_call, curl_token, own_token

STEPS: Sequence[Step] = (*steps_access.STEPS, steps_forged.STEP, *steps_keys.STEPS, steps_websocket.STEP)


def run_demo(*, port: int, idp_port: int, once: bool, steps: Sequence[Step] = STEPS) -> bool:
    """Play the steps; True if every one answered as it should. Port 0 is a free one.

    At a terminal, and without ``once``, the servers then stay up until Ctrl-C. Raises ``ConfigurationError`` for a
    port that is taken.
    """
    teller = Teller(Console(highlight=False))
    with keep_journal() as journal, open_stage(port, idp_port) as stage:
        teller.open(
            f"oidcbridge {__version__}: an agent behind an identity provider, on this machine",
            [
                ("identity provider", f"{stage.provider.issuer_url}   (discovery, keys, tokens)"),
                ("agent service", f"{stage.agent_url}   (FastAPI, one protect() line)"),
            ],
        )
        outcomes = play(steps, stage, teller, journal)
        teller.summarize(outcomes)
        passed = _judge(outcomes, teller)
        if passed and not once and sys.stdout.isatty():
            _stay_up(stage, teller, journal)
    return passed


def _judge(outcomes: Sequence[Outcome], teller: Teller) -> bool:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        for fault in outcome.faults:
            teller.judged(f"{outcome.step.name}: {fault}", passed=False)
    if not failed:
        teller.judged(f"all {len(outcomes)} steps answered as they should", passed=True)
    return not failed


def _stay_up(stage: Stage, teller: Teller, journal: Journal) -> None:
    """Wait for Ctrl-C, with lines to copy on the screen; refusals are logged beneath them as they come."""
    issuer_url = stage.provider.issuer_url
    teller.copyable(
        [
            "Both stay up until Ctrl-C. In another terminal, get a token in one of these ways:",
            "",
            curl_token(issuer_url, password_form(ADA, RS256_CLIENT)),
            "",
            own_token(
                issuer_url,
                {
                    "client-id": RS256_CLIENT.client_id,
                    "grant": "password",
                    "username": ADA.username,
                    "scope": "agents:run",
                },
                {"OIDCBRIDGE_PASSWORD": ADA.password},
            ),
            "",
            "and call the agent with it, or without:",
            "",
            curl_call("POST", stage.agent_url + steps_access.RUNS),
            curl_call("GET", stage.agent_url + steps_access.ME),
            f"curl -i {stage.agent_url + steps_access.ME}",
            "",
            "What oidcbridge logs:",
        ]
    )
    journal.follow(teller.logged)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        teller.copyable(["", "Stopped."])
