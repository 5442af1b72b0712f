"""Steps on the provider's keys: a new one, a withdrawn one, and none to be had."""

from __future__ import annotations

import time

from oidcbridge.cli.demo.exchange import Answer, send
from oidcbridge.cli.demo.steps_access import RUNS
from oidcbridge.cli.demo.story import Scene, Step
from oidcbridge.cli.demo.traffic import CLIENTS, keep_calling
from oidcbridge.testing import auth_header

_MAX_AGE = 2  # seconds, as the provider says in the step of the withdrawn key
_GRACE = 2.0  # more seconds for a machine that is busy with something else


def _rotation(scene: Scene) -> None:
    provider = scene.provider
    old, fetched, begun = provider.signing_key(), dict(provider.fetches), time.monotonic()
    with scene.busy(f"{CLIENTS} clients are calling"), keep_calling(scene.stage, RUNS) as traffic:
        time.sleep(0.6)
        new = provider.rotate()
        time.sleep(0.9)
    seconds = time.monotonic() - begun
    fetches = provider.fetches["jwks"] - fetched["jwks"]
    scene.say(f"{CLIENTS} clients sent {traffic.sent} requests in {seconds:.1f} s, each with a fresh token.")
    scene.say(f"Signed by the old key, {old.kid}: {traffic.by_key[old.kid]} answered 200.")
    scene.say(f"Signed by the new key, {new.kid}: {traffic.by_key[new.kid]} answered 200.")
    scene.say(f"Refused: {traffic.refused.total()}; fetches of the key set that the provider saw: {fetches}.")
    both = traffic.by_key[old.kid] > 0 and traffic.by_key[new.kid] > 0
    scene.expect("tokens of both keys passed, and none was refused", both and not traffic.refused, traffic.refused)
    scene.expect("one fetch for all of them", fetches == 1, fetches)


def _removed_key(scene: Scene) -> None:
    provider = scene.provider
    provider.cache_control = f"max-age={_MAX_AGE}"
    old_token = scene.stage.token()
    provider.rotate()
    scene.say(f"The provider signs with a new key, and says that its key set is good for {_MAX_AGE} s")
    _expect_passed(scene, scene.call("POST", RUNS, scene.stage.token(), body=False), "the new key")
    _expect_passed(scene, scene.call("POST", RUNS, old_token, body=False), "the old key")

    scene.show_log()

    provider.cache_control = None
    provider.retire()
    scene.say_apart(
        "The provider withdraws the old key. Its tokens have minutes to live, and the agent still knows it."
    )
    withdrawn = time.monotonic()
    with scene.busy("waiting for the agent to see it"):
        answer = _call_until_refused(scene, old_token, withdrawn + _MAX_AGE + _GRACE)
    seconds = time.monotonic() - withdrawn
    scene.say(f"{seconds:.1f} s later, the same token again:")
    scene.teller.answered(answer)
    scene.show_log()
    scene.expect(f"401, and it took no longer than {_MAX_AGE + _GRACE:.0f} s", answer.status == 401, answer)
    _expect_passed(scene, scene.call("POST", RUNS, scene.stage.token(), body=False), "the new key still")


def _provider_down(scene: Scene) -> None:
    known = scene.stage.token()
    scene.stage.provider_server.stop()
    try:
        scene.say(f"The provider is switched off: {_knock(scene)}.")
        _expect_passed(scene, scene.call("POST", RUNS, known, body=False), "a known key, with nobody to ask,")
        scene.provider.rotate()
        unknown = scene.stage.token()
        scene.say("A token of a key that the agent has never seen:")
        answer = scene.call("POST", RUNS, unknown)
        retry_after = answer.headers.get("retry-after", "")
        told = answer.status == 503 and retry_after.isdecimal()
        scene.expect("503 with Retry-After, and no challenge", told and answer.challenge is None, answer)
    finally:
        scene.stage.provider_server.start()
    scene.say_apart("The provider is back, and the client tries again when Retry-After says so.")
    _expect_passed(scene, _try_again(scene, unknown, answer), "the new key")


def _expect_passed(scene: Scene, answer: Answer, what: str) -> None:
    scene.expect(f"200: {what} works", answer.status == 200, answer)


def _call_until_refused(scene: Scene, token: str, give_up: float) -> Answer:
    answer = send("POST", scene.stage.agent_url + RUNS, headers=auth_header(token))
    while answer.status == 200 and time.monotonic() < give_up:
        time.sleep(0.1)
        answer = send("POST", scene.stage.agent_url + RUNS, headers=auth_header(token))
    return answer


def _knock(scene: Scene) -> str:
    try:
        return f"and answered {send('GET', f'{scene.provider.issuer_url}/jwks').status}"
    except ConnectionError as error:
        return f"{scene.provider.issuer_url} answers {error.strerror!r}"


def _try_again(scene: Scene, token: str, answer: Answer) -> Answer:
    """As a well-behaved client would: wait as long as one is told to, a few times."""
    for _ in range(3):
        seconds = min(int(answer.headers.get("retry-after", "1")), 5)
        with scene.busy(f"waiting {seconds} s"):
            time.sleep(seconds)
        answer = scene.call("POST", RUNS, token, body=False)
        if answer.status != 503:
            break
    return answer


STEPS = (
    Step(
        "Rotation under traffic",
        "none refused, one fetch",
        "The provider signs with a new key all of a sudden, while clients keep calling with fresh tokens.",
        _rotation,
    ),
    Step(
        "Removed key",
        "its tokens refused in time",
        "A key that the provider withdraws takes its tokens with it, once the key set at hand has grown too old.",
        _removed_key,
    ),
    Step(
        "Provider down, and back",
        "200 or 503, never 401",
        "Known keys go on. What nobody can decide without the provider is a 503 with Retry-After.",
        _provider_down,
    ),
)
