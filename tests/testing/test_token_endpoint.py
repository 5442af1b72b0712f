"""The token endpoint: what RFC 6749 lets a client ask for, and what it answers to the rest."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from oidcbridge.testing import FakeClient, FakeIssuer, FakeResponse, FakeUser

SECRET = "s3cr:t/ü %"


@pytest.fixture(scope="module")
def issuer() -> FakeIssuer:
    return FakeIssuer(
        "https://idp.test/tenant",
        algorithms=("RS256", "ES256"),
        clients=[
            FakeClient("agent-ui"),
            FakeClient("agent-svc", SECRET, scopes=("agents:run", "agents:read"), claims={"tenant": "acme"}),
            FakeClient("agent:es", SECRET, algorithm="ES256"),
        ],
        development_users=[
            FakeUser("ada", "ada-pw", sub="u-ada", scopes=("agents:run",), claims={"name": "Ada"}),
            FakeUser("bob", "bob-pw"),
        ],
        token_lifetime=120,
    )


def post(issuer: FakeIssuer, /, *basic: str, **form: str) -> FakeResponse:
    """Send a token request; ``basic`` is empty or a client's name and secret for the header."""
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if basic:
        pair = ":".join(quote_plus(part) for part in basic)
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return issuer.handle("POST", "/tenant/token", headers, urlencode(form).encode())


def error_of(answer: FakeResponse) -> tuple[int, str]:
    content = json.loads(answer.body)
    assert content["error_description"].isascii()
    assert SECRET not in content["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    return answer.status, content["error"]


def claims_of(issuer: FakeIssuer, answer: FakeResponse, alg: str = "RS256") -> dict[str, Any]:
    assert answer.status == 200, answer.body
    keys: Any = issuer.jwks()
    return jwt.decode(json.loads(answer.body)["access_token"], KeySet.import_key_set(keys), algorithms=[alg]).claims


def test_a_client_gets_a_token_for_itself_with_its_secret_in_the_form(issuer: FakeIssuer) -> None:
    answer = post(issuer, grant_type="client_credentials", client_id="agent-svc", client_secret=SECRET)
    claims = claims_of(issuer, answer)
    assert (claims["sub"], claims["client_id"], claims["tenant"]) == ("agent-svc", "agent-svc", "acme")
    assert claims["aud"] == "agent-api"
    assert claims["exp"] - claims["iat"] == 120
    content = json.loads(answer.body)
    assert (content["token_type"], content["expires_in"]) == ("Bearer", 120)
    assert content["scope"] == claims["scope"] == "agents:run agents:read"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


def test_a_client_gets_a_token_with_basic_authentication_whatever_is_in_its_name_and_secret(issuer: FakeIssuer) -> None:
    answer = post(issuer, "agent:es", SECRET, grant_type="client_credentials")
    assert claims_of(issuer, answer, "ES256")["sub"] == "agent:es"
    assert "scope" not in json.loads(answer.body)


def test_a_client_may_ask_for_less_than_it_may_have_and_not_for_more(issuer: FakeIssuer) -> None:
    answer = post(issuer, "agent-svc", SECRET, grant_type="client_credentials", scope="agents:read")
    assert claims_of(issuer, answer)["scope"] == "agents:read"
    answer = post(issuer, "agent-svc", SECRET, grant_type="client_credentials", scope="agents:read admin")
    assert error_of(answer) == (400, "invalid_scope")


def test_a_development_user_gets_a_token_through_a_public_client(issuer: FakeIssuer) -> None:
    answer = post(issuer, grant_type="password", client_id="agent-ui", username="ada", password="ada-pw")
    claims = claims_of(issuer, answer)
    assert (claims["sub"], claims["client_id"], claims["name"]) == ("u-ada", "agent-ui", "Ada")
    assert claims["scope"] == "agents:run"


def test_a_user_without_rights_gets_a_token_without_scope_and_is_refused_one(issuer: FakeIssuer) -> None:
    bob = {"grant_type": "password", "client_id": "agent-ui", "username": "bob", "password": "bob-pw"}
    claims = claims_of(issuer, post(issuer, **bob))
    assert claims["sub"] == "bob"
    assert "scope" not in claims
    assert error_of(post(issuer, **bob, scope="agents:run")) == (400, "invalid_scope")


@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("nobody", "ada-pw"), ("ada", "ädä")])
def test_a_wrong_password_and_an_unknown_user_look_alike(issuer: FakeIssuer, username: str, password: str) -> None:
    answer = post(issuer, grant_type="password", client_id="agent-ui", username=username, password=password)
    assert error_of(answer) == (400, "invalid_grant")
    assert json.loads(answer.body)["error_description"] == "unknown user, or the password is wrong"


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": "agent-svc", "client_secret": "wrong"},
        {"client_id": "agent-svc"},
        {"client_id": "nobody", "client_secret": SECRET},
        {"client_id": "agent-ui", "client_secret": "made up"},
        {},
    ],
)
def test_a_client_that_fails_to_authenticate_in_the_form_gets_401_without_a_challenge(
    issuer: FakeIssuer, form: dict[str, str]
) -> None:
    answer = post(issuer, grant_type="client_credentials", **form)
    assert error_of(answer) == (401, "invalid_client")
    assert "www-authenticate" not in answer.headers


def test_a_client_that_fails_by_basic_authentication_is_challenged(issuer: FakeIssuer) -> None:
    answer = post(issuer, "agent-svc", "wrong", grant_type="client_credentials")
    assert error_of(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "header", ["Bearer abc", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /w==", "Basic JUZGOg=="]
)
def test_an_unreadable_authorization_header_is_a_failed_authentication(issuer: FakeIssuer, header: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded", "AUTHORIZATION": header}
    answer = issuer.handle("POST", "/tenant/token", headers, b"grant_type=client_credentials")
    assert error_of(answer) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers


def test_two_ways_of_authentication_at_once_are_refused(issuer: FakeIssuer) -> None:
    answer = post(issuer, "agent-svc", SECRET, grant_type="client_credentials", client_secret=SECRET)
    assert error_of(answer) == (400, "invalid_request")


def test_a_public_client_gets_no_token_for_itself(issuer: FakeIssuer) -> None:
    assert error_of(post(issuer, grant_type="client_credentials", client_id="agent-ui")) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "ada"}, "invalid_request"),
        ({"grant_type": "password", "password": "ada-pw"}, "invalid_request"),
    ],
)
def test_an_incomplete_or_foreign_request_is_told_what_is_wrong(
    issuer: FakeIssuer, form: dict[str, str], error: str
) -> None:
    assert error_of(post(issuer, client_id="agent-ui", **form)) == (400, error)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        ("", b"grant_type=client_credentials"),
        ("application/x-www-form-urlencoded", b"grant_type=password&grant_type=client_credentials"),
        ("application/x-www-form-urlencoded", b"grant_type=%ff"),
        ("application/x-www-form-urlencoded", "grant_type=pässword".encode()),
        ("application/x-www-form-urlencoded", b"&".join(b"p%d=1" % number for number in range(60))),
    ],
)
def test_a_body_that_is_no_proper_form_is_refused(issuer: FakeIssuer, content_type: str, body: bytes) -> None:
    answer = issuer.handle("POST", "/tenant/token", {"content-type": content_type}, body)
    assert error_of(answer) == (400, "invalid_request")


def test_only_post_asks_for_tokens(issuer: FakeIssuer) -> None:
    answer = issuer.handle("GET", "/tenant/token")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_discovery_names_the_endpoint_and_what_it_takes(issuer: FakeIssuer) -> None:
    discovery = issuer.discovery()
    assert discovery["token_endpoint"] == "https://idp.test/tenant/token"
    assert {"client_credentials", "password"} <= set(discovery["grant_types_supported"])  # type: ignore[call-overload]


def test_no_repr_shows_a_secret_or_a_token(issuer: FakeIssuer) -> None:
    assert SECRET not in repr(FakeClient("agent-svc", SECRET))
    assert "ada-pw" not in repr(FakeUser("ada", "ada-pw"))
    assert "eyJ" not in repr(post(issuer, "agent-svc", SECRET, grant_type="client_credentials"))
