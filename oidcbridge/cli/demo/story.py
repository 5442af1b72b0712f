"""The frame of the story: a step plays on the stage, says what it expects, and is judged by that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException

from oidcbridge.cli.demo.exchange import Answer, describe, send
from oidcbridge.cli.demo.journal import Journal
from oidcbridge.cli.demo.stage import Stage
from oidcbridge.cli.demo.teller import Teller
from oidcbridge.testing import FakeIssuer, auth_header


@dataclass(frozen=True)
class Step:
    """One step: ``name`` and ``expected`` stand in the summary, ``about`` is for who has not seen it before."""

    name: str
    expected: str
    about: str
    play: Callable[[Scene], None]


@dataclass(frozen=True)
class Outcome:
    """How a step went. ``faults`` says what was not as expected; ``seconds`` is how long it took."""

    step: Step
    faults: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether everything answered as it should."""
        return not self.faults


class Scene:
    """What a step works with: it sends, tells what it sends and what comes back, and expects."""

    def __init__(self, stage: Stage, teller: Teller, journal: Journal) -> None:
        self.stage = stage
        self.teller = teller
        self.expectations = 0
        self.faults: list[str] = []
        self._journal = journal
        journal.take()

    @property
    def provider(self) -> FakeIssuer:
        """The identity provider."""
        return self.stage.provider

    def call(self, method: str, path: str, token: str | None = None, *, body: bool = True) -> Answer:
        """Call the agent service. ``body`` False: the answer's is not shown."""
        self.sent(f"{method} {path}", token)
        answer = send(method, self.stage.agent_url + path, headers=auth_header(token) if token else None)
        self.teller.answered(answer, body=body)
        return answer

    def sent(self, line: str, token: str | None = None) -> None:
        """Tell what was sent to the agent service, and what the token says."""
        self.teller.sent(line + (f"   Authorization: Bearer {token}" if token else ""))
        if token:
            self.teller.note(f"token: {describe(token)}")

    def ask_provider(self, form: Mapping[str, str]) -> Answer:
        """Post a form to the provider's token endpoint."""
        url = f"{self.provider.issuer_url}/token"
        shown = "&".join(f"{name}={'***' if name == 'password' else value}" for name, value in form.items())
        self.teller.sent(f"POST {url}   {shown}")
        answer = send("POST", url, form=form)
        self.teller.answered(answer)
        return answer

    def say(self, text: str) -> None:
        """Tell what happens."""
        self.teller.say(text)

    def say_apart(self, text: str) -> None:
        """Begin a part of the step."""
        self.teller.say_apart(text)

    def show_log(self) -> None:
        """Show what oidcbridge logged since the last look."""
        for line in self._journal.take():
            self.teller.logged(line)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Show at a terminal that something takes a moment."""
        return self.teller.busy(text)

    def expect(self, wanted: str, passed: bool, seen: object = "") -> None:
        """Judge: ``wanted`` says in words what should be so, ``seen`` what was there instead."""
        self.expectations += 1
        fault = "" if passed else f"{wanted}; seen: {seen}"
        if fault:
            self.faults.append(fault)
        self.teller.judged(fault or wanted, passed=passed)


def play(steps: Sequence[Step], stage: Stage, teller: Teller, journal: Journal) -> list[Outcome]:
    """Play the steps in order and show how each went; a step that fails does not stop the others."""
    outcomes = []
    for number, step in enumerate(steps, 1):
        teller.begin(number, len(steps), step.name, step.about)
        outcomes.append(_play(step, Scene(stage, teller, journal)))
    return outcomes


def _play(step: Step, scene: Scene) -> Outcome:
    begun = time.monotonic()
    try:
        step.play(scene)
        if not scene.expectations:
            scene.expect("the step expects something", passed=False, seen="nothing")
    except (OSError, HTTPException) as error:
        scene.expect("a server answers", passed=False, seen=f"{type(error).__name__}: {error}")
    return Outcome(step, tuple(scene.faults), time.monotonic() - begun)
