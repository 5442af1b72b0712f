"""Issuer metadata: where it is asked for, and that it is used only where it names the configured issuer."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from oidcbridge.core.metadata import (
    MAX_METADATA_BYTES,
    IssuerMetadata,
    as_browsers_reach,
    parse_metadata,
    well_known_urls,
)
from oidcbridge.errors import DiscoveryError

ISSUER = "https://id.example.com/realms/acme"
OPENID, RFC8414 = ".well-known/openid-configuration", ".well-known/oauth-authorization-server"


def document(**members: object) -> bytes:
    return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/certs", **members}).encode()


@pytest.mark.parametrize(
    ("issuer", "appended", "inserted"),
    [
        ("https://h", f"https://h/{OPENID}", f"https://h/{RFC8414}"),
        ("https://h/", f"https://h/{OPENID}", f"https://h/{RFC8414}"),
        ("https://h/a/b", f"https://h/a/b/{OPENID}", f"https://h/{RFC8414}/a/b"),
        ("https://h/a/b/", f"https://h/a/b/{OPENID}", f"https://h/{RFC8414}/a/b"),
        ("https://h:8443/a", f"https://h:8443/a/{OPENID}", f"https://h:8443/{RFC8414}/a"),
        ("http://[::1]:8080/a", f"http://[::1]:8080/a/{OPENID}", f"http://[::1]:8080/{RFC8414}/a"),
        ("https://h/a%20b", f"https://h/a%20b/{OPENID}", f"https://h/{RFC8414}/a%20b"),
        ("https://H/A", f"https://H/A/{OPENID}", f"https://H/{RFC8414}/A"),
        ("https://h/X/", f"https://h/X/{OPENID}", f"https://h/{RFC8414}/X"),
    ],
)
def test_discovery_is_appended_and_rfc_8414_inserted(issuer: str, appended: str, inserted: str) -> None:
    assert well_known_urls(issuer) == (appended, inserted)


def test_a_document_becomes_its_fields() -> None:
    metadata = parse_metadata(
        document(
            authorization_endpoint="https://id.example.com/auth",
            token_endpoint="https://id.example.com/token",
            device_authorization_endpoint="https://id.example.com/device",
            end_session_endpoint="https://id.example.com/logout",
            scopes_supported=["openid", "agents:run"],
            something_else={"a": [1]},
        ),
        ISSUER,
    )
    assert metadata == IssuerMetadata(
        issuer=ISSUER,
        jwks_uri=f"{ISSUER}/certs",
        authorization_endpoint="https://id.example.com/auth",
        token_endpoint="https://id.example.com/token",
        device_authorization_endpoint="https://id.example.com/device",
        end_session_endpoint="https://id.example.com/logout",
        scopes_supported=("openid", "agents:run"),
        document=metadata.document,
    )
    assert metadata.document["something_else"] == {"a": (1,)}
    assert "something_else" not in repr(metadata)
    with pytest.raises(FrozenInstanceError):
        metadata.issuer = "https://evil.test"  # type: ignore[misc]


def test_what_a_provider_does_not_say_is_none_or_nothing() -> None:
    bare = parse_metadata(json.dumps({"issuer": ISSUER}).encode(), ISSUER)
    assert bare == IssuerMetadata(ISSUER, None, document={"issuer": ISSUER})
    assert (bare.authorization_endpoint, bare.token_endpoint, bare.scopes_supported) == (None, None, ())
    assert (bare.device_authorization_endpoint, bare.end_session_endpoint) == (None, None)


@pytest.mark.parametrize("value", [None, "", 5, True, [], ["https://h"], {}, {"a": "b"}])
def test_an_endpoint_of_another_type_is_as_if_it_were_not_named(value: object) -> None:
    names = (
        *("jwks_uri", "authorization_endpoint", "token_endpoint"),
        *("device_authorization_endpoint", "end_session_endpoint"),
    )
    metadata = parse_metadata(document(**dict.fromkeys(names, value)), ISSUER)
    assert [getattr(metadata, name) for name in names] == [None] * 5
    assert parse_metadata(document(jwks_uri="https://h/jwks"), ISSUER).jwks_uri == "https://h/jwks"


@pytest.mark.parametrize(("value", "scopes"), [(None, ()), (5, ()), ([1, None], ()), (["a", "", "b"], ("a", "b"))])
def test_odd_scopes_are_left_out(value: object, scopes: tuple[str, ...]) -> None:
    assert parse_metadata(document(scopes_supported=value), ISSUER).scopes_supported == scopes


@pytest.mark.parametrize(
    "issuer",
    [
        *(None, "", 5, True, [], [ISSUER], {}, {ISSUER: ISSUER}),
        *(ISSUER + "/", ISSUER[:-1], ISSUER.upper(), "http" + ISSUER[5:], ISSUER.replace(".com", ".com:443")),
        *("https://id.example.com/realms/{tenantid}", " " + ISSUER, ISSUER + "?", "https://id.example.com"),
    ],
)
def test_a_document_of_another_issuer_is_refused_with_both_spellings(issuer: object) -> None:
    with pytest.raises(DiscoveryError, match="equal to the letter") as caught:
        parse_metadata(document(issuer=issuer), ISSUER)
    assert repr(ISSUER) in str(caught.value)
    assert isinstance(issuer, list | dict) or ascii(issuer) in str(caught.value)
    assert (caught.value.public_code, caught.value.retry_after) == ("provider_unavailable", 5)


@pytest.mark.parametrize("issuer", ["https://h/", "https://H/A", "http://127.0.0.1:8080/realms/a", "https://h/ü"])
def test_the_same_spelling_is_the_same_issuer(issuer: str) -> None:
    assert parse_metadata(document(issuer=issuer), issuer).issuer == issuer


def test_a_document_without_an_issuer_is_refused() -> None:
    with pytest.raises(DiscoveryError, match="calls itself None"):
        parse_metadata(b"{}", ISSUER)


def test_a_foreign_issuer_is_escaped_and_cut_in_the_message() -> None:
    with pytest.raises(DiscoveryError) as caught:
        parse_metadata(document(issuer="\r\n\u2028" * 5000), ISSUER)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"<html>sign in</html>", b"null", b"[]", b"{", b'{"issuer":1,"issuer":2}', b'{"issuer":"\xff"}'),
        *(document().decode().encode(encoding) for encoding in ("utf-16", "utf-8-sig")),
    ],
)
def test_what_is_no_strict_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(DiscoveryError, match="the discovery document is refused"):
        parse_metadata(data, ISSUER)


def test_a_document_may_have_256_kib_and_no_more() -> None:
    most = document() + b" " * (MAX_METADATA_BYTES - len(document()))
    assert len(most) == 262_144
    assert parse_metadata(most, ISSUER).issuer == ISSUER
    with pytest.raises(DiscoveryError, match="larger than 262144 bytes"):
        parse_metadata(most + b" ", ISSUER)


PUBLIC, INSIDE = "https://id.example.com", "http://keycloak:8080"
ASKED_INSIDE = f"{INSIDE}/realms/acme/{OPENID}"


def split(**endpoints: str) -> IssuerMetadata:
    """What Keycloak answers to one who asks by its internal name; ``endpoints`` say otherwise."""
    return IssuerMetadata(
        **{
            "issuer": ISSUER,
            "jwks_uri": f"{INSIDE}/certs",
            "authorization_endpoint": f"{PUBLIC}/auth",
            "token_endpoint": f"{INSIDE}/token?a=b",
            "device_authorization_endpoint": f"{INSIDE}/device",
            "end_session_endpoint": f"{PUBLIC}/logout",
            **endpoints,
        }  # type: ignore[arg-type]
    )


def test_endpoints_at_the_internal_name_are_shown_where_the_issuer_is() -> None:
    seen = as_browsers_reach(split(), discovery_url=ASKED_INSIDE, browser_url=None)
    assert seen == replace(
        split(), token_endpoint=f"{PUBLIC}/token?a=b", device_authorization_endpoint=f"{PUBLIC}/device"
    )
    assert seen.jwks_uri == f"{INSIDE}/certs", "keys are fetched by us, and no browser asks for them"


def test_a_browser_url_stands_for_the_issuers_origin_and_the_internal_one() -> None:
    seen = as_browsers_reach(split(), discovery_url=ASKED_INSIDE, browser_url="http://localhost:9000/")
    assert (seen.authorization_endpoint, seen.token_endpoint) == (
        "http://localhost:9000/auth",
        "http://localhost:9000/token?a=b",
    )
    unsplit = split(token_endpoint=f"{PUBLIC}/token")
    seen = as_browsers_reach(unsplit, discovery_url=None, browser_url="https://sso.example.com")
    assert (seen.token_endpoint, seen.end_session_endpoint) == (
        "https://sso.example.com/token",
        "https://sso.example.com/logout",
    )


@pytest.mark.parametrize("browser_url", [None, "https://sso.example.com"])
def test_endpoints_of_other_origins_and_missing_ones_stand(browser_url: str | None) -> None:
    elsewhere = IssuerMetadata(ISSUER, None, f"{PUBLIC}/auth", "https://oauth.example.net/token")
    for url in ("https://oauth.example.net/token", "https://id.example.com:8443/token", "https://[/", ""):
        shown = as_browsers_reach(
            replace(elsewhere, token_endpoint=url), discovery_url=ASKED_INSIDE, browser_url=browser_url
        )
        assert (shown.token_endpoint, shown.end_session_endpoint) == (url, None)


def test_where_browsers_are_not_sent_to_the_issuer_nothing_is_moved_there() -> None:
    # Entra's v1 issuer is sts.windows.net, where nobody can log in; discovery and login are at another origin.
    entra = IssuerMetadata(
        issuer="https://sts.windows.net/t/",
        jwks_uri=None,
        authorization_endpoint="https://login.microsoftonline.com/t/oauth2/authorize",
        token_endpoint="https://login.microsoftonline.com/t/oauth2/token",
    )
    asked = f"https://login.microsoftonline.com/t/{OPENID}"
    assert as_browsers_reach(entra, discovery_url=asked, browser_url=None) == entra


def test_without_a_split_the_document_stands() -> None:
    assert as_browsers_reach(split(), discovery_url=None, browser_url=None) == split()
