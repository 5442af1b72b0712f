"""Auth0's tokens, in both of its profiles."""

from __future__ import annotations

import pytest

from oidcbridge.errors import (
    AudienceMismatchError,
    TokenError,
    TokenTypeError,
)
from tests.verifier.bench import AUTH0, Bench, Claims

AUTH0_USER: Claims = {
    "iss": AUTH0,
    "sub": "auth0|6553da60a54af58e29493993",
    "aud": ["agent-api", "https://acme.eu.auth0.com/userinfo"],
    "iat": 1795289700,
    "exp": 1795376100,
    "scope": "openid profile email read:docs",
    "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
    "org_id": "org_9ybsU1dN2dKfDkBi",
    "permissions": ["read:docs", "run:tools"],
    "https://acme.example/roles": ["analyst"],
}
AUTH0_MACHINE: Claims = {
    "iss": AUTH0,
    "sub": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja@clients",
    "aud": "agent-api",
    "iat": 1795289700,
    "exp": 1795376100,
    "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
    "scope": "run:tools",
    "gty": "client-credentials",
}


@pytest.fixture
def auth0() -> Bench:
    return Bench(AUTH0)


def test_a_users_token_is_read_whole(auth0: Bench) -> None:
    principal = auth0.verify(AUTH0_USER)
    assert (principal.user_id, principal.kind) == ("auth0|6553da60a54af58e29493993", "user")
    assert principal.scopes == ("openid", "profile", "email", "read:docs")
    assert principal.permissions == ("read:docs", "run:tools")
    assert (principal.roles, principal.session_id) == ((), None)
    assert (principal.client_id, principal.tenant) == (AUTH0_USER["azp"], "org_9ybsU1dN2dKfDkBi")


def test_roles_are_found_under_the_name_that_the_customer_chose() -> None:
    assert Bench(AUTH0, roles_claim="https://acme.example/roles").verify(AUTH0_USER).roles == ("analyst",)


def test_a_machine_keeps_its_own_kind_of_subject(auth0: Bench) -> None:
    principal = auth0.verify(AUTH0_MACHINE)
    assert (principal.user_id, principal.kind) == (AUTH0_MACHINE["sub"], "machine")
    assert principal.client_id == AUTH0_MACHINE["azp"]


def test_the_rfc_9068_profile_is_read_too(auth0: Bench) -> None:
    claims = {name: value for name, value in AUTH0_MACHINE.items() if name not in ("azp", "gty")}
    claims |= {"client_id": AUTH0_MACHINE["azp"], "jti": "x"}
    assert auth0.verify(claims, {"typ": "at+jwt"}).client_id == AUTH0_MACHINE["azp"]
    assert Bench(AUTH0, token_type="at+jwt").verify(claims, {"typ": "at+jwt"}).kind == "machine"
    Bench(AUTH0, token_type="at+jwt").refuse(claims, TokenTypeError, {"typ": "JWT"})


def test_an_id_token_is_refused_by_its_audience_and_by_its_claims(auth0: Bench) -> None:
    claims = {**AUTH0_USER, "nonce": "n", "sid": "375UIp_ID5mCTClIeBEHpXfGwq51tF_L"}
    auth0.refuse(claims, TokenTypeError)
    del claims["nonce"]
    auth0.refuse({**claims, "aud": AUTH0_USER["azp"]}, AudienceMismatchError)
    assert auth0.verify(claims).kind == "user"


@pytest.mark.parametrize("header", [{"typ": "logout+jwt"}, {"typ": "JWT"}])
def test_a_logout_token_is_refused_whatever_its_header_says(auth0: Bench, header: dict[str, object]) -> None:
    claims = {**AUTH0_USER, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}
    auth0.refuse(claims, TokenTypeError, header)


def test_an_encrypted_token_is_refused_with_a_line_that_teaches(auth0: Bench) -> None:
    with pytest.raises(TokenError, match="encrypted"):
        auth0.verifier.verify_now("a.b.c.d.e")


def test_the_slash_at_the_end_counts(auth0: Bench) -> None:
    auth0.refuse({**AUTH0_USER, "iss": AUTH0.rstrip("/")}, TokenError)
