"""What is kept of a verified token reads as the token did, once it comes again."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from oidcbridge.core.keeping import Keeping
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import parse_json

MAPPING = ClaimMapping(dependencies={"level": "level"})
CLAIMS = {
    "iss": "https://idp.test",
    "sub": "ada",
    "sid": "s1",
    "scope": "a b",
    "level": 3,
    "roles": ["x"],
    "deep": {"r": [1]},
}
PAYLOAD = json.dumps(CLAIMS).encode()


def verified(mapping: ClaimMapping = MAPPING) -> Principal:
    return Principal.read_by(mapping.known, parse_json(PAYLOAD), "ada", "s1", 5.0)


def test_what_is_kept_says_what_the_token_said() -> None:
    first = verified()
    kept = Keeping(MAPPING).keep(first, PAYLOAD)
    assert (kept.user_id, kept.session_id, kept.expires_at) == ("ada", "s1", 5.0)
    assert kept.scopes == ("a", "b")
    assert kept.as_dict() == first.as_dict()
    assert kept == first


def test_it_is_read_once() -> None:
    kept = Keeping(MAPPING).keep(verified(), PAYLOAD)
    claims = kept.claims
    assert claims is kept.claims
    assert kept.claims["deep"] is claims["deep"]


@pytest.mark.parametrize("name", ["claims", "dependencies", "groups_complete", "roles", "scopes"])
def test_whatever_is_asked_for_first_is_what_the_token_said(name: str) -> None:
    assert getattr(Keeping(MAPPING).keep(verified(), PAYLOAD), name) == getattr(verified(), name)


def test_the_payload_is_parsed_when_the_token_comes_again_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def counted(payload: bytes) -> dict[str, Any]:
        parsed.append(payload)
        return parse_json(payload)

    monkeypatch.setattr("oidcbridge.core.keeping.parse_json", counted)
    kept = Keeping(MAPPING).keep(verified(), PAYLOAD)
    assert parsed == []
    assert (kept.roles, kept.scopes, kept.dependencies["level"], kept.claims["sid"]) == (("x",), ("a", "b"), 3, "s1")
    assert parsed == [PAYLOAD]


def test_it_is_read_only_all_the_way_down() -> None:
    kept = Keeping(MAPPING).keep(verified(), PAYLOAD)
    with pytest.raises(TypeError):
        kept.claims["sub"] = "eve"  # type: ignore[index]
    with pytest.raises(TypeError):
        kept.claims["deep"]["r"] = (2,)
    assert kept.claims["deep"]["r"] == (1,)


def test_what_recurs_in_kept_tokens_is_one_object() -> None:
    keeping = Keeping(MAPPING)
    first, second = (keeping.keep(verified(), PAYLOAD) for _ in range(2))
    assert first.claims is not second.claims
    assert first.claims["iss"] is second.claims["iss"]
    assert first.claims["roles"] is second.claims["roles"]


def test_there_is_no_attribute_but_those_that_are_documented() -> None:
    kept = Keeping(MAPPING).keep(verified(), PAYLOAD)
    with pytest.raises(AttributeError, match="no attribute 'is_admin'") as caught:
        kept.is_admin  # type: ignore[attr-defined]  # noqa: B018
    assert caught.value.obj is kept


def test_nothing_is_shown_of_what_was_signed() -> None:
    assert "deep" not in repr(Keeping(MAPPING).keep(verified(), PAYLOAD))


def test_a_thread_that_comes_between_reads_the_same() -> None:
    """It asks the former reader, and finds claims where that has left bytes."""
    keeping = Keeping(MAPPING)
    kept = keeping.keep(verified(), PAYLOAD)
    claims = kept.claims
    assert keeping.read_field("scopes", claims, kept) == ("a", "b")


def test_threads_that_meet_read_the_same() -> None:
    keeping, seen = Keeping(MAPPING), []

    def read(principal: Principal, meet: threading.Barrier) -> None:
        meet.wait()
        seen.append((principal.scopes, principal.kind, principal.claims["deep"]["r"], dict(principal.dependencies)))

    for _ in range(200):
        kept, meet = keeping.keep(verified(), PAYLOAD), threading.Barrier(4)
        threads = [threading.Thread(target=read, args=(kept, meet)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wanted: tuple[Any, ...] = (("a", "b"), "user", (1,), {"level": 3})
    assert seen == [wanted] * 800
