"""JSON as a verifier reads it: one meaning per text, read-only from birth."""

from __future__ import annotations

import inspect
import sys
from types import MappingProxyType
from typing import Any

import pytest

from oidcbridge.core.strict_json import (
    MAX_BRACKETS,
    MAX_DIGITS,
    StrictJSONError,
    _integers,
    freeze,
    parse_json,
    parse_json_object,
    thaw,
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a": 1}\n', {"a": 1}),
        (b'{"a":-0,"b":1.5,"c":1e3,"d":-1.5e-3}', {"a": 0, "b": 1.5, "c": 1000.0, "d": -0.0015}),
        (b'{"a":true,"b":false,"c":null}', {"a": True, "b": False, "c": None}),
        ('{"name":"Grüße 🎉"}'.encode(), {"name": "Grüße 🎉"}),
        (b'{"name":"\\u00fc \\ud83c\\udf89"}', {"name": "ü 🎉"}),
        (b'{"a":{"a":1},"b":[{"a":2},{"a":3}]}', {"a": {"a": 1}, "b": ({"a": 2}, {"a": 3})}),
        (b'{"__proto__":{"x":1},"constructor":"y"}', {"__proto__": {"x": 1}, "constructor": "y"}),
        (b'{"":"the empty name is a name"}', {"": "the empty name is a name"}),
    ],
)
def test_ordinary_json_is_read_as_it_stands(data: bytes, value: object) -> None:
    assert parse_json_object(data) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param('{"a":1}'.encode("utf-16"), "not JSON in UTF-8", id="UTF-16 with a mark"),
        pytest.param('{"a":1}'.encode("utf-16-le"), "not JSON in UTF-8", id="UTF-16"),
        pytest.param('{"a":1}'.encode("utf-32-be"), "not JSON in UTF-8", id="UTF-32"),
        pytest.param('{"a":1}'.encode("utf-8-sig"), "not JSON in UTF-8", id="byte order mark"),
        pytest.param(b'{"a":"\xff"}', "not JSON in UTF-8", id="no UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "not JSON in UTF-8", id="raw surrogate"),
        pytest.param(b'{"a":"\xc0\xaf"}', "not JSON in UTF-8", id="overlong"),
        pytest.param(b'{"a":"\\ud800"}', "not JSON in UTF-8", id="lone surrogate in a value"),
        pytest.param(b'{"\\udfff":1}', "not JSON in UTF-8", id="lone surrogate in a name"),
        pytest.param(b'{"a":[[{"b":["\\udc00\\ud800"]}]]}', "not JSON in UTF-8", id="lone surrogate far inside"),
        pytest.param(b'{"a":1,"a":1}', "twice", id="doubled name"),
        pytest.param(b'{"a":1,"\\u0061":2}', "twice", id="doubled name, escaped"),
        pytest.param(b'{"x":[{"a":1,"a":2}]}', "twice", id="doubled name inside"),
        pytest.param(b'{"a":NaN}', "not JSON", id="NaN"),
        pytest.param(b'{"a":Infinity}', "not JSON", id="Infinity"),
        pytest.param(b'{"a":-Infinity}', "not JSON", id="minus Infinity"),
        pytest.param(b'{"a":1e999}', "not finite", id="too large a float"),
        pytest.param(b'{"a":-1e999}', "not finite", id="too small a float"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "digits", id="5,000 digits"),
        pytest.param(b"[]", "not a JSON object", id="array"),
        pytest.param(b"[{}]", "not a JSON object", id="array of objects"),
        pytest.param(b'"text"', "not a JSON object", id="string"),
        pytest.param(b"1", "not a JSON object", id="number"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{}{}", "not JSON", id="two documents"),
        pytest.param(b"{} x", "not JSON", id="text behind"),
        pytest.param(b"X{}X", "not JSON", id="text round it"),
        pytest.param("\u00a0{}".encode(), "not JSON", id="a no-break space before it"),
        pytest.param("{}\u2028".encode(), "not JSON", id="a line separator behind it"),
        pytest.param(b"\x0b{}\x0c", "not JSON", id="white space that is none in JSON"),
        pytest.param(b"{'a':1}", "not JSON", id="single quotes"),
        pytest.param(b'{"a":1,}', "not JSON", id="trailing comma"),
        pytest.param(b'{"a":01}', "not JSON", id="leading zero"),
        pytest.param(b'{"a":"\n"}', "not JSON", id="raw control character"),
        pytest.param(b'{"a"', "not JSON", id="broken off"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(StrictJSONError, match=reason):
        parse_json_object(data)


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_may_have_twenty_digits_and_no_more(sign: str) -> None:
    most = sign + "9" * MAX_DIGITS
    assert parse_json_object(f'{{"a":{most}}}'.encode()) == {"a": int(most)}
    with pytest.raises(StrictJSONError, match="20 digits"):
        parse_json_object(f'{{"a":{most}0}}'.encode())


def test_the_integers_that_are_kept_are_few_and_the_right_ones() -> None:
    _integers.clear()
    for number in range(1, 3001):
        assert parse_json(b'{"a":%d,"b":-%d,"c":[%d]}' % (number, number, number)) == {
            "a": number,
            "b": -number,
            "c": [number],
        }
        assert len(_integers) == (2 * number - 1) % 1024 + 1
    assert all(str(number) == digits for digits, number in _integers.items())
    for _ in range(2):
        with pytest.raises(StrictJSONError, match="20 digits"):
            parse_json(b'{"a":%d}' % 10**20)


@pytest.mark.parametrize("shape", ["wide", "text"])
def test_brackets_are_counted_before_anything_is_parsed(shape: str) -> None:
    def document(brackets: int) -> bytes:
        inner = brackets - 2
        texts = {"wide": ",".join(["{}"] * inner), "text": '"' + "[" * inner + '"'}
        return ('{"a":[' + texts[shape] + "]}").encode()

    assert MAX_BRACKETS == 512
    assert len(parse_json_object(document(512))) == 1
    with pytest.raises(StrictJSONError, match="brackets"):
        parse_json_object(document(512 + 1))
    with pytest.raises(StrictJSONError, match="brackets"):
        parse_json_object(document(100_000))


@pytest.mark.parametrize("opening", [b'{"a":', b"[", b'[{"a":'])
def test_deep_nesting_is_refused_before_the_parser_sees_it(opening: bytes) -> None:
    with pytest.raises(StrictJSONError, match="brackets"):
        parse_json_object(b'{"a":' + opening * 100_000)


def test_a_nearly_used_up_stack_is_a_refusal_and_no_crash() -> None:
    # The escape makes sure that Python code walks the tree; C code has a stack of its own from Python 3.12 on.
    document = b'{"a":' * 400 + b'"\\u0041"' + b"}" * 400
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        with pytest.raises(StrictJSONError, match="RecursionError"):
            parse_json_object(document)
    finally:
        sys.setrecursionlimit(before)
    assert parse_json_object(b'{"a":' * 30 + b'"\\u0041"' + b"}" * 30)


def test_nothing_parsed_can_be_changed() -> None:
    claims = parse_json_object(b'{"a":{"b":[1,[2,{"c":3}]]}}')
    assert claims["a"]["b"] == (1, (2, {"c": 3}))
    for target in (claims, claims["a"], claims["a"]["b"][1][1]):
        with pytest.raises(TypeError):
            target["b"] = 0  # type: ignore[index]
    assert type(claims["a"]["b"]) is type(claims["a"]["b"][1]) is tuple


def test_the_refusal_never_quotes_the_text() -> None:
    with pytest.raises(StrictJSONError) as caught:
        parse_json_object(b'{"password":"s3cret",}')
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_thaw_gives_plain_deep_copies_that_may_be_written_into() -> None:
    frozen = parse_json_object(b'{"a":{"b":[1,{"c":2}]}}')
    copy = thaw(frozen)
    assert copy == {"a": {"b": [1, {"c": 2}]}}
    copy["a"]["b"][1]["c"] = 3
    assert frozen["a"]["b"][1]["c"] == 2
    assert thaw("text") == "text"


def test_freeze_is_the_read_only_twin_of_thaw() -> None:
    source: dict[str, Any] = {"a": [1, {"b": [2]}], "c": "text"}
    frozen = freeze(source)
    assert frozen == {"a": (1, {"b": (2,)}), "c": "text"}
    assert type(frozen) is type(frozen["a"][1]) is MappingProxyType
    source["a"] = 0
    assert thaw(frozen) == {"a": [1, {"b": [2]}], "c": "text"}


def nested(depth: int, around: str) -> bytes:
    opening, closing = around[:-1].rstrip(), around[-1]
    return ('{"deep": ' + opening * (depth - 1) + "0" + closing * (depth - 1) + "}").encode()


@pytest.mark.parametrize("around", ["[ ]", '{"a": }'])
def test_what_is_nested_deeper_than_32_is_refused(around: str) -> None:
    assert parse_json_object(nested(32, around))
    with pytest.raises(StrictJSONError, match="deeper"):
        parse_json_object(nested(33, around))


@pytest.mark.parametrize("around", ["[ ]", '{"a": }'])
def test_what_stands_beside_it_makes_nothing_deeper(around: str) -> None:
    def document(depth: int) -> bytes:
        return b'{"wide": [' + b"{}, " * 100 + b'{}], "deeper": ' + nested(depth - 1, around) + b"}"

    assert parse_json_object(document(32))
    with pytest.raises(StrictJSONError, match="nested deeper than 32"):
        parse_json_object(document(33))


def test_many_objects_side_by_side_are_not_deep() -> None:
    roles = ", ".join(f'"role-{number}": {{"org": "acme"}}' for number in range(200))
    assert len(parse_json_object(f'{{"roles": {{{roles}}}}}'.encode())["roles"]) == 200
