"""What a token is made of: its text, its JSON, its header."""

from __future__ import annotations

from tests.attacks.rules.rule import Rule

STRICT_JSON = "core/test_strict_json.py::test_what_two_readers_could_read_differently_is_refused"

TOKENS: dict[str, Rule] = {
    "R1": Rule(
        "one compact JWS, of its alphabet alone (RFC 7515 7.1)",
        (
            "core/test_token.py::test_text_without_three_parts_is_refused_with_a_hint_at_opaque_tokens",
            "core/test_token.py::test_characters_outside_base64url_are_refused_in_every_part",
            "core/test_token.py::test_nothing_may_stand_round_a_token",
            "texts: newline at the end, signature",
            "envelopes: JSON flattened",
        ),
        ("core/test_token.py::test_a_compact_jws_comes_apart", "envelopes: three parts"),
    ),
    "R2": Rule(
        "canonical base64url: one text for one value (RFC 4648 3.5)",
        (
            "core/test_token.py::test_a_second_text_for_the_same_signature_is_refused",
            "core/test_token.py::test_a_part_of_a_length_that_base64_never_has_is_refused_by_name",
            "texts: unused bits",
            "texts: a length that no",
        ),
        ("core/test_token.py::test_every_canonical_ending_is_read", "texts: 0 bytes over", "texts: 2 bytes over"),
    ),
    "R3": Rule(
        "sizes are limited before anything is decoded (CVE-2025-61920, CVE-2025-27144)",
        (
            "core/test_token.py::test_a_token_may_have_16_kib_and_no_more",
            "core/test_strict_json.py::test_brackets_are_counted_before_anything_is_parsed",
            "verifier/test_verifier.py::test_a_token_of_16_kib_passes_and_a_longer_one_is_refused_before_it_is_looked_at",
            "sizes: a byte over 16 KiB",
            "sizes: 10 MB of dots",
        ),
        ("sizes: 16 KiB to the byte", "sizes: 500 groups"),
    ),
    "R4": Rule(
        "header and claims are JSON objects in UTF-8 (RFC 8725 3.7)",
        (
            STRICT_JSON,
            "json: header: the whole: UTF-16",
            "json: payload: the whole: UTF-32",
            "json: payload: the whole: in a list",
        ),
        ("core/test_strict_json.py::test_ordinary_json_is_read_as_it_stands", "json: other letters"),
    ),
    "R5": Rule(
        "no member name twice (RFC 7515 4, RFC 7519 4)",
        (STRICT_JSON, "json: header: alg twice", "json: payload: sub twice, escaped"),
        ("json: one name at two depths", "json: names that differ in case"),
    ),
    "R6": Rule(
        "numbers are finite and short, strings hold no lone surrogates (RFC 8259)",
        (
            STRICT_JSON,
            "core/test_strict_json.py::test_an_integer_may_have_twenty_digits_and_no_more",
            "json: payload: a value: NaN",
            "json: payload: a value: 5,000 digits",
            "json: header: a value: lone high surrogate",
        ),
        ("json: 20 digits", "json: pairs of surrogates"),
    ),
    "R7": Rule(
        "unknown header members are ignored, unless critical (RFC 7515 4)",
        ("extensions: crit ['x']", "extensions: crit ['http://example.com/UNDEFINED']"),
        ("core/test_token.py::test_other_header_members_are_ignored", "headers: unknown members beneath"),
    ),
    "R8": Rule(
        "crit is refused, whatever it holds (RFC 7515 4.1.11)",
        (
            "core/test_token.py::test_header_members_that_change_the_meaning_are_refused_whatever_they_hold",
            "extensions: crit []",
            "extensions: crit ['exp']",
        ),
        ("extensions: the same names among the claims",),
    ),
    "R9": Rule(
        "b64, zip, enc and epk are refused (RFC 7797 7, RFC 7516 4.1)",
        (
            "extensions: b64 False",
            "extensions: zip 'DEF'",
            "extensions: enc ",
            "extensions: epk ",
            "extensions: payload in the clear",
        ),
        ("extensions: names like them in the header", "extensions: the same names among the claims"),
    ),
    "R10": Rule(
        "no encrypted tokens (RFC 8725 3.3)",
        (
            "core/test_token.py::test_an_encrypted_token_of_five_parts_is_named_as_such",
            "envelopes: JWE ",
            "envelopes: claims encrypted to our public key",
        ),
        ("envelopes: a token among the claims",),
    ),
}
