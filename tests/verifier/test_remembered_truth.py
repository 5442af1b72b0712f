"""A remembered token is answered exactly as a fresh look would answer it, whatever time and provider do meanwhile.

Two verifiers share one set of keys; one of them remembers tokens and the other never does. After each turn of a story
both are asked about every token: at the edges of ``nbf`` and ``exp``, with keys that are fresh, stale, degraded,
expired or dead, withdrawn, denied, or given to other material.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oidcbridge import Principal, Verifier
from oidcbridge.errors import OIDCBridgeError
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.faults.kit import at_rest
from tests.remote.asking import settle

START = 1_800_000_000
HOUR = 3600.0
Outcome = Principal | type[OIDCBridgeError]


class World:
    """A provider with two keys, a verifier that remembers and its twin that does not, and tokens of every kind."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.issuer = FakeIssuer("https://truth.idp.test", clock=self.clock, algorithms=("ES256", "Ed25519"))
        self.keys = [key for key in self.issuer.keys if isinstance(key, FakeKey)]
        self.tokens: dict[str, str] = {}
        self.seen: Counter[str] = Counter()
        for key in self.keys:
            for name, nbf, exp in (("short", 0, 100), ("day", 0, 24 * HOUR), ("later", 90, 24 * HOUR)):
                claims = {"nbf": START + nbf, "exp": START + exp, "jti": f"{name} {key.kid}"}
                self.tokens[f"{name} {key.alg}"] = self.issuer.mint(f"{name}-{key.alg}", key=key, claims=claims)
        self.tokens["forged"] = self.issuer.mint("eve", key=FakeKey.generate("ES256", kid=self.keys[0].kid))

    def play(self, story: list[Turn]) -> None:
        """All turns, with a look at every token before, between and after."""
        with self.issuer.impersonate(), self.issuer.verifier(token_cache=100) as verifier:
            twin = forgetful(verifier)
            settle(verifier)
            self.ask(verifier, twin)
            for turn in story:
                turn(self, verifier)
                at_rest()
                self.ask(verifier, twin)

    def ask(self, verifier: Verifier, twin: Verifier) -> None:
        """Of every token: what is remembered of it is what a fresh look at the same keys says."""
        for name, token in self.tokens.items():
            before = moment(verifier)
            said = outcome(verifier, token)
            was_hit = moment(verifier).hits > before.hits
            fresh_look = outcome(twin, token)
            if isinstance(said, Principal):
                assert said.user_id == name.replace(" ", "-")
            if was_hit:
                keys_have_changed = moment(verifier).generation != before.generation  # in between: by a refresh
                assert said == fresh_look or keys_have_changed, (name, before)
            self.seen[f"{before.state}: {'remembered' if was_hit else 'looked at'}"] += 1
            self.seen["refused"] += not isinstance(fresh_look, Principal)
            at_rest()


class Moment(NamedTuple):
    """How the keys stand, and how often a token was remembered so far."""

    state: str
    generation: int
    hits: int


def moment(verifier: Verifier) -> Moment:
    (issuer,) = verifier.metrics().issuers
    return Moment(issuer.state, issuer.generation, verifier.metrics().token_cache_hits)


Turn = Callable[[World, Verifier], None]


def forgetful(verifier: Verifier) -> Verifier:
    """A twin that shares the keys and remembers nothing."""
    twin = copy.copy(verifier)
    twin._tokens = None
    return twin


def outcome(verifier: Verifier, token: str) -> Outcome:
    try:
        return verifier.verify_now(token)
    except OIDCBridgeError as error:
        return type(error)


def passes(seconds: float) -> Turn:
    return lambda world, _: world.clock.advance(seconds)


def the_clock_is_set(seconds: float) -> Turn:
    """The wall clock alone, to so many seconds after the start."""
    return lambda world, _: world.clock.set_time(START + seconds)


def the_machine_sleeps(seconds: float) -> Turn:
    return lambda world, _: world.clock.suspend(seconds)


def the_provider_goes(world: World, verifier: Verifier) -> None:
    world.issuer.down = True


def the_provider_comes_back(world: World, verifier: Verifier) -> None:
    world.issuer.down = False


def a_key_is_withdrawn(world: World, verifier: Verifier) -> None:
    world.issuer.keys[:] = world.keys[1:]


def all_keys_are_back(world: World, verifier: Verifier) -> None:
    world.issuer.keys[:] = world.keys


def a_name_is_given_to_other_material(world: World, verifier: Verifier) -> None:
    world.issuer.keys[:] = [FakeKey.generate("ES256", kid=world.keys[0].kid), *world.keys[1:]]


def somebody_asks_for_the_keys(world: World, verifier: Verifier) -> None:
    outcome(verifier, world.issuer.mint("bob", key=FakeKey.generate("ES256")))


def a_key_is_denied(world: World, verifier: Verifier) -> None:
    verifier.deny_key(world.keys[1].kid)


TURNS: tuple[Turn, ...] = (
    *map(passes, (1, 29, 59.999, 60, 61, 100.5, 160, 301, 601, HOUR, 4 * HOUR + 1)),
    *map(the_clock_is_set, (-61, -60, 0, 29.999, 30, 90, 159.999, 160, 24 * HOUR + 60)),
    the_machine_sleeps(302),
    the_provider_goes,
    the_provider_comes_back,
    a_key_is_withdrawn,
    all_keys_are_back,
    a_name_is_given_to_other_material,
    somebody_asks_for_the_keys,
    a_key_is_denied,
)


@settings(max_examples=60, deadline=None)
@given(story=st.lists(st.sampled_from(TURNS), min_size=1, max_size=6))
def test_in_every_story_what_is_remembered_is_what_a_fresh_look_says(story: list[Turn]) -> None:
    World().play(story)


STORIES: dict[str, list[Turn]] = {
    "fresh: remembered": [the_clock_is_set(30), the_clock_is_set(29.999), the_clock_is_set(159.999), passes(0.001)],
    "stale: remembered": [passes(301)],
    "degraded: remembered": [the_provider_goes, passes(301), passes(60), passes(HOUR)],
    "expired: looked at": [the_provider_goes, passes(4 * HOUR + 1), passes(HOUR), the_provider_comes_back],
    "dead: looked at": [the_provider_goes, passes(301), passes(4 * HOUR), passes(HOUR), the_provider_comes_back],
    "refused": [a_key_is_withdrawn, passes(301), passes(1), all_keys_are_back, passes(301), a_key_is_denied, passes(1)],
}


@pytest.mark.parametrize("must_see", STORIES)
def test_stories_that_lead_through_every_state_are_told_to_the_end(must_see: str) -> None:
    world = World()
    world.play(STORIES[must_see])
    assert world.seen[must_see], world.seen
