"""The usual header is read quickly and no more loosely, and what is too long is not looked through."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oidcbridge.core.bearer import (
    MAX_COOKIE_BYTES,
    MAX_HEADER_BYTES,
    Credential,
    parse_cookie_credential,
    parse_header_credential,
    read_usual_token,
)
from oidcbridge.core.token import MAX_TOKEN_BYTES
from oidcbridge.errors import CredentialError, MalformedRequestError, MalformedTokenError

COOKIE = "access_token"
LONGEST = b"x" * MAX_TOKEN_BYTES


def read_usual(*values: bytes) -> str | None:
    return read_usual_token([(b"host", b"api"), *((b"authorization", value) for value in values)], b"authorization")


def judged(value: bytes) -> str | None:
    """The token that the careful reading finds, if any."""
    try:
        credential = parse_header_credential([value])
    except (CredentialError, MalformedTokenError):
        return None
    return credential.token if credential else None


@given(st.binary(max_size=40).map(b"Bearer ".__add__) | st.binary(max_size=40))
@example(b"Bearer ")
@example(b"Bearer  t")
@example(b"Bearer t ")
@example(b"Bearer t=")
@example(b"Bearer t,Bearer u")
@example(b"bearer t")
@example(b"Bearer \xc3\xa9")
@example(b"Bearer t\n")
def test_what_is_read_quickly_is_what_the_careful_reading_finds(value: bytes) -> None:
    quick = read_usual(value)
    assert quick is None or judged(value) in (None, quick.lstrip(" "))  # any number of spaces may stand before it


@pytest.mark.parametrize("token", ["t", "eyJ0.eyJz-_9.c2ln", "a~b+c/d.e", "0"])
def test_a_usual_header_is_read_quickly(token: str) -> None:
    assert read_usual(b"Bearer " + token.encode()) == token == judged(b"Bearer " + token.encode())


def test_a_header_that_is_not_there_or_twice_or_not_wanted_has_no_usual_token() -> None:
    assert read_usual() is None
    assert read_usual(b"Bearer t", b"Bearer t") is None
    assert read_usual_token([(b"authorization", b"Bearer t")], b"x-token") is None
    assert read_usual_token([(b"authorization", b"Bearer t")], None) is None


def test_what_no_token_holds_is_never_the_text_of_one() -> None:
    for code in range(256):
        value = b"Bearer a" + bytes([code]) + b"b"
        quick = read_usual(value)
        assert quick is not None
        assert judged(value) in (None, quick), code
        assert quick.isascii() == (code < 128)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer  "])
def test_the_longest_token_is_still_a_credential(scheme: bytes) -> None:
    assert judged(scheme + LONGEST) == LONGEST.decode()
    assert read_usual(b"Bearer " + LONGEST) == LONGEST.decode()


def test_a_usual_header_is_read_quickly_up_to_the_limit() -> None:
    longest = b"x" * (MAX_HEADER_BYTES - len(b"Bearer "))
    assert read_usual(b"Bearer " + longest) == longest.decode()
    assert read_usual(b"Bearer " + longest + b"x") is None


@pytest.mark.parametrize("bare_token", [False, True])
@pytest.mark.parametrize("end", [b"", b"=", b" ", b"\xff", b",", b" Bearer t"])
def test_a_credential_that_is_longer_than_any_is_refused_as_a_token_whatever_it_ends_in(
    end: bytes, bare_token: bool
) -> None:
    value = b"Bearer " + b"x" * MAX_HEADER_BYTES + end
    with pytest.raises(MalformedTokenError, match=str(MAX_HEADER_BYTES)) as caught:
        parse_header_credential([value], bare_token=bare_token)
    assert "xxx" not in str(caught.value)
    assert read_usual(value) is None


def test_a_header_has_room_for_the_longest_token_and_256_bytes_and_the_cookies_have_64_kib() -> None:
    assert (MAX_TOKEN_BYTES, MAX_HEADER_BYTES, MAX_COOKIE_BYTES) == (16_384, 16_640, 65_536)


def test_a_good_token_before_the_limit_does_not_save_what_comes_after_it() -> None:
    spaces = b" " * (MAX_HEADER_BYTES - len(b"Bearert"))
    assert parse_header_credential([b"Bearer" + spaces + b"t"]) == Credential("t", "header")
    for more in (b"u", b" ", b", Bearer u"):
        with pytest.raises(MalformedTokenError):
            parse_header_credential([b"Bearer" + spaces + b"t" + more])


@pytest.mark.parametrize("value", [b"Bearer" + b" " * 100_000, b"Bearer a b" + b"x" * 100_000, b"Bearer,t" * 10_000])
def test_a_long_header_that_begins_malformed_is_a_malformed_request(value: bytes) -> None:
    for bare_token in (False, True):
        with pytest.raises(MalformedRequestError, match="'Bearer', a space and a token"):
            parse_header_credential([value], bare_token=bare_token)


def test_a_long_header_of_another_scheme_is_as_if_there_were_none() -> None:
    for value in (b"Basic " + b"x" * 100_000, b"x" * 100_000):
        assert parse_header_credential([value]) is None


def test_a_custom_header_with_a_bare_token_has_the_same_limit() -> None:
    assert parse_header_credential([LONGEST], bare_token=True) == Credential(LONGEST.decode(), "header")
    with pytest.raises(MalformedTokenError):
        parse_header_credential([b"x" * (MAX_HEADER_BYTES + 1)], bare_token=True)


def test_more_cookies_than_a_server_takes_are_a_malformed_request() -> None:
    ours = b"; access_token=t"
    fits = b"a=" + b"x" * (MAX_COOKIE_BYTES - 2 - len(ours)) + ours
    assert parse_cookie_credential([fits], COOKIE) == Credential("t", "cookie")
    for headers in ([fits + b";"], [fits, b";"], [b";" * 10_000_000]):
        with pytest.raises(MalformedRequestError, match=f"more than {MAX_COOKIE_BYTES} bytes of cookies"):
            parse_cookie_credential(headers, COOKIE)
