"""JSON that two readers read in two ways, or that none should read, in the header and in the payload.

Everything is signed by the issuer as it stands, so that nothing but the reading of it decides.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping

from tests.attacks.forge import Attack, Twin, World, as_json

Change = Callable[[bytes], bytes]
WHY = "strict JSON in UTF-8, one meaning for one text (RFC 8259, RFC 8725 3.7)"


def with_member(member: str) -> Change:
    """Behind the last member."""
    return lambda data: data[:-1] + b"," + member.encode("utf-8", "surrogatepass") + b"}"


def value(text: str) -> Change:
    """One more member, of this value."""
    return with_member(f'"odd":{text}')


VALUES = {
    "NaN": "NaN", "Infinity": "Infinity", "minus Infinity": "-Infinity", "nan": "nan", "1e400": "1e400",
    "minus 1e999": "-1e999",
    "21 digits": "1" * 21, "5,000 digits": "9" * 5000, "minus 21 digits": "-" + "1" * 21, "leading zero": "01",
    "plus": "+1", "bare point": ".5",
    "no fraction": "1.", "no exponent": "1e", "hexadecimal": "0x10", "octal": "0o17", "underscore": "1_000",
    "Arabic digits": "\u0661\u0662",
    "minus alone": "-", "True": "True", "None": "None", "undefined": "undefined", "NULL": "NULL", "bare word": "yes",
    "single quotes": "'x'",
    "backticks": "`x`", "hex escape": '"\\x41"', "brace escape": '"\\u{41}"', "short escape": '"\\u41"',
    "odd escape": '"\\a"', "open string": '"x',
    "newline in a string": '"a\nb"', "NUL in a string": '"a\0b"', "tab in a string": '"a\tb"',
    "escape character in a string": '"\x1b"',
    "lone high surrogate": '"\\ud800"', "lone low surrogate": '"\\udc00"',
    "surrogates the wrong way": '"\\udc00\\ud800"',
    "raw surrogate": '"\ud800"', "surrogate in a name": '{"\\ud800":1}', "trailing comma in a list": "[1,]",
    "leading comma": "[,1]",
    "holes": "[1,,2]", "no comma": "[1 2]", "trailing comma in an object": '{"a":1,}', "bare name": "{a:1}",
    "no colon": '{"a" 1}',
    "two colons": '{"a"::1}', "a number as a name": "{1:1}", "a twin deep inside": '{"a":{"b":[{"c":1,"c":1}]}}',
    "33 lists": "[" * 33 + "]" * 33,
    "33 objects": '{"a":' * 33 + "1" + "}" * 33, "513 brackets": "[" + ",".join(["[]"] * 513) + "]",
    "1,000 lists": "[" * 1000 + "]" * 1000,
    "5,000 lists": "[" * 5000 + "]" * 5000, "5,000 open": "[" * 5000,
    "1,500 objects": '{"":' * 1500 + "1" + "}" * 1500, "unclosed": "[1",
    "a comment": "1/*x*/", "a line comment": "1//x\n", "a hash comment": "1 #x\n", "vertical tab": "\v1",
    "form feed": "1\f",
    "no-break space": "\xa01", "line separator": "\u20281", "a BOM inside": "\ufeff1", "a function": "eval(1)",
    "a date": "2026-01-01",
}  # fmt: skip
WHOLE: Mapping[str, Change] = {
    "a BOM": lambda data: codecs.BOM_UTF8 + data,
    "UTF-16 with a BOM": lambda data: data.decode().encode("utf-16"),
    "UTF-16 LE": lambda data: data.decode().encode("utf-16-le"),
    "UTF-16 BE": lambda data: data.decode().encode("utf-16-be"),
    "UTF-32 with a BOM": lambda data: data.decode().encode("utf-32"),
    "UTF-32 LE": lambda data: data.decode().encode("utf-32-le"),
    "UTF-32 BE": lambda data: data.decode().encode("utf-32-be"),
    "UTF-7": lambda data: b"+AHs-" + data[1:],
    "EBCDIC": lambda data: data.decode().encode("cp037"),
    "garbage behind": lambda data: data + b"x",
    "a second object": lambda data: data + b"{}",
    "a second object on a line": lambda data: data + b"\n" + data,
    "a brace behind": lambda data: data + b"}",
    "a NUL behind": lambda data: data + b"\0",
    "a NUL before": lambda data: b"\0" + data,
    "garbage before": lambda data: b")]}',\n" + data,
    "a no-break space before": lambda data: "\xa0".encode() + data,
    "a vertical tab behind": lambda data: data + b"\v",
    "a trailing comma": lambda data: data[:-1] + b",}",
    "a leading comma": lambda data: b"{," + data[1:],
    "a comment before": lambda data: b"/* x */" + data,
    "a comment behind": lambda data: data + b"// x",
    "single quotes": lambda data: data.replace(b'"', b"'"),
    "bare names": lambda data: data.replace(b'":', b":").replace(b',"', b",").replace(b'{"', b"{"),
    "semicolons": lambda data: data.replace(b",", b";"),
    "equals signs": lambda data: data.replace(b'":', b'"='),
    "unclosed": lambda data: data[:-1],
    "unopened": lambda data: data[1:],
    "in a list": lambda data: b"[" + data + b"]",
    "in two lists": lambda data: b"[[" + data + b"]]",
    "as pairs": lambda data: b'[["alg","ES256"]]',
    "as a string": lambda data: as_json(data.decode()),
    "in base64url again": lambda data: as_json({"e30": 1})[:0] + b"eyJhbGciOiJFUzI1NiJ9",
    "nothing": lambda data: b"",
    "white space": lambda data: b" \n",
    "null": lambda data: b"null",
    "true": lambda data: b"true",
    "a number": lambda data: b"1",
    "an empty list": lambda data: b"[]",
    "an empty string": lambda data: b'""',
    "NaN": lambda data: b"NaN",
    "latin-1": with_member('"odd":"X"'),  # X becomes a byte that is no UTF-8 below
    "an overlong slash": with_member('"odd":"X"'),
    "a cut sequence": with_member('"odd":"X"'),
    "beyond Unicode": with_member('"odd":"X"'),
    "CESU-8": with_member('"odd":"X"'),
    "an overlong NUL": with_member('"odd":"X"'),
}
NO_UTF8 = {
    "latin-1": b"\xe9", "an overlong slash": b"\xc0\xaf", "a cut sequence": b"\xe2\x82",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "CESU-8": b"\xed\xa0\xbd\xed\xb4\x91", "an overlong NUL": b"\xc0\x80",
}  # fmt: skip
HEADER_TWINS = {"alg": '"none"', "kid": '"forger"', "typ": '"at+jwt"', "x": "1", "jku": "null"}
PAYLOAD_TWINS = {
    "iss": '"https://evil.test"',
    "aud": '"other"',
    "sub": '"root"',
    "exp": "99999999999",
    "scope": '"admin"',
    "x": "1",
}


def attacks(world: World) -> Iterator[Attack]:
    header, payload = as_json(world.main.header()), as_json(world.main.claims())
    for part, data in {"header": header, "payload": payload}.items():
        for name, text in VALUES.items():
            yield _attack(world, part, f"a value: {name}", value(text)(data))
        for name, change in WHOLE.items():
            whole = change(data)
            if name in NO_UTF8:
                whole = whole.replace(b'"X"', b'"' + NO_UTF8[name] + b'"')
            yield _attack(world, part, f"the whole: {name}", whole)
        for name, text in (HEADER_TWINS if part == "header" else PAYLOAD_TWINS).items():
            for spelling, written in {"plain": name, "escaped": f"\\u{ord(name[0]):04x}{name[1:]}"}.items():
                member = f'"{written}":{text}'.encode()
                first, last = b"{" + member + b"," + data[1:], data[:-1] + b"," + member + b"}"
                if f'"{name}"'.encode() not in data:
                    first, last = (f'{{"{name}":{text},'.encode() + one[1:] for one in (first, last))
                yield _attack(world, part, f"{name} twice, {spelling}, first", first)
                yield _attack(world, part, f"{name} twice, {spelling}, last", last)


def _attack(world: World, part: str, name: str, data: bytes) -> Attack:
    header, payload = as_json(world.main.header()), as_json(world.main.claims())
    token = world.main.raw(data, payload) if part == "header" else world.main.raw(header, data)
    return Attack(f"{part}: {name}", token, WHY)


def twins(world: World) -> Iterator[Twin]:
    header, payload = as_json(world.main.header()), as_json(world.main.claims())
    good: dict[str, Change] = {
        "white space of JSON": lambda data: b" \t\r\n" + data.replace(b",", b" ,\n") + b"\r\n",
        "escaped names": lambda data: data.replace(b'"alg"', b'"\\u0061lg"').replace(b'"sub"', b'"\\u0073ub"'),
        "20 digits": value("1" * 20),
        "minus zero": value("-0"),
        "an exponent": value("1e3"),
        "32 levels": value("[" * 31 + "]" * 31),
        "pairs of surrogates": value('"\\ud83d\\udd11"'),
        "other letters": value('"\u00e9\u4e2d\U0001f511"'),
        "names that differ in case": with_member('"SUB":"root","ISS":"x","Alg":"none"'),
        "one name at two depths": with_member('"a":{"sub":"root","alg":"none"}'),
        "an empty name": with_member('"":1'),
    }
    for name, change in good.items():
        yield Twin(name, world.main.raw(change(header), change(payload)))
