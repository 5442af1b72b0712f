"""One strict compact JWS in, an unverified token out; everything else is refused before it is looked at."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Mapping

import pytest

from oidcbridge.core.token import (
    MAX_KID_BYTES,
    MAX_TOKEN_BYTES,
    JoseHeader,
    UnverifiedToken,
    _headers,
    parse_unverified,
)
from oidcbridge.errors import MalformedTokenError
from oidcbridge.testing.tokens import sign


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: Mapping[str, object] | bytes, payload: Mapping[str, object] | bytes = b"{}") -> str:
    return sign(header, payload, None) + "c2ln"


def refused(token: str, reason: str) -> str:
    with pytest.raises(MalformedTokenError, match=reason) as caught:
        parse_unverified(token)
    assert not token or token not in str(caught.value)
    return str(caught.value)


def test_a_compact_jws_comes_apart() -> None:
    token = compact({"alg": "RS256", "kid": "k1", "typ": "JWT"}, {"sub": "ada", "aud": ["a", "b"]})
    parsed = parse_unverified(token)
    assert parsed.header == JoseHeader("RS256", "k1", "jwt")
    assert parsed.claims == {"sub": "ada", "aud": ["a", "b"]}
    assert parsed.signature == b"sig"
    assert parsed.signing_input == token.rpartition(".")[0].encode()


def test_no_repr_shows_claims_or_signature() -> None:
    parsed = parse_unverified(compact({"alg": "RS256", "kid": "k1"}, {"email": "ada@example.com"}))
    assert repr(parsed) == "UnverifiedToken(header=JoseHeader(alg='RS256', kid='k1', typ=None, has_nonce=False))"
    assert str(parsed) == f"{parsed}" == repr(parsed)


@pytest.mark.parametrize(
    "token", ["", "opaquetext", "a.b", "a.b.c.d", "a.b.c.d.e.f", ".", "." * 10_000, "e30.e30", "not a token at all"]
)
def test_text_without_three_parts_is_refused_with_a_hint_at_opaque_tokens(token: str) -> None:
    refused(token, "opaque")


def test_an_encrypted_token_of_five_parts_is_named_as_such() -> None:
    refused("e30.e30.e30.e30.e30", "JWE.*ask the provider for signed")


@pytest.mark.parametrize("token", [None, b"e30.e30.e30", 5, ["e30.e30.e30"]])
def test_what_is_no_str_is_refused(token: object) -> None:
    with pytest.raises(MalformedTokenError, match="not a str"):
        parse_unverified(token)  # type: ignore[arg-type]


def test_a_token_may_have_16_kib_and_no_more() -> None:
    def of_size(size: int) -> str:
        head, signature = encode(b'{"alg":"RS256"}') + "." + encode(b"{}") + ".", "A" * size
        return (head + signature)[:size]

    assert len(of_size(MAX_TOKEN_BYTES)) == MAX_TOKEN_BYTES == 16_384
    assert parse_unverified(of_size(MAX_TOKEN_BYTES)).header.alg == "RS256"
    refused(of_size(MAX_TOKEN_BYTES + 1), "longer than 16384 bytes")
    refused("." * 10_000_000, "longer")


@pytest.mark.parametrize("character", ["é", "\u2028", "\ud800", "\uff0e", "\x80"])
def test_characters_outside_ascii_are_refused(character: str) -> None:
    refused(compact({"alg": "RS256"}) + character, "no compact JWS has")


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("character", ["=", "+", "/", " ", "\n", "\r\n", "\0", "\t", "!", "{", '"', "~", "%"])
def test_characters_outside_base64url_are_refused_in_every_part(part: int, character: str) -> None:
    parts = compact({"alg": "RS256"}, {"sub": "ada"}).split(".")
    whole = parts[part]
    for times in (1, 2, 4):  # four of them leave the length as base64 wants it
        parts[part] = whole[:4] + times * character + whole[4:]
        refused(".".join(parts), "base64url")


@pytest.mark.parametrize("edge", [" {}", "{} ", "{}\n", "\t{}", "Bearer {}"])
def test_nothing_may_stand_round_a_token(edge: str) -> None:
    refused(edge.format(compact({"alg": "RS256"})), "base64url")


@pytest.mark.parametrize(
    ("good", "twins"), [("_w", ["_x", "_y", "_z", "_g=="]), ("__8", ["__9", "__-", "___", "__8="])]
)
def test_a_second_text_for_the_same_signature_is_refused(good: str, twins: list[str]) -> None:
    head = compact({"alg": "RS256"}).rpartition(".")[0]
    assert parse_unverified(f"{head}.{good}").signature in (b"\xff", b"\xff\xff")
    for twin in twins:
        refused(f"{head}.{twin}", "base64url")


@pytest.mark.parametrize(("start", "canonical"), [("A", 4), ("AA", 16)])
def test_of_the_64_letters_only_those_that_carry_no_spare_bits_may_end_a_part(start: str, canonical: int) -> None:
    head = compact({"alg": "RS256"}).rpartition(".")[0]
    data = [b"\0" * (len(start) - 1) + bytes([last]) for last in range(256)]
    meant = {encode(one): one for one in data if encode(one).startswith(start)}
    assert len(meant) == canonical
    for ending in string.ascii_letters + string.digits + "-_":
        text = start + ending
        if text in meant:
            assert parse_unverified(f"{head}.{text}").signature == meant[text]
        else:
            refused(f"{head}.{text}", "the signature is not canonical base64url")


@pytest.mark.parametrize("data", [bytes([value]) * size for value in (0, 1, 127, 255) for size in range(1, 7)])
def test_every_canonical_ending_is_read(data: bytes) -> None:
    head = compact({"alg": "RS256"}).rpartition(".")[0]
    assert parse_unverified(f"{head}.{encode(data)}").signature == data


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_of_a_length_that_base64_never_has_is_refused_by_name(part: int) -> None:
    parts = ["eyJhbGciOiJSUzI1NiJ9", "e30", "c2ln"]
    parts[part] = "AAAAA"
    refused(".".join(parts), f"the {('header', 'payload', 'signature')[part]} is not base64url")


def test_an_empty_signature_is_well_formed_and_left_to_verification() -> None:
    assert parse_unverified("eyJhbGciOiJSUzI1NiJ9.e30.").signature == b""


@pytest.mark.parametrize("member", ["crit", "b64", "zip", "enc", "epk"])
@pytest.mark.parametrize("value", [None, [], ["exp"], True, False, "DEF", {}])
def test_header_members_that_change_the_meaning_are_refused_whatever_they_hold(member: str, value: object) -> None:
    refused(compact({"alg": "RS256", member: value}), f"'{member}' is not accepted")


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "cty", "anything"])
@pytest.mark.parametrize("value", [None, [], {"kty": "oct"}, "https://evil.test/jwks"])
def test_other_header_members_are_ignored(member: str, value: object) -> None:
    assert parse_unverified(compact({"alg": "RS256", member: value})).header == JoseHeader("RS256", None, None)


@pytest.mark.parametrize("header", [{}, *({"alg": value} for value in (None, 1, True, [], ["RS256"], {}, {"a": 1}))])
def test_a_header_without_an_alg_string_is_refused(header: dict[str, object]) -> None:
    refused(compact(header), "'alg'")


@pytest.mark.parametrize("alg", ["", "none", "nOnE", "RS256 ", "rs256", "HS256", "x" * 5000])
def test_an_alg_is_kept_as_it_stands_for_the_allow_list_to_judge(alg: str) -> None:
    assert parse_unverified(compact({"alg": alg})).header.alg == alg


@pytest.mark.parametrize("kid", [None, 1, 0, True, [], ["k"], {}, {"k": 1}, 1.5])
def test_a_kid_of_another_type_is_refused(kid: object) -> None:
    refused(compact({"alg": "RS256", "kid": kid}), "'kid'")


@pytest.mark.parametrize("letter", ["k", "é", "🎉"])
def test_a_kid_may_have_256_bytes_and_no_more(letter: str) -> None:
    most = letter * (MAX_KID_BYTES // len(letter.encode()))
    assert parse_unverified(compact({"alg": "RS256", "kid": most})).header.kid == most
    refused(compact({"alg": "RS256", "kid": most + letter}), "'kid'.*256 bytes")


@pytest.mark.parametrize("kid", ["", " ", "../../etc/passwd", "a\nb", "\0", "' OR 1=1", "Qk3Zt1xXq8=", "a/b+c=="])
def test_a_kid_is_opaque_text(kid: str) -> None:
    assert parse_unverified(compact({"alg": "RS256", "kid": kid})).header.kid == kid


@pytest.mark.parametrize("typ", [None, 1, True, [], ["JWT"], {}, {"typ": "JWT"}])
def test_a_typ_of_another_type_is_refused(typ: object) -> None:
    refused(compact({"alg": "RS256", "typ": typ}), "'typ'")


@pytest.mark.parametrize(
    ("typ", "kept"),
    [
        ("JWT", "jwt"),
        ("at+JWT", "at+jwt"),
        ("application/at+jwt", "at+jwt"),
        ("APPLICATION/JWT", "jwt"),
        ("application/application/jwt", "application/jwt"),
        ("text/jwt", "text/jwt"),
        ("", ""),
        (" JWT", " jwt"),
    ],
)
def test_a_typ_is_a_media_type_without_regard_to_case(typ: str, kept: str) -> None:
    assert parse_unverified(compact({"alg": "RS256", "typ": typ})).header.typ == kept


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'"{}"', b'{"a":1,"a":2}', b'{"exp":NaN}', b"\xff", b"{"])
def test_a_payload_that_is_no_strict_json_object_is_refused(payload: bytes) -> None:
    refused(compact({"alg": "RS256"}, payload), "the payload is refused")


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"null", b'{"alg":"RS256","alg":"none"}', '{"alg":"RS256"}'.encode("utf-16")]
)
def test_a_header_that_is_no_strict_json_object_is_refused(header: bytes) -> None:
    refused(compact(header), "the header is refused")


def test_the_headers_of_strangers_take_little_memory_and_change_nothing() -> None:
    token = compact({"alg": "RS256", "kid": "ours", "typ": "JWT"})
    before = parse_unverified(token).header
    _headers.clear()
    for number in range(1, 1001):
        kid = f"k{number:0100}"
        assert parse_unverified(compact({"alg": "RS256", "kid": kid})).header.kid == kid
        assert len(_headers) == (number - 1) % 256 + 1
    for length in range(700, 800):
        parse_unverified(compact({"alg": "RS256", "pad": "x" * length}))
    assert 1020 <= max(map(len, _headers)) <= 1024
    assert parse_unverified(token).header == before


@pytest.mark.parametrize("header", [b'{"alg":"RS256","crit":[]}', b'{"alg":1}', b"[]"])
def test_a_header_that_was_refused_is_refused_again(header: bytes) -> None:
    assert refused(compact(header), "header") == refused(compact(header), "header")


@pytest.mark.parametrize("levels", [10_000, 12_000])
def test_deep_nesting_is_refused_quickly(levels: int) -> None:
    refused(compact({"alg": "RS256"}, b'{"a":' + b"[" * levels), "brackets|longer")


def test_a_json_serialization_is_no_token() -> None:
    refused(json.dumps({"payload": "e30", "protected": "e30", "signature": "e30"}), "three parts")
    refused('{"a.b.c":1}', "base64url")


def test_equal_headers_are_parsed_once_and_different_ones_never_mixed_up() -> None:
    one, same, other = (parse_unverified(compact({"alg": "RS256", "kid": kid})) for kid in ("a", "a", "b"))
    assert one.header is same.header
    assert (one.header.kid, other.header.kid) == ("a", "b")


def test_a_refused_header_is_refused_every_time() -> None:
    for _ in range(3):
        refused(compact({"alg": "RS256", "crit": ["b64"]}), "crit")


def test_a_long_header_is_read_and_not_remembered() -> None:
    def parse(size: int) -> UnverifiedToken:
        header = b'{"alg":"RS256","x5c":["' + b"A" * (size // 4 * 3 - 26) + b'"]}'
        token = compact(header)
        assert token.index(".") == size
        return parse_unverified(token)

    for size in (40, 1024):
        assert parse(size).header is parse(size).header
    for size in (1028, 4000):
        assert parse(size).header == parse(size).header
        assert parse(size).header is not parse(size).header
