"""JSON as a verifier must read it: one meaning per text.

Rules (RFC 8259, RFC 7515 section 4, RFC 7519 section 4, RFC 8725 section 3.7)::

    encoding      UTF-8 only, no byte order mark     json.loads(bytes) would sniff UTF-16 and UTF-32
    root          an object
    member names  unique at every depth              two readers of a doubled name see two tokens
    numbers       finite, integers up to 20 digits   NaN, 1e999 and 5,000 digits have no JSON meaning
    strings       no lone surrogates                 they cannot be encoded again
    nesting       at most 512 brackets, 32 deep      what is deeper cannot even be shown or copied

`parse_json` gives plain dicts and lists, for those who read them and hand nothing on; `parse_json_object` gives mapping
proxies and tuples, which nobody can change later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, NoReturn, cast

MAX_BRACKETS = 512
MAX_DEPTH = 32
MAX_DIGITS = 20
_WHITE_SPACE = " \t\n\r"
_KEPT_INTEGERS = 1024


class StrictJSONError(ValueError):
    """The bytes are not the JSON object they should be; the message never quotes them."""


def parse_json_object(data: bytes) -> Mapping[str, Any]:
    """Parse ``data`` as one JSON object under the rules above, read-only, or raise `StrictJSONError`."""
    return seal(parse_json(data))


def parse_json(data: bytes) -> dict[str, Any]:
    """The same as plain dicts and lists: for what is read on the way of every new token."""
    try:
        text = data.decode("utf-8").lstrip(_WHITE_SPACE)
    except UnicodeDecodeError:
        raise StrictJSONError("not JSON in UTF-8 (UnicodeDecodeError)") from None
    brackets = text.count("{") + text.count("[")
    if brackets > MAX_BRACKETS:
        raise StrictJSONError(f"more than {MAX_BRACKETS} brackets")
    try:
        value, end = _scan(text, 0)
        if "\\" in text and "\\u" in text:  # to look for one character first is ten times faster
            _refuse_lone_surrogates(value)
    except StrictJSONError:
        raise
    except StopIteration:  # the scanner's way to say that no value begins at a place
        raise StrictJSONError("not JSON in UTF-8 (a value is missing)") from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeEncodeError are ValueErrors
        raise StrictJSONError(f"not JSON in UTF-8 ({type(error).__name__})") from None
    if end != len(text) and text[end:].strip(_WHITE_SPACE):
        raise StrictJSONError("not JSON in UTF-8 (more stands behind it)")
    if type(value) is not dict:
        raise StrictJSONError("not a JSON object")
    if brackets > MAX_DEPTH:  # with fewer it cannot be deeper
        _refuse_depth(value, MAX_DEPTH)
    return value


def thaw(value: Any) -> Any:
    """A plain, deep copy (dict, list) of a parsed value, for those who write into it."""
    if isinstance(value, Mapping):
        return {name: member if type(member) in _SCALARS else thaw(member) for name, member in value.items()}
    if isinstance(value, _ARRAY):
        return [member if type(member) in _SCALARS else thaw(member) for member in value]
    return value


def freeze(value: Any) -> Any:
    """The read-only twin of ``value``: mapping proxies and tuples all the way down."""
    if isinstance(value, Mapping):
        members = {name: member if type(member) in _SCALARS else freeze(member) for name, member in value.items()}
        return MappingProxyType(members)
    if isinstance(value, _ARRAY):
        return tuple([member if type(member) in _SCALARS else freeze(member) for member in value])
    return value


def seal(members: dict[str, Any]) -> Mapping[str, Any]:
    """`freeze` for what was parsed a moment ago and nobody else holds: read-only itself, and no copy of it."""
    for name, value in members.items():
        kind = type(value)
        if kind is list:
            members[name] = _sealed_array(value)
        elif kind is dict:
            members[name] = seal(value)
    return MappingProxyType(members)


def _sealed_array(values: list[Any]) -> tuple[Any, ...]:
    if _SCALARS.issuperset(map(type, values)):
        return tuple(values)
    return tuple(
        [
            seal(value) if type(value) is dict else _sealed_array(value) if type(value) is list else value
            for value in values
        ]
    )


_ARRAY = (tuple, list)  # not ``tuple | list``, which is made anew each time
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJSONError("a member name stands twice in one object")
    return members


class _Integers(dict[str, int]):
    """Whole numbers by their digits, as they come: all tokens of one second name the same moments."""

    def __missing__(self, digits: str) -> int:
        if len(digits.removeprefix("-")) > MAX_DIGITS:
            raise StrictJSONError(f"a number of more than {MAX_DIGITS} digits")
        if len(self) >= _KEPT_INTEGERS:
            self.clear()
        number = self[digits] = int(digits)
        return number


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise StrictJSONError("a number that is not finite")
    return number


def _constant(_name: str) -> NoReturn:
    raise StrictJSONError("NaN and Infinity are not JSON")


def _refuse_lone_surrogates(value: Any) -> None:
    if type(value) is str:
        value.encode("utf-8")  # raises UnicodeEncodeError, a ValueError
    elif type(value) is dict:
        for name, member in value.items():
            _refuse_lone_surrogates(name)
            _refuse_lone_surrogates(member)
    elif type(value) is list:
        for member in value:
            _refuse_lone_surrogates(member)


def _refuse_depth(value: Any, left: int) -> None:
    if type(value) is dict or type(value) is list:
        if not left:
            raise StrictJSONError(f"nested deeper than {MAX_DEPTH}")
        for member in value.values() if type(value) is dict else value:
            _refuse_depth(member, left - 1)


_integers = _Integers()
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integers.__getitem__, parse_float=_float, parse_constant=_constant
)
# What its `raw_decode` calls, and little more; `decode` also searches for white space, twice. Not in typeshed.
_scan: Callable[[str, int], tuple[Any, int]] = cast(Any, _DECODER).scan_once
