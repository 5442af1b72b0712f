"""What a key store gives back is used only if it can be what was put there, for this issuer and not too long ago."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcbridge.core.stored_keys import MAX_ENTRY_BYTES, StoredKeys, parse_stored_keys
from oidcbridge.errors import KeyStoreError

NOW = 1_800_000_000.0
DAY = 86400.0
KEYS = StoredKeys(
    issuer="https://id.example.com/realms/acme",
    jwks_uri="https://id.example.com/keys",
    fetched=NOW - 600.0,
    as_of=NOW - 630.5,
    soft=300.0,
    etag='W/"7"',
    body=b'{"keys":[]}',
)


def parse(
    data: bytes, *, now: float = NOW, max_stale: float = 4 * 3600.0, jwks_uri: str | None = KEYS.jwks_uri
) -> StoredKeys:
    return parse_stored_keys(data, issuer=KEYS.issuer, jwks_uri=jwks_uri, now=now, max_stale=max_stale)


def refusal(data: bytes, **arguments: Any) -> str:
    with pytest.raises(KeyStoreError) as caught:
        parse(data, **arguments)
    assert caught.value.ignored
    return str(caught.value)


def changed(**members: Any) -> bytes:
    return json.dumps(json.loads(KEYS.to_bytes()) | members).encode()


def test_what_was_stored_is_read_again_as_it_was() -> None:
    assert parse(KEYS.to_bytes()) == KEYS
    without_tag = dataclasses.replace(KEYS, etag=None)
    assert parse(without_tag.to_bytes()) == without_tag


def test_what_discovery_told_of_the_provider_is_kept_and_nothing_where_it_told_nothing() -> None:
    told = dataclasses.replace(KEYS, provider="keycloak")
    assert parse(told.to_bytes()) == told
    assert KEYS.provider is None
    assert "provider" not in json.loads(KEYS.to_bytes()), "workers of an older version read this entry too"


times = st.floats(min_value=0.0, max_value=NOW)


@given(fetched=times, age=times, soft=times, body=st.binary(max_size=2000))
def test_any_answer_of_a_provider_survives_the_store(fetched: float, age: float, soft: float, body: bytes) -> None:
    keys = dataclasses.replace(KEYS, fetched=fetched, as_of=max(0.0, fetched - age), soft=soft, body=body)
    assert parse(keys.to_bytes(), max_stale=NOW) == keys


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused_and_never_crash(data: bytes) -> None:
    refusal(data)


def test_a_place_that_is_not_known_yet_is_taken_from_the_store_and_a_known_one_has_to_be_the_same() -> None:
    moved = changed(jwks_uri="https://id.example.com/new-keys")
    assert parse(moved, jwks_uri=None).jwks_uri == "https://id.example.com/new-keys"
    assert "another jwks_uri" in refusal(moved)


@pytest.mark.parametrize("issuer", ["https://id.example.com/realms/acme/", "https://id.example.com/realms/Acme", ""])
def test_the_keys_of_another_issuer_are_never_used(issuer: str) -> None:
    assert "another issuer" in refusal(changed(issuer=issuer))


def test_two_clocks_may_be_a_minute_apart_and_no_more() -> None:
    assert parse(changed(fetched=NOW + 60.0)).fetched == NOW + 60.0
    assert "in the future" in refusal(changed(fetched=NOW + 60.001))
    assert "in the future" in refusal(changed(fetched=NOW + DAY, as_of=NOW + DAY))


def test_keys_are_used_up_to_max_stale_and_no_longer() -> None:
    assert parse(changed(fetched=NOW - DAY, as_of=NOW - DAY), max_stale=DAY).fetched == NOW - DAY
    message = refusal(changed(fetched=NOW - DAY - 1, as_of=NOW - DAY - 1), max_stale=DAY)
    assert "86401 s old" in message
    assert "max_stale is 86400 s" in message


def test_a_provider_cannot_have_vouched_for_a_time_after_the_fetch() -> None:
    assert parse(changed(as_of=KEYS.fetched)).as_of == KEYS.fetched
    assert "as_of" in refusal(changed(as_of=KEYS.fetched + 0.5))


@pytest.mark.parametrize("version", [0, 2, 1.0, True, "1", None])
def test_an_entry_of_another_version_is_left_alone(version: object) -> None:
    assert "another version" in refusal(changed(version=version))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: entry.pop("etag"),
        lambda entry: entry.pop("body"),
        lambda entry: entry.update(more=1),
    ],
)
def test_an_entry_with_other_members_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    entry = json.loads(KEYS.to_bytes())
    spoil(entry)
    assert "members" in refusal(json.dumps(entry).encode())


BAD_VALUES: dict[str, list[object]] = {
    "provider": [None, 1, [], {}],
    "issuer": [None, 1, [], {}],
    "jwks_uri": [None, 1, [], {}],
    "fetched": [None, "1", True, False, [], -1, -0.5],
    "as_of": [None, "1", True, False, [], -1, -0.5],
    "soft": [None, "1", True, False, [], -1, -0.5],
    "etag": [1, [], True, "", "x" * 257, "a\r\nCookie: b", "ä", "a\x7fb"],
    "body": [None, 1, [], {}, "e30", "e3 0=", "e30=\n", "ä", "e30=e30="],
}


def test_an_entity_tag_has_1_to_256_characters() -> None:
    for tag in ("x", "x" * 256):
        assert parse(changed(etag=tag)).etag == tag


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in BAD_VALUES.items() for value in bad])
def test_a_member_of_another_kind_is_refused_by_name(name: str, value: object) -> None:
    assert name in refusal(changed(**{name: value}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"fetched": 1799999400.0', "not finite"),
        ('"as_of": 1799999369.5', "not finite"),
        ('"soft": 300.0', "not finite"),
    ],
)
def test_a_number_that_is_not_finite_is_refused(text: str, reason: str) -> None:
    entry = KEYS.to_bytes().decode()
    assert text in entry
    name = text.partition(":")[0]
    assert reason in refusal(entry.replace(text, f"{name}: 1e999").encode())
    assert "NaN" in refusal(entry.replace(text, f"{name}: NaN").encode())


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_a_truncated_entry_is_refused(length: int) -> None:
    assert "not JSON" in refusal(KEYS.to_bytes()[:length])


@pytest.mark.parametrize("data", [b"[]", b"null", b"1", b'"text"', b"<html></html>"])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    assert "not" in refusal(data)


def test_an_entry_may_have_as_many_bytes_as_a_store_gives_back_and_no_more() -> None:
    room = MAX_ENTRY_BYTES - len(dataclasses.replace(KEYS, etag="", body=b"").to_bytes())
    largest = dataclasses.replace(KEYS, etag="x" * (4 + room % 4), body=b" " * (room // 4 * 3 - 3))
    assert len(largest.to_bytes()) == MAX_ENTRY_BYTES == 524_288
    assert parse(largest.to_bytes()) == largest
    assert "524288 bytes" in refusal(largest.to_bytes() + b" ")
    with pytest.raises(KeyStoreError, match="too big for a key store") as caught:
        dataclasses.replace(largest, etag=f"{largest.etag}x").to_bytes()
    assert not caught.value.ignored


def test_a_usual_largest_key_set_fits() -> None:
    assert dataclasses.replace(KEYS, body=b"x" * 256 * 1024).to_bytes()


def test_a_refusal_quotes_nothing_of_what_was_found() -> None:
    for data in (changed(issuer="https://evil.example"), changed(body="evil!"), b'{"evil":1,}', changed(soft="evil")):
        assert "evil" not in refusal(data)


def test_the_body_is_kept_byte_by_byte_and_shown_nowhere() -> None:
    body = b'\xef\xbb\xbf{"keys" : []}\r\n\x00\xff'
    keys = dataclasses.replace(KEYS, body=body)
    assert parse(keys.to_bytes()).body == body
    assert base64.b64encode(body) in keys.to_bytes()
    assert "body" not in repr(keys)


def test_a_time_that_is_no_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dataclasses.replace(KEYS, soft=float("nan")).to_bytes()
