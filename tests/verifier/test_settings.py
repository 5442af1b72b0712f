"""What a user may write: each mistake is named on the line that makes it, with what to write instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from oidcbridge import ClaimMapping, ConfigurationError, FetchOptions, Issuer, Profile, Verifier
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS
from oidcbridge.settings import Settings, resolve
from oidcbridge.stores import FileKeyStore
from oidcbridge.testing import FakeKey

URL = "https://id.example.com/realms/acme"
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf123"
GOOD: dict[str, Any] = {"issuer_url": URL, "audience": "agent-api"}
SECRET = "a shared secret of at least thirty-two bytes"
PUBLIC = FakeKey.generate("ES256")
JWKS = {"keys": [PUBLIC.public_jwk()]}
ACME = Issuer(issuer_url=URL, audience="agent-api", name="acme")
OTHER = Issuer(issuer_url="https://other.example.com", audience="agent-api", name="other")


async def anxious(_event: object) -> None:
    """No observer: nobody would await it."""


class Anxious:
    """Neither is this."""

    async def __call__(self, _event: object) -> None:
        """Never awaited."""


def build(**arguments: Any) -> Settings:
    return resolve(arguments, {})  # type: ignore[arg-type]


REFUSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": ({}, ("issuer_url=", "audience=", "OIDCBRIDGE_ISSUER_URL")),
    "only an audience": ({"audience": "agent-api"}, ("issuer_url=",)),
    "an issuer that is None": ({"issuer_url": None, "audience": "agent-api"}, ("issuer_url=",)),
    "no audience": ({"issuer_url": URL}, ('audience="agent-api"', "audience=None", "client_ids=")),
    "audience None alone": ({"issuer_url": URL, "audience": None}, ("client_ids=",)),
    "client_ids without a word on the audience": ({"issuer_url": URL, "client_ids": ["ui"]}, ("audience=None",)),
    "an empty audience": ({**GOOD, "audience": ""}, ('audience="agent-api"',)),
    "an empty list of audiences": ({**GOOD, "audience": []}, ('audience="agent-api"',)),
    "an audience that is None in a list": ({**GOOD, "audience": ["api", None]}, ('audience="agent-api"',)),
    "an audience that is no text": ({**GOOD, "audience": 7}, ('audience="agent-api"',)),
    "an audience in bytes": ({**GOOD, "audience": b"agent-api"}, ('audience="agent-api"',)),
    "a client id that is None": ({**GOOD, "client_ids": [None]}, ("client_ids=[",)),
    "an empty client id": ({**GOOD, "client_ids": [""]}, ("client_ids=[",)),
    "a tenant that is None": ({**GOOD, "tenants": [None]}, ("tenants=[",)),
    "cognito with neither": ({"issuer_url": COGNITO}, ("cognito", "client_ids=")),
    "cognito with an audience alone": ({"issuer_url": COGNITO, "audience": "https://api"}, ("client_ids=",)),
    "plain http": ({**GOOD, "issuer_url": "http://id.example.com"}, ("https", "insecure_allow_http=True")),
    "no scheme": ({**GOOD, "issuer_url": "id.example.com"}, ("issuer_url", "https://")),
    "another scheme": ({**GOOD, "issuer_url": "ftp://id.example.com"}, ("https://",)),
    "an empty issuer": ({**GOOD, "issuer_url": ""}, ("issuer_url", "https://")),
    "an issuer that is no text": ({**GOOD, "issuer_url": Path("/x")}, ("issuer_url=str(",)),
    "a user name in it": ({**GOOD, "issuer_url": "https://u:p@id.example.com"}, ("no user name",)),
    "a fragment": ({**GOOD, "issuer_url": f"{URL}#x"}, ("no fragment",)),
    "a query": ({**GOOD, "issuer_url": f"{URL}?x=1"}, ("no query",)),
    "blanks": ({**GOOD, "issuer_url": f"{URL} "}, ("no blanks",)),
    "no URL at all": ({**GOOD, "issuer_url": "https://[id"}, ("issuer_url is not a URL",)),
    "a discovery address": (
        {**GOOD, "issuer_url": f"{URL}/.well-known/openid-configuration"},
        ("before '/.well-known/'",),
    ),
    "a template": ({**GOOD, "issuer_url": "https://login.example.com/{tenantid}/v2.0"}, ("your tenant's own issuer",)),
    "discovery over http": ({**GOOD, "discovery_url": "http://idp.internal/d"}, ("discovery_url", "https")),
    "keys over http": ({**GOOD, "jwks_uri": "http://idp.internal/keys"}, ("jwks_uri", "https")),
    "keys from a file by URL": ({**GOOD, "jwks_uri": "file:///keys"}, ("jwks_uri", "https://")),
    "keys without their issuer": ({"jwks": JWKS, "jwks_uri": "https://id.example.com/keys"}, ("write issuer_url too",)),
    "a discovery_url without its issuer": (
        {"verification_keys": [PUBLIC.public_pem()], "discovery_url": "https://id.example.com/d"},
        ("discovery_url", "write issuer_url too"),
    ),
    "a provider in a list": ({**GOOD, "provider": ["keycloak"]}, ("['keycloak']", "auto")),
    "an unknown provider": ({**GOOD, "provider": "keyclock"}, ("keyclock", "keycloak", "auto")),
    "an unknown algorithm": ({**GOOD, "algorithms": ["RS257"]}, ("RS257", "RS256")),
    "no signature at all": ({**GOOD, "algorithms": ["none"]}, ("none", "RS256")),
    "no algorithm": ({**GOOD, "algorithms": []}, ('algorithms=["RS256"',)),
    "both spellings": ({**GOOD, "algorithm": "RS256", "algorithms": ["RS256"]}, ("algorithm=", "algorithms=", "one")),
    "a shared secret's algorithm for an issuer": ({**GOOD, "algorithms": ["HS256"]}, ("verification_keys=",)),
    "a shared secret's algorithm for a key set": ({"jwks": JWKS, "algorithm": "HS256"}, ("verification_keys=",)),
    "both kinds of algorithm": (
        {"verification_keys": [SECRET], "algorithms": ["HS256", "RS256"]},
        ("choose one kind",),
    ),
    "a short secret": ({"secret_key": "short"}, ("at least 32",)),
    "a public key as a secret": ({"secret_key": PUBLIC.public_pem()}, ('algorithm="RS256"',)),
    "a secret as a public key": ({"verification_keys": SECRET}, ('algorithm="HS256"',)),
    "a private key": (
        {"verification_keys": PUBLIC.private_key.as_pem(private=True)},  # type: ignore[union-attr]
        ("private key", "openssl pkey"),
    ),
    "no verification keys": ({"verification_keys": []}, ("verification_keys is empty",)),
    "two names for a secret": ({"secret_key": SECRET, "verification_keys": [SECRET]}, ("secret_key=", "one of them")),
    "keys from two places": ({**GOOD, "jwks": JWKS, "jwks_uri": "https://id.example.com/keys"}, ("jwks=", "jwks_uri=")),
    "a key set without keys": ({**GOOD, "jwks": {"keys": []}}, ("jwks", "no usable signing key")),
    "a key set that is none": ({**GOOD, "jwks": '{"kyes": []}'}, ("jwks", "'keys'")),
    "a key set that is no JSON": ({**GOOD, "jwks": "keys"}, ("jwks", "JSON")),
    "a key set of objects": ({**GOOD, "jwks": {"keys": [PUBLIC]}}, ("jwks", '{"keys": […]}')),
    "a private key in a key set": (
        {**GOOD, "jwks": {"keys": [PUBLIC.private_key.as_dict(private=True)]}},
        ("private key in a public set",),
    ),
    "a missing file": (
        {**GOOD, "jwks_file": "/nonexistent/keys.json"},
        ("jwks_file /nonexistent/keys.json", "No such"),
    ),
    "a folder for a file": ({**GOOD, "jwks_file": "/"}, ("jwks_file /", "directory")),
    "a missing authority file": (
        {**GOOD, "fetch": FetchOptions(ca_file="/nonexistent/ca.pem")},
        ("ca_file", "/nonexistent/ca.pem"),
    ),
    "options that are none": ({**GOOD, "fetch": {"deadline": 1}}, ("FetchOptions(",)),
    "another token type": ({**GOOD, "token_type": "JWT"}, ('"at+jwt"',)),
    "a negative leeway": ({**GOOD, "leeway": -1}, ("0 to 300",)),
    "a long leeway": ({**GOOD, "leeway": 300.1}, ("0 to 300",)),
    "a leeway that is no number": ({**GOOD, "leeway": "60"}, ("0 to 300",)),
    "a leeway that is not a number": ({**GOOD, "leeway": float("nan")}, ("0 to 300",)),
    "a leeway that is true": ({**GOOD, "leeway": True}, ("0 to 300",)),
    "a negative cache": ({**GOOD, "token_cache": -1}, ("0 turns it off",)),
    "a cache that is true": ({**GOOD, "token_cache": True}, ("0 turns it off",)),
    "a cache that is no number": ({**GOOD, "token_cache": "many"}, ("0 turns it off",)),
    "a kind of store for a store": ({**GOOD, "key_store": FileKeyStore}, ("key_store=", "RedisKeyStore")),
    "a store that is none": ({**GOOD, "key_store": 7}, ("key_store=", "directory")),
    "an observer that waits": ({**GOOD, "observer": anxious}, ("plain function",)),
    "an observer that waits when called": ({**GOOD, "observer": Anxious()}, ("plain function",)),
    "an observer that cannot be called": ({**GOOD, "observer": "log"}, ("plain function",)),
    "an empty claim path": ({**GOOD, "roles_claim": ""}, ("roles_claim=",)),
    "no claim path": ({**GOOD, "user_id_claim": []}, ("user_id_claim=",)),
    "a claim path that is None": ({**GOOD, "tenant_claim": ["org_id", None]}, ("tenant_claim=",)),
    "one name for a list of claims": ({**GOOD, "dependencies_claims": "email"}, ('dependencies_claims=["email"]',)),
    "a claim that is no text": ({**GOOD, "session_state_claims": {"email": 7}}, ("session_state_claims=[",)),
    "an empty claim": ({**GOOD, "dependencies_claims": [""]}, ("dependencies_claims=[",)),
    "no issuers": ({"issuers": []}, ("at least one Issuer",)),
    "issuers that are URLs": ({"issuers": [URL]}, ("issuers=[Issuer(",)),
    "issuers that is one": ({"issuers": ACME}, ("issuers=[Issuer(",)),
    "the same issuer twice": (
        {"issuers": [ACME, Issuer(issuer_url=URL, audience="b", name="b")]},
        ("each issuer_url once",),
    ),
    "the same name twice": (
        {"issuers": [ACME, Issuer(issuer_url="https://b.example", audience="b", name="acme")]},
        ("name of its own",),
    ),
    "a name with a colon": ({"issuers": [Issuer(issuer_url=URL, audience="a", name="a:b")]}, ("without a colon",)),
    "no name": ({"issuers": [Issuer(issuer_url=URL, audience="a", name="")]}, ("name of its own",)),
    "the name that marks machines": ({"issuers": [Issuer(issuer_url=URL, audience="a", name="client")]}, ("machines",)),
    "an issuer without audience": ({"issuers": [Issuer(issuer_url=URL, name="acme")]}, ("audience is missing",)),
    "an issuer without audience and clients": (
        {"issuers": [Issuer(issuer_url=URL, name="acme", audience=None)]},
        ("client_ids=",),
    ),
    "issuers beside an issuer": ({"issuers": [ACME], "issuer_url": URL}, ("issuers=", "issuer_url=", "each Issuer")),
    "issuers beside an audience": ({"issuers": [ACME], "audience": "agent-api"}, ("audience=", "each Issuer")),
    "issuers beside a mapping": ({"issuers": [ACME], "roles_claim": "r"}, ("roles_claim=", "each Issuer")),
    "issuers beside keys": ({"issuers": [ACME], "verification_keys": [SECRET]}, ("verification_keys=", "each Issuer")),
    "one bad issuer among good ones": (
        {"issuers": [ACME, Issuer(issuer_url="http://other.example", audience="b", name="b")]},
        ("plain http", "other.example"),
    ),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "issuer and audience": GOOD,
    "several audiences": {**GOOD, "audience": ("agent-api", "https://api.acme.example")},
    "no audience but clients": {"issuer_url": URL, "audience": None, "client_ids": ["agent-ui"]},
    "one client in a string": {**GOOD, "client_ids": "agent-ui"},
    "cognito by its clients": {"issuer_url": COGNITO, "client_ids": ["57cbishk4j24pabc1234567890"]},
    "cognito with both": {"issuer_url": COGNITO, "audience": "https://api", "client_ids": ["57cbishk4j24"]},
    "http on loopback": {**GOOD, "issuer_url": "http://127.0.0.1:8080/realms/agents"},
    "http by name on loopback": {**GOOD, "issuer_url": "http://localhost:8080/realms/agents"},
    "http by number on loopback": {**GOOD, "issuer_url": "http://[::1]:8080/realms/agents"},
    "http said aloud": {**GOOD, "issuer_url": "http://idp.internal", "fetch": FetchOptions(insecure_allow_http=True)},
    "keys from elsewhere": {**GOOD, "jwks_uri": "https://inside.example/keys"},
    "keys and metadata from elsewhere": {
        **GOOD,
        "jwks_uri": "https://inside.example/keys",
        "discovery_url": "https://inside.example/d",
    },
    "a key set": {**GOOD, "jwks": JWKS},
    "a read-only key set": {**GOOD, "jwks": MappingProxyType({"keys": (MappingProxyType(PUBLIC.public_jwk()),)})},
    "a key set as text": {**GOOD, "jwks": json.dumps(JWKS)},
    "a key set without an issuer": {"jwks": JWKS},
    "a public key": {"verification_keys": PUBLIC.public_pem()},
    "public keys": {"verification_keys": [PUBLIC.public_pem(), FakeKey.generate("EdDSA").public_pem()]},
    "a public key with an issuer": {**GOOD, "verification_keys": PUBLIC.public_pem()},
    "a secret by the older name": {"secret_key": SECRET},
    "a public key by the older name": {"secret_key": PUBLIC.public_pem(), "algorithm": "ES256"},
    "secrets": {"verification_keys": [SECRET, SECRET.encode() * 2], "algorithms": ["HS256", "HS512"]},
    "an algorithm": {**GOOD, "algorithm": "ES256"},
    "a provider": {**GOOD, "provider": "generic"},
    "a provider of one's own": {**GOOD, "provider": Profile(name="own", mapping=ClaimMapping(user_id=("uid",)))},
    "strictness": {**GOOD, "token_type": "at+jwt"},
    "no leeway": {**GOOD, "leeway": 0},
    "the longest leeway": {**GOOD, "leeway": 300},
    "no cache": {**GOOD, "token_cache": 0},
    "claim paths": {**GOOD, "roles_claim": ["realm_access.roles", "https://acme.example/roles"]},
    "renamed claims": {
        **GOOD,
        "dependencies_claims": {"email": "https://ns/email"},
        "session_state_claims": ["a", "b"],
    },
    "what is None is not said": {
        **GOOD,
        "jwks_uri": None,
        "provider": None,
        "leeway": None,
        "issuers": None,
        "fetch": None,
        "clock": None,
        "token_cache": None,
        "dependencies_claims": None,
    },
    "several issuers": {"issuers": [ACME, OTHER], "leeway": 10, "token_cache": 5, "fetch": FetchOptions(deadline=3)},
    "an issuer without audience but clients": {
        "issuers": [OTHER, Issuer(issuer_url=URL, name="acme", audience=None, client_ids=["agent-ui"])]
    },
    "cognito among them": {"issuers": [OTHER, Issuer(issuer_url=COGNITO, name="pool", client_ids=["57cb"])]},
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_with_what_to_write_instead(mistake: str) -> None:
    arguments, words = REFUSED[mistake]
    with pytest.raises(ConfigurationError) as caught:
        build(**arguments)
    for word in words:
        assert word in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("name", ACCEPTED)
def test_its_good_twin_builds_a_verifier(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDCBRIDGE_NONSENSE", "is not even looked at")
    assert build(**ACCEPTED[name]).issuers
    verifier = Verifier(**ACCEPTED[name])
    assert SECRET not in repr(verifier)


@pytest.mark.parametrize("name", ["issuer", "audiences", "verify", "_clock", "validate"])
def test_an_unknown_argument_is_a_type_error_as_python_has_it(name: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        Verifier(**{**GOOD, name: 1})


def test_the_defaults_are_those_of_the_table() -> None:
    settings = build(**GOOD)
    [issuer] = settings.issuers
    assert settings.token_cache == 10_000
    assert settings.fetch == FetchOptions()
    assert issuer.policy.leeway == 60.0
    assert issuer.policy.algorithms == ASYMMETRIC_ALGORITHMS
    assert not any(name.startswith("HS") or name == "none" for name in issuer.policy.algorithms)
    assert (issuer.policy.token_type, issuer.policy.client_ids) == (None, frozenset())
    assert (issuer.keys, issuer.jwks_uri, issuer.discovery_url) == (None, None, None)


def test_a_file_of_keys_is_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(JWKS))
    for spelling in (file, str(file)):
        [issuer] = build(**GOOD, jwks_file=spelling).issuers
        assert issuer.keys is not None
        assert [key.kid for key in issuer.keys.keys] == [PUBLIC.kid]
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match="jwks_file: the key set has no 'keys'"):
        build(**GOOD, jwks_file=file)


def test_leeway_is_for_all_issuers_and_the_rest_for_each() -> None:
    arguments: Mapping[str, Any] = {
        "issuers": [ACME, Issuer(issuer_url=COGNITO, name="pool", client_ids="57cb", algorithms="RS256")],
        "leeway": 5,
    }
    acme, pool = build(**arguments).issuers
    assert (acme.policy.leeway, pool.policy.leeway) == (5.0, 5.0)
    assert (acme.profile.name, pool.profile.name) == ("keycloak", "cognito")
    assert (acme.policy.audiences, pool.policy.audiences) == (frozenset({"agent-api"}), None)
    assert pool.policy.algorithms == {"RS256"}
    assert (acme.mapping.user_id_prefix, pool.mapping.user_id_prefix) == ("acme:", "pool:")


def test_the_roles_of_ones_own_client_are_known_by_the_audience() -> None:
    [issuer] = build(**GOOD).issuers
    assert issuer.mapping.own_clients == {"agent-api"}
