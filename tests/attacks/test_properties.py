"""What holds for every token that hypothesis can think of, rather than for those that somebody has thought of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from oidcbridge import Principal, Verifier
from oidcbridge.core.strict_json import StrictJSONError, parse_json_object, thaw
from oidcbridge.errors import OIDCBridgeError, TokenError
from tests.attacks.doors import WAYS, Door, open_door
from tests.attacks.forge import LEEWAY, World, as_json
from tests.attacks.strategies import JsonText, claim_changes, flawed_json_texts, json_texts, moments
from tests.fuzz.oracle import is_read_only

# Few examples: a new set of them in every run. Raise max_examples to search in earnest.
calm = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SITES = ("main", "strict", "clients", "keycloak", "cognito")
YEAR_10000 = 253402300800
MEMBERS = st.sampled_from(["exp", "nbf", "iat"])


@pytest.fixture(scope="module")
def doors(world: World) -> Iterator[dict[str, Door]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_door(way, world)) for name, way in WAYS.items()}


@pytest.fixture(scope="module")
def verifier(world: World) -> Iterator[Verifier]:
    with Verifier(**world.main.arguments, clock=world.clock) as verifier:
        yield verifier


def ask(verifier: Verifier, token: str) -> Principal | OIDCBridgeError:
    try:
        return verifier.verify_now(token)
    except TokenError as error:
        return error


@calm
@given(st.sampled_from(SITES), claim_changes)
def test_every_way_in_says_the_same_of_whatever_claims_an_issuer_signs(
    world: World, doors: dict[str, Door], site: str, changes: dict[str, object]
) -> None:
    token = world.sites[site].sign(changes)
    users = {}
    for name, door in doors.items():
        for turn in ("new", "seen before"):
            user = door.ask(site, token).user
            users[name, turn] = user.removeprefix(f"{site}:") if user and door.way.several else user
    assert len({*users.values()}) == 1, users


@calm
@given(claim_changes)
def test_whoever_comes_in_is_read_only_and_can_be_shown(
    world: World, verifier: Verifier, changes: dict[str, object]
) -> None:
    found = ask(verifier, world.main.sign(changes))
    assume(isinstance(found, Principal))
    assert isinstance(found, Principal)
    assert is_read_only(found.claims)
    assert thaw(found.claims) == {**world.main.claims(), **changes}
    assert json.loads(json.dumps(found.as_dict())) == found.as_dict()
    assert found.user_id == changes.get("sub", "ada") or found.user_id == f"client:{found.client_id}"


@calm
@given(st.data())
def test_a_token_is_accepted_exactly_while_its_times_hold(
    world: World, verifier: Verifier, data: st.DataObject
) -> None:
    times = data.draw(st.dictionaries(MEMBERS, moments(world.now, LEEWAY), min_size=1))
    end, starts = times.get("exp", world.now + 300), [times.get("nbf", 0), times.get("iat", 0)]
    holds = all(0 <= moment < YEAR_10000 for moment in (end, *starts))
    holds = holds and world.now < end + LEEWAY and max(starts) <= world.now + LEEWAY
    assert isinstance(ask(verifier, world.main.sign(times)), Principal) == holds


@calm
@given(st.data())
def test_a_token_with_one_bit_flipped_is_refused(world: World, verifier: Verifier, data: st.DataObject) -> None:
    token = world.main.sign(alg=data.draw(st.sampled_from(["ES256", "RS256", "PS256", "Ed25519", "ES512"])))
    assert isinstance(ask(verifier, token), Principal)
    at, bit = data.draw(st.integers(0, len(token) - 1)), data.draw(st.integers(0, 7))
    flipped = f"{token[:at]}{chr(ord(token[at]) ^ 1 << bit)}{token[at + 1 :]}"
    assert isinstance(ask(verifier, flipped), TokenError)


@calm
@given(json_texts())
def test_json_in_any_spelling_is_read_as_everybody_reads_it(text: JsonText) -> None:
    value = parse_json_object(text.data)
    assert thaw(value) == json.loads(text.data) == text.value
    assert is_read_only(value)


@calm
@given(flawed_json_texts())
def test_json_with_a_flaw_is_refused_wherever_the_flaw_is(text: JsonText) -> None:
    with pytest.raises(StrictJSONError) as caught:
        parse_json_object(text.data)
    assert len(str(caught.value)) < 80  # it quotes nothing


@calm
@given(json_texts(), st.data())
def test_json_that_was_changed_is_refused_or_read_as_everybody_reads_it(text: JsonText, data: st.DataObject) -> None:
    at, cut = data.draw(st.integers(0, len(text.data))), data.draw(st.integers(0, 2))
    piece = data.draw(st.binary(max_size=2) | st.sampled_from([b'"', b"\\", b"{", b"}", b",", b":", b'"x":1,', b"e"]))
    changed = text.data[:at] + piece + text.data[at + cut :]
    try:
        value = parse_json_object(changed)
    except StrictJSONError:
        return
    assert thaw(value) == json.loads(changed.decode("utf-8"))


@calm
@given(json_texts(), st.sampled_from(["header", "payload"]))
def test_a_spelling_decides_nothing_in_a_token(world: World, verifier: Verifier, text: JsonText, part: str) -> None:
    """Members that decide nothing, in any spelling, beside those that do."""
    header, payload = as_json(world.main.header()), as_json(world.main.claims())
    assume(not text.value.keys() & {*world.main.header(), *world.main.claims(), "cnf", "nonce", "nbf", "crit", "b64"})
    spelled = text.data.strip()[:-1].rstrip() + (b"," if text.value else b"")
    parts = (spelled + header[1:], payload) if part == "header" else (header, spelled + payload[1:])
    assert isinstance(ask(verifier, world.main.raw(*parts)), Principal)
