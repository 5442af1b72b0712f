"""`JWTMiddleware` takes what agno's takes: the same constructor, and keys wherever they stand."""

from __future__ import annotations

import asyncio
import inspect
import time
from enum import Enum
from pathlib import Path
from typing import Any

import jwt
import pytest
from agno.os.middleware.jwt import AuthMiddleware
from fastapi import FastAPI
from fastapi.testclient import TestClient

from oidcbridge import ConfigurationError
from oidcbridge.agentos import JWTMiddleware
from oidcbridge.agentos.jwt_arguments import MoreArguments
from oidcbridge.arguments import MiddlewareArguments
from oidcbridge.testing import FakeKey, auth_header
from tests.agentos.jwt_kit import (
    OTHER,
    SECRET,
    client_of,
    key_file,
    private_pem,
    status,
    token,
)

KEY, OTHER_KEY = FakeKey.generate("ES256", "key-1"), FakeKey.generate("ES256", "key-2")
PEM = KEY.public_pem()


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


def differences(theirs: inspect.Signature, ours: inspect.Signature) -> list[str]:
    """What of ``theirs`` is not in ``ours``, not at its place, or has another default."""
    places = {name: place for place, name in enumerate(ours.parameters)}
    return [
        name
        for place, (name, parameter) in enumerate(theirs.parameters.items())
        if places.get(name) != place or plain(parameter.default) != plain(ours.parameters[name].default)
    ]


def plain(default: object) -> object:
    return default.value if isinstance(default, Enum) else default


def test_the_constructor_has_agnos_parameters_in_agnos_order_with_agnos_defaults() -> None:
    ours = inspect.signature(JWTMiddleware.__init__)
    assert differences(inspect.signature(AuthMiddleware.__init__), ours) == []


@pytest.mark.parametrize("change", ["added", "other default", "moved"])
def test_that_comparison_sees_what_agno_might_change(change: str) -> None:
    theirs = inspect.signature(AuthMiddleware.__init__)
    parameters = list(theirs.parameters.values())
    if change == "added":
        parameters.append(inspect.Parameter("jwks_url", inspect.Parameter.KEYWORD_ONLY, default=None))
    elif change == "other default":
        parameters[4] = parameters[4].replace(default="ES256")
    else:
        parameters[2:4] = reversed(parameters[2:4])
    assert differences(theirs.replace(parameters=parameters), inspect.signature(JWTMiddleware.__init__)) != []


def test_every_argument_of_our_own_middleware_is_taken_and_no_other() -> None:
    named = inspect.signature(JWTMiddleware.__init__).parameters.keys()
    assert MiddlewareArguments.__annotations__.keys() <= named | MoreArguments.__annotations__.keys()
    assert MoreArguments.__annotations__.keys() <= MiddlewareArguments.__annotations__.keys()
    assert not named & MoreArguments.__annotations__.keys()
    with pytest.raises(TypeError, match="jwks_url"):
        JWTMiddleware(FastAPI(), secret_key=SECRET, jwks_url="https://id.test/jwks")  # type: ignore[call-arg]


# Keys


@pytest.mark.parametrize(
    ("said", "environment", "key", "stranger"),
    [
        ({"verification_keys": [SECRET], "algorithm": "HS256"}, {}, SECRET, OTHER),
        ({"verification_keys": [OTHER + "2", SECRET], "algorithm": "HS256"}, {}, SECRET, OTHER),
        ({"secret_key": SECRET}, {}, SECRET, OTHER),
        ({"secret_key": SECRET, "algorithm": "HS256"}, {}, SECRET, OTHER),
        ({"verification_keys": [PEM], "algorithm": "ES256"}, {}, KEY, OTHER_KEY),
        ({}, {"JWT_SECRET_KEY": SECRET}, SECRET, OTHER),
        ({"algorithm": "HS256"}, {"JWT_VERIFICATION_KEY": SECRET}, SECRET, OTHER),
        ({"algorithm": "ES256"}, {"JWT_VERIFICATION_KEY": PEM}, KEY, OTHER_KEY),
        ({"jwks_file": "FILE", "algorithm": "ES256"}, {}, KEY, OTHER_KEY),
        ({"algorithm": "ES256"}, {"JWT_JWKS_FILE": "FILE"}, KEY, OTHER_KEY),
        ({"algorithm": "ES256"}, {"JWT_JWKS_FILE": "FILE", "JWT_SECRET_KEY": SECRET}, KEY, SECRET),
        ({"algorithm": "ES256"}, {"OIDCBRIDGE_JWKS_FILE": "FILE", "JWT_SECRET_KEY": SECRET}, KEY, SECRET),
        ({"secret_key": SECRET}, {"JWT_SECRET_KEY": OTHER, "JWT_VERIFICATION_KEY": OTHER}, SECRET, OTHER),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_token_of_a_key_that_is_given_passes_and_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    environment: dict[str, str],
    key: FakeKey | str,
    stranger: FakeKey | str,
) -> None:
    file = key_file(tmp_path, KEY)
    for name, value in environment.items():
        monkeypatch.setenv(name, file if value == "FILE" else value)
    client = client_of(**{name: file if value == "FILE" else value for name, value in said.items()})
    answer = client.get("/me", headers=auth_header(token(key)))
    assert (answer.status_code, answer.json()["user"]) == (200, "ada")
    assert status(client, token(stranger)) == 401
    assert status(client, token(key, exp=int(time.time()) - 600)) == 401
    assert status(client, token(key, exp=None)) == 401
    refused = client.get("/me")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


def test_without_a_word_about_the_algorithm_keys_are_for_rs256() -> None:
    rsa = FakeKey.generate("RS256")
    client = client_of(verification_keys=[rsa.public_pem()])
    assert status(client, token(rsa)) == 200
    other = jwt.encode({"sub": "ada", "exp": int(time.time()) + 600}, private_pem(rsa), algorithm="RS512")
    assert status(client, other) == 401


def test_a_token_whose_key_the_file_lacks_is_tried_with_the_keys_beside_it(tmp_path: Path) -> None:
    both = {"jwks_file": key_file(tmp_path, KEY), "verification_keys": [OTHER_KEY.public_pem()], "algorithm": "ES256"}
    client = client_of(**both)
    assert [status(client, token(key)) for key in (KEY, OTHER_KEY, FakeKey.generate("ES256"))] == [200, 200, 401]
    forged = FakeKey("key-1", "ES256", FakeKey.generate("ES256").private_key)
    assert status(client, token(forged)) == 401
    assert status(client, token(OTHER_KEY, exp=int(time.time()) - 600)) == 401


def test_of_a_file_and_keys_beside_it_both_ask_for_issuer_and_audience(tmp_path: Path) -> None:
    both = {"jwks_file": key_file(tmp_path, KEY), "verification_keys": [OTHER_KEY.public_pem()], "algorithm": "ES256"}
    client = client_of(**both, issuer="our-login", audience="api", audience_claim="for")
    good = {"iss": "our-login", "for": "api"}
    for key in (KEY, OTHER_KEY):
        assert status(client, token(key, **good)) == 200
        for bad in ({"iss": "their-login"}, {"iss": None}, {"for": "other"}, {"for": None}):
            assert status(client, token(key, **{**good, **bad})) == 401


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "JWT_VERIFICATION_KEY"),
        ({"security_key": "s3cret"}, "JWT_VERIFICATION_KEY"),
        ({"verification_keys": [SECRET]}, 'algorithm="HS256"'),
        ({"verification_keys": [PEM], "algorithm": "HS256"}, "public key"),
        ({"secret_key": "short"}, "RFC 7518"),
        ({"jwks_file": "/nowhere/jwks.json"}, "cannot be read"),
        ({"issuer_url": "https://id.test"}, "audience is missing"),
        ({"issuer_url": "https://id.test", "audience": "api", "issuer": "https://other.test"}, "leave issuer out"),
        ({"issuer_url": "https://id.test", "audience": "api", "audience_claim": "azp"}, "audience_claim"),
        ({"secret_key": SECRET, "verify_audience": True}, 'audience="…"'),
        ({"secret_key": SECRET, "require_authentication": False}, "require_authentication"),
        ({"secret_key": SECRET, "token_source": "query"}, "token_source"),
        ({"secret_key": SECRET, "validate": 0}, "validate"),
        ({"secret_key": SECRET, "excluded_route_paths": "/public"}, "is a list"),
        ({"secret_key": SECRET, "authorization": True, "validate": False}, "exclude each other"),
        ({"secret_key": SECRET, "scope_mappings": {}, "validate": False}, "exclude each other"),
        ({"secret_key": SECRET, "user_isolation": True, "validate": False}, "exclude each other"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_contradicts_itself_serves_nothing_and_says_what_to_write(said: dict[str, Any], message: str) -> None:
    client = client_of(**said)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=message) as refused:
            client.get("/me")
        assert SECRET not in str(refused.value)


def test_the_startup_fails_with_the_same_words() -> None:
    app = FastAPI()
    app.add_middleware(JWTMiddleware)
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert said[0]["type"] == "lifespan.startup.failed"
    assert "JWT_VERIFICATION_KEY" in said[0]["message"]


def test_it_stands_on_an_app_and_says_so_elsewhere() -> None:
    layer = JWTMiddleware(FastAPI(), secret_key=SECRET)
    with pytest.raises(ConfigurationError, match="add_middleware"):
        TestClient(layer).get("/me")


# iss, aud


@pytest.mark.parametrize(
    ("said", "good", "bad"),
    [
        ({"issuer": "our-login"}, {"iss": "our-login"}, {"iss": "their-login"}),
        ({"issuer": "our-login"}, {"iss": "our-login"}, {}),
        ({"issuer": "our-login"}, {"iss": "our-login"}, {"iss": ""}),
        ({"issuer": "our-login"}, {"iss": "our-login", "aud": "anything"}, {"iss": "our-login/"}),
        ({"issuer": "our-login", "audience": "api"}, {"iss": "our-login", "aud": "api"}, {"iss": "our-login"}),
        ({"issuer": "our-login", "audience": "api"}, {"iss": "our-login", "aud": ["api"]}, {"aud": "api"}),
        ({"audience": "api"}, {"aud": ["api", "other"]}, {"aud": "other"}),
        ({"audience": "api"}, {"aud": "api"}, {"aud": {"api": 1}}),
        ({"audience": ["api", "os"], "verify_audience": True}, {"aud": "os"}, {}),
        ({"audience": "api", "audience_claim": "for"}, {"for": "api", "aud": "other"}, {"for": "other", "aud": "api"}),
        ({"audience": "api", "audience_claim": "for"}, {"for": ["other", "api"]}, {"for": 7}),
        ({"audience": "api", "audience_claim": "for"}, {"for": ["api"]}, {"for": []}),
        ({"audience": "api", "audience_claim": "for"}, {"for": "api"}, {"aud": "api"}),
        ({"audience": "api", "audience_claim": "for"}, {"for": "api"}, {"for": {"api": 1}}),
    ],
)
def test_issuer_and_audience_count_where_they_are_given(
    said: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    client = client_of(secret_key=SECRET, **said)
    for _ in range(2):  # what was refused is not remembered as good
        assert status(client, token(**good)) == 200
        assert status(client, token(**bad)) == 401
    assert status(client, token(OTHER, **good)) == 401


def test_where_they_are_not_given_nobody_asks() -> None:
    assert status(client_of(secret_key=SECRET), token(iss="anybody", aud="anything")) == 200
