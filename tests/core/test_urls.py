"""Which URLs may be fetched at all: https, or http to this very machine."""

from __future__ import annotations

import pytest

from oidcbridge.core.urls import check_issuer_urls, check_url, is_loopback, origin_of
from oidcbridge.errors import ConfigurationError


def refused(url: str, reason: str, *, allow_http: bool = False) -> None:
    with pytest.raises(ConfigurationError, match=rf"^jwks_uri.*{reason}"):
        check_url(url, name="jwks_uri", allow_http=allow_http)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_this_machine_goes_by_these_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            None,
            "",
            "localhost.",
            "localhost.evil.test",
            "evil-localhost",
            "127.0.0.1.evil.test",
            "127.1",
            "2130706433",
        ),
        *("0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "192.168.0.1", "128.0.0.1", "0x7f000001", "::2", "LOCALHOST"),
    ],
)
def test_any_other_host_is_another_machine(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://id.example.com",
            "https://id.example.com/",
            "https://id.example.com:8443/a/b?c=d",
            "HTTPS://ID.EXAMPLE",
        ),
        *("https://[2001:db8::1]/jwks", "https://10.0.0.1/jwks", "https://xn--bcher-kva.example/"),
        *("http://localhost:8080/realms/a", "http://127.0.0.1:1", "http://[::1]/", "HTTP://LOCALHOST/"),
    ],
)
def test_https_anywhere_and_http_to_this_machine_are_allowed(url: str) -> None:
    check_url(url, name="jwks_uri", allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        *("http://id.example.com/", "http://10.0.0.1/", "http://keycloak:8080/", "http://169.254.169.254/latest"),
        *("http://localhost.evil.test/", "http://127.0.0.1.evil.test/", "http://0.0.0.0/", "http://127.1/"),
        *("http://%6cocalhost/", "http://localhost\\.evil.test/", "http://[::ffff:a00:1]/"),
    ],
)
def test_http_to_another_machine_needs_a_setting_that_says_insecure(url: str) -> None:
    refused(url, "insecure_allow_http=True")
    check_url(url, name="jwks_uri", allow_http=True)


@pytest.mark.parametrize("allow_http", [False, True])
@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "id.example.com",
            "//id.example.com",
            "/jwks",
            "https:",
            "https://",
            "https:///jwks",
            "https://:443/",
            "https:/h",
        ),
        *(
            "file:///etc/passwd",
            "ftp://h/jwks",
            "data:application/json,{}",
            "gopher://h",
            "javascript:1",
            "httpss://h",
            "ws://h",
        ),
    ],
)
def test_what_is_no_absolute_http_url_is_refused(url: str, allow_http: bool) -> None:
    refused(url, "absolute https:// URL", allow_http=allow_http)


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://h:port/", "https://h:99999/", "https://h:-1/", "https://[x]/"]
)
def test_what_is_no_url_at_all_is_refused(url: str) -> None:
    refused(url, "is not a URL")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://h/a b",
            "https://h/a\n",
            "https://h/\r\nX: y",
            "https://h/\0",
            "https://h/\t",
            "\thttps://h/",
            "ht\ntps://h/",
        ),
        *("https://bücher.example/", "https://h/ü", "https://h/\u2028", "https://h/\x7f", "https://h\u3002evil.test/"),
    ],
)
def test_blanks_control_and_foreign_characters_are_refused(url: str) -> None:
    refused(url, "no blanks and no control or non-ASCII")


@pytest.mark.parametrize(
    "url",
    [
        *("https://user@h/", "https://user:s3cret@h/", "https://@h/", "https://:@h/", "https://localhost@evil.test/"),
        *("https://h/#x", "https://h/#", "https://h#@evil.test/", "http://localhost\\@evil.test/"),
    ],
)
def test_a_user_name_or_a_fragment_is_refused_and_not_repeated(url: str) -> None:
    refused(url, "no user name and no fragment")
    with pytest.raises(ConfigurationError) as caught:
        check_url(url, name="issuer_url", allow_http=True)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://id.example.com/realms/a?b=c", "https://id.example.com"),
        ("HTTPS://ID.Example.com:443", "https://id.example.com"),
        ("http://keycloak:8080/", "http://keycloak:8080"),
        ("http://h:80/", "http://h"),
        ("https://h:80/", "https://h:80"),
        ("http://h:443/", "http://h:443"),
        ("http://[::1]:8080/a", "http://[::1]:8080"),
        ("https://user:word@h/", "https://h"),
    ],
)
def test_an_origin_is_scheme_host_and_port_in_one_spelling(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["", "/token", "https://", "https://[/", "https://h:x/", "javascript:1", "ftp://h/"])
def test_what_is_no_http_url_has_no_origin(url: str) -> None:
    assert origin_of(url) is None


ISSUER = "https://id.example.com/realms/acme"


def check_issuer(**urls: object) -> None:
    named = {"issuer_url": ISSUER, "discovery_url": None, "jwks_uri": None, "browser_url": None, "allow_http": False}
    check_issuer_urls(**{**named, **urls})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["issuer_url", "discovery_url", "jwks_uri", "browser_url"])
def test_each_url_of_an_issuer_is_checked_under_its_own_name(name: str) -> None:
    check_issuer(**{name: "https://h"})
    check_issuer(**{name: "http://h", "allow_http": True})
    for wrong in ("http://h", "ftp://h", "https://h/#x", "https://u@h", 5, True, ["https://h"]):
        with pytest.raises(ConfigurationError, match=f"^{name} "):
            check_issuer(**{name: wrong})


def test_the_message_says_what_plain_http_would_let_a_stranger_do() -> None:
    with pytest.raises(ConfigurationError, match="could install signing keys"):
        check_issuer(jwks_uri="http://h/jwks")
    with pytest.raises(ConfigurationError, match="could read passwords and codes"):
        check_issuer(browser_url="http://h")


@pytest.mark.parametrize("name", ["discovery_url", "jwks_uri", "browser_url"])
def test_where_an_issuer_is_reached_needs_an_issuer(name: str) -> None:
    check_issuer(issuer_url=None)
    with pytest.raises(ConfigurationError, match="write issuer_url too"):
        check_issuer(**{name: "https://h", "issuer_url": None})


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        (f"{ISSUER}/.well-known/openid-configuration", "the part before '/.well-known/'"),
        (f"{ISSUER}?tenant=acme", "no query part"),
        (f"{ISSUER}?", "no query part"),
        ("https://login.example.com/{tenantid}/v2.0", "is a template"),
    ],
)
def test_a_url_that_can_be_no_issuer_is_refused_with_what_to_write(issuer: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        check_issuer(issuer_url=issuer)


def test_a_browser_url_is_an_origin() -> None:
    for origin in ("https://id.example.com", "https://id.example.com/", "http://localhost:8080"):
        check_issuer(browser_url=origin)
    for path in ("/realms/acme", "/X", "//a", "?", "/?a=b"):
        wrong = f"https://id.example.com{path}"
        with pytest.raises(ConfigurationError, match=r"write browser_url='https://id\.example\.com'"):
            check_issuer(browser_url=wrong)
