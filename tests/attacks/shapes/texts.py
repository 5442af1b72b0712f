"""Base64url has one text for each value (RFC 4648 sections 3.2 to 3.5, RFC 7515 section 2).

What is signed is the text as it stands, so a lax decoder takes every one of these for a good token.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.attacks.forge import Attack, Site, Twin, World, as_json, encode

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ODD_CHARACTERS = {
    "pad": "=", "two pads": "==", "space": " ", "newline": "\n", "CRLF": "\r\n", "tab": "\t", "NUL": "\0",
    "vertical tab": "\v",
    "form feed": "\f", "plus": "+", "slash": "/", "bang": "!", "tilde": "~", "percent": "%", "percent encoded": "%41",
    "quote": '"',
    "brace": "{", "backslash": "\\", "comma": ",", "colon": ":", "hash": "#", "question mark": "?",
    "no-break space": "\xa0",
    "zero width space": "\u200b", "BOM": "\ufeff", "full-width A": "\uff21", "Cyrillic A": "\u0410",
    "Arabic digit": "\u0661",
    "full-width dot": "\uff0e", "line separator": "\u2028", "a lone surrogate": "\ud800", "emoji": "\U0001f511",
    "DEL": "\x7f",
}  # fmt: skip
PLACES = {"before": 0, "in the middle": 8, "at the end": 10**6}
ROUND = {
    "a space": " {}", "a tab": "\t{}",
    "a NUL before": "\0{}", "a BOM": "\ufeff{}", "quotes": '"{}"', "single quotes": "'{}'", "angle brackets": "<{}>",
    "Bearer": "Bearer {}",
    "bearer and a tab": "Bearer\t{}", "a semicolon": "{};", "four pads": "{}====", "a question mark": "{}?x",
    "a fragment": "{}#x", "percent 20": "{}%20", "percent 0A": "{}%0A", "a comment": "{} (comment)", "JSON text": '"{}',
}  # fmt: skip

#: What a carrier's grammar takes away: spaces behind the scheme; round a cookie blanks, quotes and the next separator.
TRIMMED: dict[str, tuple[str, ...]] = {
    " {}": ("header", "cookie"),
    "\t{}": ("cookie",),
    '"{}"': ("cookie",),
    "{};": ("cookie",),
}


def attacks(world: World) -> Iterator[Attack]:
    site = world.main
    header, payload = encode(as_json(site.header())), encode(as_json(site.claims()))
    why = "one text for one value (RFC 4648 3.3, 3.5)"
    for name, odd in ODD_CHARACTERS.items():
        for place, index in PLACES.items():
            yield Attack(f"{name} {place}, header", site.text(_insert(header, odd, index), payload), why)
            yield Attack(f"{name} {place}, payload", site.text(header, _insert(payload, odd, index)), why)
            message, _, signature = site.text(header, payload).rpartition(".")
            token = f"{message}.{_insert(signature, odd, index)}"
            trimmed = place == "at the end" and odd in (" ", "\t")
            yield Attack(f"{name} {place}, signature", token, why, harmless_as=("cookie",) if trimmed else ())
    good = site.sign()
    for name, frame in ROUND.items():
        harmless = TRIMMED.get(frame, ())
        yield Attack(f"{name} round it", frame.format(good), "nothing stands round a token", harmless_as=harmless)
    yield from _standard_alphabet(site)
    yield from _second_texts(site)


def _insert(text: str, odd: str, index: int) -> str:
    return text[:index] + odd + text[index:]


def _standard_alphabet(site: Site) -> Iterator[Attack]:
    """``+`` and ``/`` where ``-`` and ``_`` belong: the claims are chosen so that both occur."""
    claims = {**site.claims(), "odd": "???>>>~~~\u007f\u007f"}
    header, payload = encode(as_json({**site.header(), "odd": "???>>>~~~"})), encode(as_json(claims))
    standard = str.maketrans("-_", "+/")
    assert payload != payload.translate(standard) or header != header.translate(standard)
    token = site.text(header.translate(standard), payload.translate(standard))
    yield Attack("standard alphabet, signed", token, "base64url alone (RFC 7515 2)")
    for number in range(20):  # until a signature has either character
        message, _, signature = site.sign({"turn": number}).rpartition(".")
        if signature != signature.translate(standard):
            lax = f"{message}.{signature.translate(standard)}"
            yield Attack("standard alphabet, signature", lax, "base64url alone (RFC 7515 2)")
            return
    raise AssertionError("no signature had - or _")


def _second_texts(site: Site) -> Iterator[Attack]:
    """Other bits where no byte is left to carry them, and lengths that no value has."""
    message, _, signature = site.sign().rpartition(".")  # 64 bytes: two characters at the end, four bits unused
    last = ALPHABET.index(signature[-1])
    for bits in range(1, 16):
        lax = f"{message}.{signature[:-1]}{ALPHABET[last | bits]}"
        yield Attack(f"unused bits {bits:04b} of the signature", lax, "unused bits are zero (RFC 4648 3.5)")
    for filler in (1, 2):  # one and two bytes over a multiple of three
        for part in ("header", "payload"):
            values = {"header": site.header(), "payload": site.claims()}
            values[part] = _padded(values[part], filler)
            segments = {name: encode(as_json(value)) for name, value in values.items()}
            text = segments[part]
            assert len(text) % 4 == filler + 1
            segments[part] = text[:-1] + ALPHABET[ALPHABET.index(text[-1]) | 1]
            token = site.text(segments["header"], segments["payload"])
            yield Attack(f"unused bits of the {part}, {filler} over", token, "unused bits are zero (RFC 4648 3.5)")
            segments[part] = text + ("A" * (4 - len(text) % 4 + 1))
            token = site.text(segments["header"], segments["payload"])
            yield Attack(f"a length that no {part} has, {filler} over", token, "no value has it (RFC 4648 4)")


def _padded(value: dict[str, object], over: int) -> dict[str, object]:
    """``value`` with a filler that makes its JSON ``over`` bytes longer than a multiple of three."""
    sizes = ({**value, "fill": "x" * count} for count in range(3))
    return next(sized for sized in sizes if len(as_json(sized)) % 3 == over)


def twins(world: World) -> Iterator[Twin]:
    for over in range(3):
        site = world.main
        token = site.raw(as_json(_padded(site.header(), over)), as_json(_padded(site.claims(), over)))
        yield Twin(f"{over} bytes over a multiple of three", token)
    yield Twin("every character of the alphabet", world.main.sign({"odd": "???>>>~~~\u007f"}))
