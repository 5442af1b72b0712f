"""Which credential a request carries, and the challenge it is answered with (RFC 6750)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from oidcbridge.core.bearer import Credential, TokenSource, challenge, parse_cookie_credential, parse_header_credential
from oidcbridge.errors import MalformedRequestError

COOKIE = "access_token"
TOKENS = ["t", "abc.def-ghi_jkl", "a~b+c/d", "token=", "token====", "0", "-", "=".join(["a", ""])]
NO_TOKENS = ["a b", "a,b", "a\tb", "a=b", "=", "a\0", "a\n", "é", '"a', "a;b", "{}", "a\\", "<a>", "a%20b", "a:b"]


def from_cookies(*headers: str) -> Credential | None:
    return parse_cookie_credential([header.encode("latin-1") for header in headers], COOKIE)


def test_the_sources_are_those_that_users_of_other_middleware_know() -> None:
    assert {source.name: source.value for source in TokenSource} == {
        "HEADER": "header",
        "COOKIE": "cookie",
        "BOTH": "both",
    }


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
@pytest.mark.parametrize("spaces", [" ", "   "])
@pytest.mark.parametrize("bare_token", [False, True])
def test_bearer_in_any_case_spaces_and_a_token_are_a_credential(
    token: str, scheme: str, spaces: str, bare_token: bool
) -> None:
    value = f"{scheme}{spaces}{token}".encode()
    assert parse_header_credential([value], bare_token=bare_token) == Credential(token, "header")


@pytest.mark.parametrize(
    "rest", ["", " ", "   ", "\tt", " \tt", " t\t", " t ", " t t", ",t", "=t", ":t", "/t", "\0t", "\n t"]
)
@pytest.mark.parametrize("bare_token", [False, True])
def test_bearer_followed_by_anything_else_is_a_malformed_request(rest: str, bare_token: bool) -> None:
    for scheme in ("Bearer", "bearer"):
        with pytest.raises(MalformedRequestError, match="'Bearer', a space and a token"):
            parse_header_credential([(scheme + rest).encode()], bare_token=bare_token)


@pytest.mark.parametrize("token", NO_TOKENS)
def test_bearer_and_text_that_is_no_token_is_a_malformed_request(token: str) -> None:
    for bare_token in (False, True):
        with pytest.raises(MalformedRequestError) as caught:
            parse_header_credential([b"Bearer " + token.encode("utf-8")], bare_token=bare_token)
        assert len(token) < 2 or token not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["Basic dXNlcjpwYXNz", "DPoP abc", "Digest username=x", "Negotiate", "BearerX t", "Bearer2 t", "Bear t", "t", ""],
)
def test_another_scheme_is_as_if_there_were_no_credential(value: str) -> None:
    assert parse_header_credential([value.encode()]) is None


def test_no_header_is_no_credential() -> None:
    assert parse_header_credential([]) is None
    assert parse_header_credential([], bare_token=True) is None


@pytest.mark.parametrize(
    "values", [["Bearer t", "Bearer t"], ["Bearer t", "Basic x"], ["Basic x", "Bearer t"], ["", ""]]
)
def test_a_repeated_header_is_a_malformed_request(values: Sequence[str]) -> None:
    for bare_token in (False, True):
        with pytest.raises(MalformedRequestError, match="more than once"):
            parse_header_credential([value.encode() for value in values], bare_token=bare_token)


@pytest.mark.parametrize("token", [*TOKENS, "Bearer.abc", "bearerabc", "Bearer-1", "Basic"])
def test_a_custom_header_may_hold_the_bare_token(token: str) -> None:
    assert parse_header_credential([token.encode()], bare_token=True) == Credential(token, "header")
    assert parse_header_credential([token.encode()]) is None


@pytest.mark.parametrize("value", [*NO_TOKENS, "", "Basic dXNlcjpwYXNz", "DPoP abc", " t", "t "])
def test_a_custom_header_that_holds_no_token_is_a_malformed_request(value: str) -> None:
    with pytest.raises(MalformedRequestError, match="no token"):
        parse_header_credential([value.encode("utf-8")], bare_token=True)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "form",
    ["{name}={token}", "a=1; {name}={token}; b=2", "  {name} = {token} ;", ";;{name}={token}", '{name}="{token}"'],
)
def test_the_token_of_its_cookie_is_a_credential(token: str, form: str) -> None:
    assert from_cookies(form.format(name=COOKIE, token=token)) == Credential(token, "cookie")


def test_the_cookie_is_found_in_any_of_several_headers() -> None:
    assert from_cookies("a=1", f"{COOKIE}=t", "b=2") == Credential("t", "cookie")
    assert parse_cookie_credential(iter([b"a=1; access_token=t"]), COOKIE) == Credential("t", "cookie")


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            ";",
            "=",
            "a=1",
            "access_token2=t",
            "xaccess_token=t",
            "access_tokens=t",
            "ACCESS_TOKEN=t",
            "Access_Token=t",
        ),
        *(
            "access_token",
            "=access_token=t",
            "a=access_token=t",
            'a="access_token=t"',
            "access token=t",
            "$access_token=t",
        ),
        *("access_token=", "access_token= ", 'access_token=""', "access_token=;a=1", "__Host-access_token=t"),
    ],
)
def test_an_absent_or_empty_cookie_is_no_credential(header: str) -> None:
    assert from_cookies(header) is None
    assert from_cookies() is None


def test_a_separator_between_quotes_is_a_separator_all_the_same() -> None:
    # RFC 6265 section 4.2.1 knows no quoting; who honours it can be made to see one cookie where others see two.
    assert from_cookies('a="x; access_token=t; b=y"') == Credential("t", "cookie")
    with pytest.raises(MalformedRequestError):
        from_cookies('a="x; access_token=t"')


@pytest.mark.parametrize(
    "headers",
    [
        ("access_token=t; access_token=t",),
        ("access_token=t; a=1; access_token=u",),
        ("access_token=t", "access_token=u"),
        ("access_token=; access_token=t",),
        ("access_token=t;access_token=",),
        ("access_token=t; access_token =u",),
    ],
)
def test_a_cookie_that_stands_twice_is_a_malformed_request(headers: tuple[str, ...]) -> None:
    with pytest.raises(MalformedRequestError, match="'access_token' stands more than once"):
        from_cookies(*headers)
    assert from_cookies("access_token=t; other=u") == Credential("t", "cookie")
    assert from_cookies("access_token; access_token=t") == Credential("t", "cookie")


@pytest.mark.parametrize(
    "value", [*(text for text in NO_TOKENS if ";" not in text), '"', '"t', 't"', '"t""', '""t""', "t,u"]
)
def test_a_cookie_that_holds_no_token_is_a_malformed_request(value: str) -> None:
    with pytest.raises(MalformedRequestError, match="holds something that is no token") as caught:
        parse_cookie_credential([b"access_token=" + value.encode("utf-8")], COOKIE)
    assert len(value) < 2 or value not in str(caught.value)


def test_bytes_of_other_cookies_do_not_matter() -> None:
    assert parse_cookie_credential([b"a=\xff\xfe; access_token=t; b=\0"], COOKIE) == Credential("t", "cookie")


@pytest.mark.parametrize("edge", ["X", "x", "_", "\x0b", "\x0c", "\r", "\u00a0", "."])
def test_only_spaces_and_tabs_may_stand_round_a_cookies_name(edge: str) -> None:
    for name in (f"{edge}{COOKIE}", f"{COOKIE}{edge}"):
        assert from_cookies(f"{name}=t") is None
        assert from_cookies(f"a=1; {name}=t; {COOKIE}=u") == Credential("u", "cookie")
    assert from_cookies(f"a=1;\t{COOKIE} = Xt.uX \t;b=2") == Credential("Xt.uX", "cookie")


def test_a_cookie_with_a_prefix_is_found_by_its_whole_name() -> None:
    header = [b"__Host-session=t; session=u"]
    assert parse_cookie_credential(header, "__Host-session") == Credential("t", "cookie")
    assert parse_cookie_credential(header, "session") == Credential("u", "cookie")


def test_no_repr_shows_the_token() -> None:
    credential = Credential("s3cret", "header")
    for text in (repr(credential), str(credential), f"{credential}", f"{[credential]}"):
        assert "s3cret" not in text
        assert "source='header'" in text


def test_a_challenge_without_an_error_is_bare() -> None:
    assert challenge() == "Bearer"
    assert challenge(scopes=[]) == "Bearer"
    assert challenge(scopes=["", '"', "é"]) == "Bearer"


def test_a_challenge_names_error_description_and_scopes_once_each() -> None:
    assert challenge("invalid_token") == 'Bearer error="invalid_token"'
    assert challenge("insufficient_scope", description="Needs more", scopes=["agents:read", "agents:run"]) == (
        'Bearer error="insufficient_scope", error_description="Needs more", scope="agents:read agents:run"'
    )
    assert challenge(scopes=iter(["a"])) == 'Bearer scope="a"'


@pytest.mark.parametrize(
    "evil", ['x" realm="y', "x\r\nSet-Cookie: a=b", "x\\", "x\0", "x\x7f", "x\u2028é", "\t", '\\"']
)
def test_no_text_breaks_out_of_its_quotes(evil: str) -> None:
    value = challenge(evil, description=evil, scopes=[evil, f"{evil} b", "ok"])
    match = re.fullmatch(r'Bearer error="([^"]*)", error_description="([^"]*)", scope="([^"]*)"', value)
    assert match
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", match[1] + match[2])
    assert re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*", match[3])
    assert match[3].endswith(" ok") or match[3] == "ok"


def test_what_the_grammar_does_not_allow_is_left_out_and_nothing_put_in_its_place() -> None:
    assert challenge("in\r\nvalid", description='say "no"\\é', scopes=["agents:\trun"]) == (
        'Bearer error="invalid", error_description="say no", scope="agents:run"'
    )


def test_every_character_that_the_grammar_allows_is_kept() -> None:
    scope = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"\\')
    assert challenge("e", description=f"a {scope} b", scopes=[scope]) == (
        f'Bearer error="e", error_description="a {scope} b", scope="{scope}"'
    )
