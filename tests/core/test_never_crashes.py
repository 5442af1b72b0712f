"""Whatever a stranger sends, these functions answer, or raise the one error they promise."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oidcbridge.core.bearer import challenge, parse_cookie_credential, parse_header_credential
from oidcbridge.core.claims import as_names, read_audience, read_each_client, read_names, read_path, read_string
from oidcbridge.core.keys import Key, parse_key_set
from oidcbridge.core.mapping import ClaimMapping, principal_from
from oidcbridge.core.metadata import parse_metadata
from oidcbridge.core.policy import Policy
from oidcbridge.core.static_keys import parse_verification_keys
from oidcbridge.core.strict_json import StrictJSONError, freeze, parse_json_object, thaw
from oidcbridge.core.token import parse_unverified
from oidcbridge.core.urls import check_url
from oidcbridge.core.verify import VerifiedToken, admit
from oidcbridge.errors import (
    ConfigurationError,
    DiscoveryError,
    KeysUnavailableError,
    MalformedRequestError,
    MalformedTokenError,
    TokenError,
)
from oidcbridge.profiles import PROFILES
from oidcbridge.testing import FakeKey

# Few examples: a new set of them in every run. Raise max_examples to search in earnest.
calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
leaves = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=12)
names = st.sampled_from(
    ["", "a", "a.b", "b", "sub", "iss", "aud", "exp", "nbf", "iat", "typ", "azp", "client_id", "roles"]
)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
GOOD_JWKS = [FakeKey.generate(alg, kid="k").public_jwk() for alg in ("RS256", "ES256", "Ed25519")]
MEMBERS = ["kty", "n", "e", "crv", "x", "y", "kid", "use", "alg", "key_ops", "d", "x5c"]
changed_jwks = st.builds(
    lambda jwk, changes: {**jwk, **changes},
    st.sampled_from(GOOD_JWKS),
    st.dictionaries(
        st.sampled_from(MEMBERS), json_values | st.sampled_from(["P-256", "RSA", "OKP", "AQAB", "sig"]), max_size=3
    ),
)


def is_refused_or_answered(call: Callable[..., Any], refusal: type[Exception], *arguments: object) -> None:
    with suppress(refusal):
        call(*arguments)


def segment(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@calm
@given(st.text(max_size=200) | st.text("abAB01-_.=", max_size=80) | st.binary(max_size=80))
def test_any_text_as_a_token(token: str | bytes) -> None:
    is_refused_or_answered(parse_unverified, MalformedTokenError, token)


@calm
@given(
    st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.binary(),
)
def test_any_bytes_as_the_parts_of_a_token(header: bytes, payload: bytes, signature: bytes) -> None:
    for parts in ((header, payload, signature), (b'{"alg":"RS256"}', header, signature)):
        is_refused_or_answered(parse_unverified, MalformedTokenError, ".".join(map(segment, parts)))


@calm
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "cty"]), json_values, max_size=4))
def test_any_values_in_a_header(header: dict[str, object]) -> None:
    token = f"{segment(json.dumps({'alg': 'RS256', **header}).encode())}.e30."
    is_refused_or_answered(parse_unverified, MalformedTokenError, token)


@calm
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_json(data: bytes) -> None:
    with suppress(StrictJSONError):
        value = parse_json_object(data)
        assert freeze(thaw(value)) == value
        json.dumps(thaw(value)).encode()


@calm
@given(st.binary(max_size=200))
def test_any_bytes_as_a_key_set_or_metadata(data: bytes) -> None:
    is_refused_or_answered(parse_key_set, KeysUnavailableError, data)
    is_refused_or_answered(parse_metadata, DiscoveryError, data, "https://h")


@calm
@given(st.lists(changed_jwks | json_values, max_size=4))
def test_any_entries_beside_a_good_key(entries: list[object]) -> None:
    def clean(value: object) -> object:
        """The same without what strict JSON refuses for the whole document."""
        return json.loads(json.dumps(value), parse_constant=str, parse_int=lambda digits: digits[:20])

    good = {**GOOD_JWKS[1], "kid": "the good one"}
    document = json.dumps({"keys": [good, *map(clean, entries)]}).encode("utf-8")
    key_set = parse_key_set(document)
    assert key_set.candidates("the good one", "ES256")
    for key in key_set.keys:
        for alg in key.algorithms:
            assert not key.checks[alg](b"message", b"\1" * 64)


@calm
@given(
    st.lists(st.binary(max_size=40) | st.text("Bearr tkn=.", max_size=20).map(str.encode), max_size=3), st.booleans()
)
def test_any_bytes_as_an_authorization_header(values: list[bytes], bare_token: bool) -> None:
    with suppress(MalformedRequestError):
        credential = parse_header_credential(values, bare_token=bare_token)
        assert credential is None or (credential.token.isascii() and " " not in credential.token)


@calm
@given(st.lists(st.binary(max_size=40) | st.text('ab=; "\t', max_size=20).map(str.encode), max_size=3))
def test_any_bytes_as_cookie_headers(headers: list[bytes]) -> None:
    with suppress(MalformedRequestError):
        credential = parse_cookie_credential(headers, "a")
        assert credential is None or credential.token.isascii()


@calm
@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_in_a_challenge(error: str, description: str, scopes: list[str]) -> None:
    value = challenge(error, description=description, scopes=scopes)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') in (4, 6)


@calm
@given(json_values, st.text("ab.{}client", max_size=12) | names)
def test_any_path_into_any_claims(value: object, path: str) -> None:
    for claims in ({"a": value, "b": {"a": value}, "aud": value}, freeze({"a": value, "a.b": {"b": value}})):
        read_path(claims, path)
        read_string(claims, (path, "a"))
        assert all(isinstance(name, str) for name in read_names(claims, (path, "a")))
        for client, roles in read_each_client(claims, f"{path}.{{client}}.a"):
            assert isinstance(client, str)
            assert isinstance(roles, tuple)
        assert isinstance(as_names(value), tuple)
        assert isinstance(read_audience(claims), tuple)


CLAIMS = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "azp",
    "client_id",
    "typ",
    "token_use",
    "cnf",
    "nonce",
    "jti",
    "sid",
]
MAPPED = ["scope", "roles", "groups", "realm_access", "resource_access", "org_id", "email", "_claim_names", "username"]


def only_key() -> Key:
    return parse_key_set(json.dumps({"keys": GOOD_JWKS[1:2]}).encode()).keys[0]


@calm
@given(
    st.dictionaries(st.sampled_from(CLAIMS + MAPPED), json_values, max_size=8),
    st.sampled_from(sorted(PROFILES)),
    st.sampled_from([None, "at+jwt"]),
    st.booleans(),
)
def test_any_claims_before_the_judge_and_the_mapping(
    claims: dict[str, Any], profile: str, typ: Any, named: bool
) -> None:
    row = PROFILES[profile]
    policy = Policy(
        issuer="https://h" if named else None,
        audiences=frozenset({"api"}) if named else None,
        algorithms=frozenset({"RS256"}),
        client_ids=frozenset() if named else frozenset({"c"}),
        token_type=typ,
        rules=row.rules,
    )
    good = {
        "iss": "https://h",
        "aud": "api",
        "azp": "c",
        "client_id": "c",
        "exp": 100,
        "typ": "Bearer",
        "token_use": "access",
    }
    header = {"alg": "RS256", **({"typ": typ} if typ else {})}
    payload = json.dumps({**good, **claims}).encode()
    with suppress(TokenError):
        token = parse_unverified(f"{segment(json.dumps(header).encode())}.{segment(payload)}.")
        verified = VerifiedToken(token.claims, 0.0, 0.0, only_key())
        with suppress(TokenError):
            assert principal_from(verified, row.mapping).user_id
        with suppress(TokenError):
            assert principal_from(verified, ClaimMapping(tenants=frozenset({"t"}), user_id=("email", "sub"))).user_id
        admit(token, policy, now=50.0)


@calm
@given(st.text(max_size=40) | st.text("htps:/[]@#?.%\\ 0", max_size=30))
def test_any_text_as_a_url(url: str) -> None:
    for text in (url, f"https://{url}", f"http://localhost{url}"):
        is_refused_or_answered(lambda text: check_url(text, name="url", allow_http=False), ConfigurationError, text)


@calm
@given(st.lists(st.binary(max_size=80) | st.text(max_size=80), max_size=3), st.sampled_from(["RS256", "HS256"]))
def test_any_text_as_a_static_key(values: list[str | bytes], alg: str) -> None:
    is_refused_or_answered(parse_verification_keys, ConfigurationError, values, frozenset({alg}))
    pem = [f"-----BEGIN PUBLIC KEY-----\n{value!r}" for value in values]
    is_refused_or_answered(parse_verification_keys, ConfigurationError, pem, frozenset({alg}))
