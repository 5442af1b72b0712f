"""Amazon Cognito's tokens: a mark, a client, and no audience."""

from __future__ import annotations

import pytest

from oidcbridge.errors import (
    AudienceMismatchError,
    TokenTypeError,
)
from tests.verifier.bench import COGNITO, Bench, Claims

COGNITO_USER: Claims = {
    "sub": "b87e7221-9797-4c65-af71-ffd6cab3230e",
    "cognito:groups": ["admins", "readers"],
    "iss": COGNITO,
    "version": 2,
    "client_id": "57cbishk4j24pabc1234567890",
    "origin_jti": "a280d432-13c8-4466-a11b-9aa3c7c63fd5",
    "event_id": "7a5f716c-7c3a-4255-8b79-b11880ba9d9b",
    "token_use": "access",
    "scope": "openid email https://api.acme.example/read",
    "auth_time": 1795289581,
    "exp": 1795293181,
    "iat": 1795289581,
    "jti": "e6ef506c-9907-48ac-9a38-9394ef8af1e7",
    "username": "alice",
}
COGNITO_MACHINE: Claims = {
    "sub": "57cbishk4j24pabc1234567890",
    "iss": COGNITO,
    "version": 2,
    "client_id": "57cbishk4j24pabc1234567890",
    "token_use": "access",
    "scope": "https://api.acme.example/read",
    "auth_time": 1795289581,
    "exp": 1795293181,
    "iat": 1795289581,
    "jti": "ad1bd1b2-7d3a-4a35-8c4a-1d6f2d1f8e41",
}


@pytest.fixture
def cognito() -> Bench:
    return Bench(COGNITO)


def test_a_users_token_is_read_whole(cognito: Bench) -> None:
    principal = cognito.verify(COGNITO_USER, {"alg": "ES256"})  # its headers have no typ
    assert (principal.user_id, principal.kind) == ("b87e7221-9797-4c65-af71-ffd6cab3230e", "user")
    assert principal.session_id == "a280d432-13c8-4466-a11b-9aa3c7c63fd5"
    assert principal.scopes == ("openid", "email", "https://api.acme.example/read")
    assert (principal.groups, principal.roles) == (("admins", "readers"), ())
    assert principal.client_id == "57cbishk4j24pabc1234567890"


def test_a_machine_is_known_by_its_client(cognito: Bench) -> None:
    principal = cognito.verify(COGNITO_MACHINE)
    assert (principal.user_id, principal.kind) == ("client:57cbishk4j24pabc1234567890", "machine")


def test_a_token_of_another_client_is_refused(cognito: Bench) -> None:
    cognito.refuse({**COGNITO_USER, "client_id": "another"}, AudienceMismatchError)
    cognito.refuse({n: v for n, v in COGNITO_USER.items() if n != "client_id"}, AudienceMismatchError)


@pytest.mark.parametrize("token_use", ["id", "refresh", "Access", "", None, True])
def test_only_its_own_mark_makes_an_access_token(cognito: Bench, token_use: object) -> None:
    cognito.refuse({**COGNITO_USER, "token_use": token_use}, TokenTypeError)


def test_an_id_token_is_refused(cognito: Bench) -> None:
    claims = {
        **{name: value for name, value in COGNITO_USER.items() if name not in ("client_id", "username")},
        "aud": "57cbishk4j24pabc1234567890",
        "token_use": "id",
        "cognito:username": "alice",
    }
    cognito.refuse(claims, TokenTypeError)


def test_a_token_bound_to_a_resource_needs_that_resource_named(cognito: Bench) -> None:
    claims = {**COGNITO_USER, "aud": "https://api.acme.example"}
    cognito.refuse(claims, AudienceMismatchError)
    both = Bench(COGNITO, audience="https://api.acme.example")
    assert both.verify(claims).kind == "user"
    both.refuse({**claims, "aud": "https://other.example"}, AudienceMismatchError)
    assert both.verify(COGNITO_USER).kind == "user"
