"""JSON as a verifier must read it: one meaning per text, read-only from birth.

Rules (RFC 8259, RFC 7515 section 4, RFC 7519 section 4, RFC 8725 section 3.7)::

    encoding      UTF-8 only, no byte order mark     json.loads(bytes) would sniff UTF-16 and UTF-32
    root          an object
    member names  unique at every depth              two readers of a doubled name see two tokens
    numbers       finite, integers up to 20 digits   NaN, 1e999 and 5,000 digits have no JSON meaning
    strings       no lone surrogates                 they cannot be encoded again
    nesting       at most 512 brackets, 32 deep      what is deeper cannot even be shown or copied

Objects come back as mapping proxies and arrays as tuples, so nothing parsed from a token can be changed later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any, NoReturn

MAX_BRACKETS = 512
MAX_DEPTH = 32
MAX_DIGITS = 20
_MAX_SHARED_CHARS = 64


class StrictJSONError(ValueError):
    """The bytes are not the JSON object they should be; the message never quotes them."""


def parse_json_object(data: bytes) -> Mapping[str, Any]:
    """Parse ``data`` as one JSON object under the rules above, or raise `StrictJSONError`."""
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > MAX_BRACKETS:
        raise StrictJSONError(f"more than {MAX_BRACKETS} brackets")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            _refuse_lone_surrogates(value)
        if brackets > MAX_DEPTH:  # with fewer it cannot be deeper
            _refuse_depth(value, MAX_DEPTH)
    except StrictJSONError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise StrictJSONError(f"not JSON in UTF-8 ({type(error).__name__})") from None
    if type(value) is not MappingProxyType:
        raise StrictJSONError("not a JSON object")
    return value


def thaw(value: Any) -> Any:
    """A plain, deep copy (dict, list) of a parsed value, for those who write into it."""
    if isinstance(value, Mapping):
        return {name: thaw(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [thaw(member) for member in value]
    return value


def freeze(value: Any) -> Any:
    """The read-only twin of ``value``: mapping proxies and tuples all the way down."""
    if isinstance(value, Mapping):
        return MappingProxyType({name: freeze(member) for name, member in value.items()})
    if isinstance(value, tuple | list):
        return tuple(freeze(member) for member in value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    members = {_shared(name) if len(name) <= _MAX_SHARED_CHARS else name: value for name, value in pairs}
    if len(members) != len(pairs):
        raise StrictJSONError("a member name stands twice in one object")
    for name, value in members.items():
        if type(value) is list:
            members[name] = _array(value)
    return MappingProxyType(members)


@lru_cache(maxsize=1024)
def _shared(name: str) -> str:
    """One string object for a name that recurs in every token: saves about 1.5 KiB a cached token.

    Not `sys.intern`: where interned strings are never freed (early CPython 3.12, every free-threaded build), any
    stranger's token would cost memory for good.
    """
    return name


def _array(values: list[Any]) -> tuple[Any, ...]:
    return tuple([_array(value) if type(value) is list else value for value in values])


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_DIGITS:
        raise StrictJSONError(f"a number of more than {MAX_DIGITS} digits")
    return int(digits)


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
    elif type(value) is MappingProxyType:
        for name, member in value.items():
            _refuse_lone_surrogates(name)
            _refuse_lone_surrogates(member)
    elif type(value) is tuple:
        for member in value:
            _refuse_lone_surrogates(member)


def _refuse_depth(value: Any, left: int) -> None:
    if type(value) is MappingProxyType or type(value) is tuple:
        if not left:
            raise StrictJSONError(f"nested deeper than {MAX_DEPTH}")
        for member in value.values() if type(value) is MappingProxyType else value:
            _refuse_depth(member, left - 1)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
