"""The step of the forged tokens: each is refused, and the answer does not tell why."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from oidcbridge.cli.demo.exchange import claims_of
from oidcbridge.cli.demo.provider import ADA, ALL_SCOPES
from oidcbridge.cli.demo.stage import Stage
from oidcbridge.cli.demo.steps_access import RUNS
from oidcbridge.cli.demo.story import Scene, Step
from oidcbridge.testing import FakeKey


class _Forgery(NamedTuple):
    """A bad token: good but for what ``name`` says. ``code`` is what the client may learn."""

    name: str
    make: Callable[[Stage], str]
    code: str = "invalid_token"


def _unsigned(stage: Stage) -> str:
    return stage.provider.sign({"alg": "none", "typ": "JWT"}, claims_of(stage.token()), None)


def _signed_with_the_public_key(stage: Stage) -> str:
    ours = stage.provider.signing_key("RS256")
    return stage.token(FakeKey.from_secret(ours.public_pem().encode("ascii"), "HS256", ours.kid))


def _signed_by_a_stranger(stage: Stage) -> str:
    return stage.token(FakeKey.generate("RS256", stage.provider.signing_key("RS256").kid))


def _for_another_api(stage: Stage) -> str:
    return stage.provider.mint(ADA.username, audience="billing-api", scope=ALL_SCOPES)


def _id_token(stage: Stage) -> str:
    return stage.provider.mint(ADA.username, audience=stage.provider.audience, kind="id")


def _expired(stage: Stage) -> str:
    return stage.provider.mint(ADA.username, scope=ALL_SCOPES, expires_in=-120, issued_ago=420)


_FORGERIES = (
    _Forgery("unsigned, and its header says so (alg none)", _unsigned),
    _Forgery("signed with HS256, the public key taken for a secret", _signed_with_the_public_key),
    _Forgery("signed by a stranger's key under the provider's key id", _signed_by_a_stranger),
    _Forgery("genuine, and meant for another API", _for_another_api),
    _Forgery("genuine, and an ID token: it says who logged in, and opens nothing", _id_token),
    _Forgery("genuine, and expired two minutes ago", _expired, "token_expired"),
)


def _forged_tokens(scene: Scene) -> None:
    bodies: dict[str, set[str]] = {}
    for forgery in _FORGERIES:
        scene.say_apart(forgery.name)
        answer = scene.call("POST", RUNS, forgery.make(scene.stage), body=False)
        scene.show_log()
        refused = answer.status == 401 and answer.json().get("code") == forgery.code
        scene.expect(f"401 {forgery.code}", refused, answer)
        bodies.setdefault(forgery.code, set()).add(answer.text)
    scene.say_apart("What the forger reads")
    for body in sorted(set().union(*bodies.values())):
        scene.teller.received(body)
    same = all(len(texts) == 1 for texts in bodies.values())
    scene.expect("one body for every forgery, but for the expired token", same, bodies)
    scene.say_apart("The real one")
    real = scene.call("POST", RUNS, scene.stage.token())
    scene.expect("200", real.status == 200, real)


STEP = Step(
    "Forged tokens",
    "401 each, and no hint why",
    "The answer does not help the forger; which fault it was stands in the log alone.",
    _forged_tokens,
)
