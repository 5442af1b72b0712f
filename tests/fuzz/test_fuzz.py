"""The fuzzer's own parts: its inputs hold, and each fault put into the library is found."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oidcbridge.asgi import gate
from oidcbridge.core import verify
from oidcbridge.core.keys import KeySet
from oidcbridge.core.mapping import ClaimMapping, principal_from
from oidcbridge.core.policy import Policy
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import UnverifiedToken, parse_unverified
from oidcbridge.core.verify import VerifiedToken, admit
from oidcbridge.errors import MalformedTokenError
from tests.attacks.forge import as_json
from tests.fuzz import __main__ as command
from tests.fuzz.arena import MOMENT
from tests.fuzz.cases import Kind, edited, parse_case, write_case, write_edit
from tests.fuzz.mutate import VALUES, Mutator, dictionary
from tests.fuzz.odd_requests import METHODS
from tests.fuzz.seeds import request_seeds, token_seeds
from tests.fuzz.target import Target, build_token, open_target
from tests.fuzz.wrong import WrongError

FORGER = 6  # behind the keys of the site
NEXT = {"A": b"B", "Q": b"R", "g": b"h", "w": b"x"}
ANY_END = "".join(map(chr, range(128)))
calm = settings(max_examples=50, deadline=None)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with open_target() as target:
        yield target


def signed(target: Target, *, site: str = "main", choice: int = 0, other_end: bool = False, **claims: object) -> bytes:
    """A good token's case with these claims; ``other_end``: with another last character after it was signed."""
    number = next(number for number, place in enumerate(target.arena.places) if place.name == site)
    place = target.arena.places[number]
    parts = as_json(place.site.header()), as_json({**place.site.claims(), **claims})
    data = write_case(Kind.JSON, number, choice, *parts)
    if not other_end:
        return data
    text, _ = build_token(parse_case(data), place, target.arena)
    return write_case(Kind.JSON, number, choice, *parts, write_edit(-1, 1, NEXT[text[-1]]))


def test_every_way_in_of_every_site_is_open_to_good_tokens(target: Target) -> None:
    ended = Counter(target.try_input(data) for data in token_seeds(target.arena))
    assert ended["principal"] >= 3 * len(target.arena.places)
    for place in target.arena.places:
        assert target.try_input(signed(target, site=place.name)) == "principal"


def test_requests_end_in_each_of_the_ways_they_can(target: Target) -> None:
    ended = Counter(target.try_input(data) for data in request_seeds(target.arena))
    for outcome in ("principal", "anonymous", "missing_credential", "invalid_request", "cross_site_request"):
        assert ended[outcome] >= 10, outcome


def let_through(*_arguments: object) -> None:
    """A check that checks nothing."""


def lenient(token: UnverifiedToken, policy: Policy, now: float) -> tuple[float, float]:
    """Times that suit everybody."""
    times = {"exp": max(token.claims["exp"], MOMENT), "nbf": min(token.claims.get("nbf", MOMENT), MOMENT)}
    return admit(token._replace(claims={**token.claims, **times}), policy, now)


def unsigned(token: UnverifiedToken, key_set: KeySet, policy: Policy, now: float) -> VerifiedToken:
    """A signature is a signature."""
    return VerifiedToken(token.claims, *admit(token, policy, now), key_set.keys[0])


def quoting(text: str) -> UnverifiedToken:
    raise MalformedTokenError(f"no base64url: {text.split('.')[1]}")


def logging_all(text: str) -> UnverifiedToken:
    logging.getLogger("oidcbridge.core").debug("decoding %s", text)
    return parse_unverified(text)


def asking_outside(text: str) -> UnverifiedToken:
    socket.getaddrinfo("127.0.0.1", 9)
    return parse_unverified(text)


def writable(verified: VerifiedToken, mapping: ClaimMapping) -> Principal:
    principal = principal_from(verified, mapping)
    return replace(principal, claims=principal.as_dict()["claims"])


def odd_name(verified: VerifiedToken, mapping: ClaimMapping) -> Principal:
    return replace(principal_from(verified, mapping), user_id="client:ada")


FAULTS: tuple[tuple[str, object, dict[str, Any], str], ...] = (
    ("verification.verify", unsigned, {"choice": FORGER}, "nobody signed"),
    ("core.token._CANONICAL_ENDINGS", ("", "", ANY_END, ANY_END), {"other_end": True}, "nobody signed"),
    ("core.verify._check_audience", let_through, {"aud": "other"}, "another audience"),
    ("core.verify._check_kind", let_through, {"cnf": {"jkt": "x"}}, "sender's key"),
    ("core.verify._check_kind", let_through, {"nonce": "x"}, "another kind"),
    ("core.verify.admit", lenient, {"exp": MOMENT - 61}, "expired"),
    ("core.verify.admit", lenient, {"nbf": MOMENT + 61}, "ahead"),
    ("core.strict_json._refuse_lone_surrogates", let_through, {"sub": "\ud800"}, "surrogates not allowed"),
    ("verifier.parse_unverified", asking_outside, {}, "world outside"),
    ("verifier.parse_unverified", quoting, {}, "the token is in a MalformedTokenError"),
    ("verifier.parse_unverified", logging_all, {}, "the token is in the log"),
    ("verifier.principal_from", writable, {"x": 1}, "can be written into"),
    ("verifier.principal_from", odd_name, {"x": 2}, "id of a machine"),
)


@pytest.mark.parametrize(("name", "fault", "claims", "found"), FAULTS)
def test_a_fault_put_into_the_library_is_found(
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    fault: object,
    claims: dict[str, Any],
    found: str,
) -> None:
    data = signed(target, number=len(name), **claims)  # no other test's token, which would be remembered
    target.try_input(signed(target, number=0, **claims))
    monkeypatch.setattr(f"oidcbridge.{name}", fault)
    with pytest.raises((WrongError, UnicodeEncodeError), match=found):
        target.try_input(data)


def test_a_cookie_of_another_site_is_found_where_nobody_looks_at_origins(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, post = [*target.arena.apps].index("cookie"), METHODS.index("POST")
    data = write_case(Kind.REQUEST, app, post, b"\1access_token={token}", b"\3https://evil.test")
    assert target.try_input(data) == "cross_site_request"
    monkeypatch.setattr(gate, "check_same_site", let_through)
    with pytest.raises(WrongError, match="a cookie of another site"):
        target.try_input(data)


def test_an_input_that_takes_too_long_is_found(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.target.MAX_CPU_SECONDS", 0.0)
    with pytest.raises(WrongError, match="too long"):
        target.try_input(signed(target))


@calm
@given(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.integers(3, 200))
def test_whatever_is_made_of_any_bytes_is_an_input_of_that_size_again(data: bytes, seed: int, size: int) -> None:
    mutator = Mutator([({"alg": "ES256"}, {"sub": "ada"})], lambda data, size: (data + b"x")[:size])
    made = mutator.mutated(data, size, seed)
    assert len(made) <= size, made
    assert made == mutator.mutated(data, size, seed)
    case = parse_case(made)
    assert parse_case(write_case(*case[:3], *case.fields)) == case


def test_changes_of_json_go_on_for_ever_and_leave_what_they_are_made_of_as_it_was() -> None:
    claims: dict[str, Any] = {"sub": "ada", "a": {"b": {}}}
    values = json.dumps(VALUES)
    mutator = Mutator([({"alg": "ES256"}, claims)], lambda data, size: data[:size])
    start = data = write_case(Kind.JSON, 0, 0, b"{}", as_json(claims))
    seen = set()
    for seed in range(2000):
        data = mutator.mutated(data if len(data) < 400 else start, 4000, seed)
        seen.add(data)
    assert len(seen) > 1500
    assert claims == {"sub": "ada", "a": {"b": {}}}
    assert json.dumps(VALUES) == values


def test_edits_cut_out_and_put_in() -> None:
    assert edited("abcdef", (write_edit(1, 2, b"XY"),)) == "aXYdef"
    assert edited("abc", (write_edit(3, 0, b"\xff"), b"no")) == "abc\udcff"
    assert edited("abc", (write_edit(-1, 1, b"d"),)) == "abd"


def test_libfuzzer_is_given_words_that_it_can_read() -> None:
    lines = dictionary().splitlines()
    assert len(lines) >= 100
    assert all(re.fullmatch(r'"(\\x[0-9a-f]{2})+"', line) for line in lines)


def test_what_is_found_is_shown_with_the_way_to_try_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    said = [
        "#1024\tpulse  cov: 640 ft: 1",
        "INFO: Instrumenting x",
        "WrongError: bad",
        "Test unit written to a/crash-1",
    ]
    heard = command.listen(iter(said))
    assert heard == command.Heard(640, ["WrongError: bad"], "a/crash-1")
    command.report(Counter(principal=2, anonymous=1, bad_signature=3), heard.coverage, 1.0)
    told = capsys.readouterr().out
    assert "6 inputs" in told
    assert "640 edges" in told
    assert "2 ended as a principal, 1 as nobody" in told
    assert "bad_signature 3" in told


def test_an_input_can_be_tried_again(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input"
    path.write_bytes(signed(target))
    monkeypatch.setattr("tests.fuzz.target.open_target", lambda: nullcontext(target))
    monkeypatch.setattr("sys.argv", ["fuzz", str(path)])
    assert command.main() == 0
    assert "ended as: principal" in capsys.readouterr().out
    path.write_bytes(signed(target, aud="other"))
    monkeypatch.setattr(verify, "_check_audience", let_through)
    with pytest.raises(WrongError, match="another audience"):
        command.main()


def test_without_atheris_the_command_fails_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _name: None)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "1"])
    assert command.main() == 1
    assert "make fuzz" in capsys.readouterr().err
