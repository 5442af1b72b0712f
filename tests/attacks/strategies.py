"""Tokens for hypothesis: claims good and odd, and JSON in all its spellings, with or without a flaw.

`json_texts` writes JSON itself, since `json.dumps` has one spelling for each value, and no flaws.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

from hypothesis import strategies as st

NUMBERS = st.integers(-(10**19), 10**19) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
CLAIM_NAMES = st.sampled_from(
    [
        "iss",
        "aud",
        "sub",
        "exp",
        "nbf",
        "iat",
        "jti",
        "azp",
        "client_id",
        "scope",
        "scp",
        "roles",
        "groups",
        "sid",
        "typ",
        "token_use",
        "cnf",
        "nonce",
        "email",
        "realm_access",
        "resource_access",
        "organization",
        "username",
        "cognito:groups",
        "permissions",
        "preferred_username",
        "_claim_names",
        "org_id",
        "session_state",
        "x",
    ]
)
WORDS = st.sampled_from(
    [
        "ada",
        "agent-api",
        "agent-ui",
        "client:agent-ui",
        "Bearer",
        "access",
        "at+jwt",
        "a b",
        "",
        "trrtcc:1",
        "x@clients",
    ]
)
CLAIM_VALUES = st.recursive(
    LEAVES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | CLAIM_NAMES, inner, max_size=3),
    max_leaves=5,
)
#: Members laid over a good token's claims.
claim_changes = st.dictionaries(CLAIM_NAMES, CLAIM_VALUES, max_size=4)
#: Objects as any JSON object may be.
json_objects = st.dictionaries(TEXTS | CLAIM_NAMES, CLAIM_VALUES, max_size=4)


def moments(now: int, leeway: int) -> st.SearchStrategy[int | float]:
    """Points in time about the limits of what is accepted, and far beyond."""
    near = [now + offset + step for offset in (-leeway, 0, leeway) for step in (-1, -0.5, 0, 0.5, 1)]
    return st.sampled_from([*near, -1, 0, 253402300799, 253402300800]) | st.integers(-(10**12), 10**12)


class JsonText(NamedTuple):
    """A JSON text, and the value that it has for any reader; or what is wrong with it."""

    data: bytes
    value: dict[str, Any]
    flaw: str | None = None


@st.composite
def json_texts(draw: st.DrawFn) -> JsonText:
    """An object in any spelling that JSON allows: white space, escapes, numbers."""
    value = draw(json_objects)
    return JsonText(_spelled(draw, value).encode(), value)


@st.composite
def flawed_json_texts(draw: st.DrawFn) -> JsonText:
    """The same with one flaw, at any depth."""
    good = draw(json_texts())
    flaw = draw(st.sampled_from(sorted(FLAWS)))
    member = FLAWS[flaw]
    for _ in range(draw(st.integers(0, 3))):
        member = draw(st.sampled_from([f'{{"a":{member}}}', f"[1,{member}]"]))
    text = good.data.decode()
    opened = text.index("{") + 1
    comma = "," if good.value else ""
    name = json.dumps(draw(TEXTS.filter(lambda name: name not in good.value)))
    flawed = f"{text[:opened]}{name}:{member}{comma}{text[opened:]}"
    return JsonText(flawed.encode("utf-8", "surrogatepass"), good.value, flaw)


#: Values that a strict reader refuses, wherever they stand.
FLAWS = {
    "a name twice": '{"b":1,"b":1}',
    "a name twice, once escaped": '{"b":1,"\\u0062":2}',
    "a lone surrogate": '"\\ud800"',
    "a lone surrogate in a name": '{"\\udfff":1}',
    "surrogates the wrong way": '"\\udc00\\ud800"',
    "a raw surrogate": '"\ud800"',
    "not a number": "NaN",
    "infinite": "-Infinity",
    "a float too large": "1e999",
    "21 digits": "123456789012345678901",
    "33 levels": "[" * 33 + "]" * 33,
    "a leading zero": "01",
    "a raw control character": '"\n"',
    "a trailing comma": "[1,]",
    "a comment": "1/**/",
}


def _spelled(draw: st.DrawFn, value: Any) -> str:
    gap = draw(st.sampled_from(["", "", "", " ", "\t", "\r\n"]))
    if isinstance(value, dict):
        members = [f"{_spelled(draw, name)}:{_spelled(draw, member)}" for name, member in value.items()]
        return f"{gap}{{{','.join(members)}{gap}}}{gap}"
    if isinstance(value, list):
        return f"{gap}[{','.join(_spelled(draw, member) for member in value)}{gap}]{gap}"
    if isinstance(value, str):
        return gap + json.dumps(value, ensure_ascii=draw(st.booleans())) + gap
    if isinstance(value, float) and not math.isinf(value) and draw(st.booleans()):
        return gap + json.dumps(value).replace("e", "E") + gap
    return gap + json.dumps(value) + gap
