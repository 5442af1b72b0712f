"""Every attack, by every way in: refused with an error of ours, at once, and without a word of the token anywhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from tests.attacks.doors import WAYS, Door, Outcome, open_door
from tests.attacks.families import FAMILIES, Family
from tests.attacks.forge import Attack, World, telling

MIN_SHAPES = 400
MAX_CPU_SECONDS = {None: 0.05, "header": 0.5, "cookie": 0.5}  # servers cap headers long before the 10 MB tried here
MAX_FETCHES = 2 * 6  # the bucket of unknown keys, for each of the sites

every_family = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture(scope="module", params=WAYS)
def door(request: pytest.FixtureRequest, world: World) -> Iterator[Door]:
    with open_door(WAYS[request.param], world) as door:
        yield door


@pytest.fixture(scope="module")
def good(world: World, families: dict[str, Family]) -> dict[str, str]:
    """A good token for every site."""
    twins = {twin.site: twin.token for twin in families["kinds"].twins}
    assert twins.keys() == world.sites.keys()
    return twins


def test_there_are_hundreds_of_shapes_and_no_two_are_the_same(families: dict[str, Family]) -> None:
    """Signatures here are deterministic and one ``jti`` is in all of them: what is the same would be equal."""
    attacks = {(name, attack.name): attack for name, family in families.items() for attack in family.attacks}
    assert len(attacks) == sum(len(family.attacks) for family in families.values())
    assert len({(attack.site, attack.token) for attack in attacks.values()}) == len(attacks) >= MIN_SHAPES
    assert all(attack.why for attack in attacks.values())
    assert not {attack.token for attack in attacks.values()} & {
        twin.token for family in families.values() for twin in family.twins
    }
    assert all(len(family.twins) >= 2 for family in families.values())


@every_family
def test_the_good_twins_of_every_family_come_in(name: str, door: Door, families: dict[str, Family]) -> None:
    for twin in families[name].twins:
        found = door.ask(twin.site, twin.token)
        assert found.user is not None, (twin.name, found.said)
        named = door.way.several and twin.site != "secret"
        assert found.user == (f"{twin.site}:ada" if named else "ada"), twin.name


@every_family
def test_every_attack_is_refused_and_nothing_is_told_about_it(
    name: str,
    door: Door,
    world: World,
    families: dict[str, Family],
    good: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    before = world.fetches()
    attacks = [attack for attack in families[name].attacks if is_attack_on(door, attack)]
    assert len(attacks) >= len(families[name].attacks) * 0.6
    assert all(door.ask(site, token).user for site, token in good.items())
    complaints = [complaint for attack in attacks for complaint in try_attack(door, world, attack, good[attack.site])]
    assert all(door.ask(site, token).user for site, token in good.items())
    complaints += leaks(attacks, [*good.values()], caplog)
    assert complaints == []
    assert world.fetches() - before <= (MAX_FETCHES if door.way.keys == "remote" else 0)


def is_attack_on(door: Door, attack: Attack) -> bool:
    return door.way.carrier not in attack.harmless_as and not (attack.by_key_set and door.way.keys == "pem")


def try_attack(door: Door, world: World, attack: Attack, good: str) -> Iterator[str]:
    """What is wrong with how ``attack`` was met. ``good`` has come in before; where it is remembered, it does again."""
    fetches = world.fetches()
    found, seconds = timed(door, attack)
    if seconds > MAX_CPU_SECONDS[door.way.carrier]:  # once more: the garbage collector may have come by
        seconds = timed(door, attack)[1]
    if found.user is not None:
        yield f"{attack.name!a} came in as {found.user!a}: {attack.why}"
    if seconds > MAX_CPU_SECONDS[door.way.carrier]:
        yield f"{attack.name!a} took {seconds:.3f} s"
    if world.fetches() != fetches and not found.may_ask:
        yield f"{attack.name!a} made us ask the provider"
    if any(piece in found.said for piece in telling(attack.token)):
        yield f"{attack.name!a} was quoted: {found.said[:200]!a}"
    if door.way.token_cache and door.ask(attack.site, good).user is None:
        yield f"a good token was refused beside {attack.name!a}"


def timed(door: Door, attack: Attack) -> tuple[Outcome, float]:
    """How it was met, and the seconds of this thread's work that took."""
    started = time.thread_time()
    try:
        return door.ask(attack.site, attack.token), time.thread_time() - started
    except Exception as error:
        raise AssertionError(f"{attack.name!a}: neither let in nor refused") from error


def leaks(attacks: list[Attack], good: list[str], caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    lines = [f"{record.getMessage()} {record.args!r} {record.exc_info!r}" for record in caplog.records]
    told = "\n".join(lines)
    for token in good:
        if any(piece in told for piece in telling(token)):
            yield "a good token is in the log"
    for attack in attacks:
        if any(piece in told for piece in telling(attack.token)):
            yield f"{attack.name!a} is in the log"
    for record in caplog.records:
        line = record.getMessage()
        if not (line.isascii() and line.isprintable() and len(line) < 1000):
            yield f"a line of the log is no short line of ASCII: {line[:200]!a}"
