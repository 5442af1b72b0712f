"""What of a request `JWTMiddleware` looks at: paths, headers, cookies and claims; and a provider in place of keys."""

from __future__ import annotations

from typing import Any

import pytest
from agno.os.middleware import jwt as agnos
from agno.os.middleware.jwt import AuthMiddleware
from fastapi import FastAPI

from oidcbridge import ConfigurationError, Verifier
from oidcbridge.agentos import TokenSource
from oidcbridge.testing import FakeIssuer, auth_header
from tests.agentos.jwt_kit import (
    OTHER,
    SECRET,
    client_of,
    status,
    token,
)


@pytest.fixture(autouse=True)
def _no_secret_of_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)


PATHS = ["/", "/health", "/health/", "/info", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/agents", "/healthy"]
PATHS += ["/auth/login", "/auth/login/", "/auth/logins", "/auth", "/public/a/b", "/public", "/Health", "/a.json"]


@pytest.mark.parametrize(
    "excluded", [None, [], ["/auth/login"], ["/public/*", "/auth/*"], ["/auth/login/"], ["*.json"], ["/[ah]*"], ["*"]]
)
def test_the_same_paths_are_public_as_with_agnos(excluded: list[str] | None) -> None:
    theirs = AuthMiddleware(FastAPI(), verification_keys=[SECRET], algorithm="HS256", excluded_route_paths=excluded)
    client = client_of(secret_key=SECRET, excluded_route_paths=excluded)
    wanted = {path: 200 if theirs._is_route_excluded(path) else 401 for path in PATHS}
    assert {path: client.get(path).status_code for path in PATHS} == wanted


def test_a_path_that_can_be_read_in_two_ways_is_not_public() -> None:
    client = client_of(secret_key=SECRET, excluded_route_paths=["/public/*"])
    paths = ["/public/%2e%2e/agents", "/public//agents", "/public/..%2fagents"]
    assert [client.get(path).status_code for path in paths] == [401, 401, 401]
    assert client.get("/public/agents").status_code == 200


def test_on_a_public_path_nobody_is_known_whatever_is_sent() -> None:
    client = client_of(secret_key=SECRET, dependencies_claims=["name"], excluded_route_paths=["/public"])
    answer = client.get("/public", headers=auth_header(token(name="Ada")))
    assert answer.json() == {"user": None, "session": None, "dependencies": {"name": None}}


@pytest.mark.parametrize("sources", [TokenSource, agnos.TokenSource], ids=["ours", "agno's"])
def test_the_token_is_read_where_the_source_says_and_nowhere_else(sources: Any) -> None:
    for source, accepted in ((sources.HEADER, "header"), (sources.COOKIE, "cookie"), (sources.BOTH, "both")):
        client = client_of(secret_key=SECRET, token_source=source, cookie_name="auth_token")
        by_header = client.get("/me", headers=auth_header(token()))
        by_cookie = client.get("/me", headers={"Cookie": f"auth_token={token()}"})
        assert by_header.status_code == (401 if accepted == "cookie" else 200)
        assert by_cookie.status_code == (401 if accepted == "header" else 200)
        assert client.get(f"/me?token={token()}").status_code == 401


def test_a_bad_header_never_falls_back_to_a_cookie() -> None:
    client = client_of(secret_key=SECRET, token_source=TokenSource.BOTH)
    headers = {**auth_header(token(OTHER)), "Cookie": f"access_token={token()}"}
    assert client.get("/me", headers=headers).status_code == 401
    assert client.get("/me", headers={"Cookie": f"access_token={token()}"}).status_code == 200


def test_another_header_may_carry_the_token_bare() -> None:
    client = client_of(secret_key=SECRET, token_header_key="X-Auth")
    assert client.get("/me", headers={"X-Auth": token()}).status_code == 200
    assert client.get("/me", headers={"X-Auth": token(OTHER)}).status_code == 401
    assert client.get("/me", headers=auth_header(token())).status_code == 401


def test_with_a_cookie_other_sites_change_nothing() -> None:
    said: dict[str, Any] = {"secret_key": SECRET, "token_source": TokenSource.COOKIE}
    client = client_of(allowed_origins=["https://ui.test"], **said)
    client.cookies.set("access_token", token())
    answers = [
        client.post("/me", headers={"Origin": origin}).status_code
        for origin in ("http://testserver", "https://ui.test", "https://evil.test", "null")
    ]
    assert answers == [200, 200, 403, 403]
    assert client.post("/me").status_code == 403
    assert client.get("/me", headers={"Origin": "https://evil.test"}).status_code == 200


# Claims


def test_claims_are_read_by_the_names_given_and_by_agnos_where_none_are() -> None:
    claims = {"session_id": "s1", "who": "grace", "chat": "s2", "name": "Ada"}
    plain = client_of(secret_key=SECRET, dependencies_claims=["name", "email"])
    named = client_of(secret_key=SECRET, user_id_claim="who", session_id_claim="chat")
    answer = plain.get("/me", headers=auth_header(token(**claims))).json()
    assert answer == {"user": "ada", "session": "s1", "dependencies": {"name": "Ada", "email": None}}
    answer = named.get("/me", headers=auth_header(token(**claims))).json()
    assert answer == {"user": "grace", "session": "s2", "dependencies": {}}
    assert status(named, token()) == 401  # names nobody


@pytest.mark.parametrize("sub", ["sa:robot", "__scheduler__", "__oauth__:client"])
def test_a_subject_that_agno_keeps_for_itself_is_refused(sub: str) -> None:
    assert status(client_of(secret_key=SECRET), token(sub=sub)) == 401
    assert status(client_of(secret_key=SECRET, validate=False), token(sub=sub)) == 401


# A provider


def test_with_an_issuer_its_keys_are_fetched_and_every_rule_of_ours_holds(frail_issuer: FakeIssuer) -> None:
    client = client_of(issuer_url=frail_issuer.issuer_url, audience=frail_issuer.audience)
    assert status(client, frail_issuer.mint("ada")) == 200
    assert status(client, frail_issuer.mint("ada", audience="another-api")) == 401
    assert status(client, token(SECRET)) == 401
    frail_issuer.rotate("RS256")  # no algorithm is said, so it is not agno's one
    assert status(client, frail_issuer.mint("ada")) == 200
    frail_issuer.rotate()
    with frail_issuer.outage():
        assert status(client, frail_issuer.mint("ada")) == 503


def test_an_algorithm_that_is_written_holds_for_an_issuer_too(issuer: FakeIssuer) -> None:
    said: dict[str, Any] = {"issuer_url": issuer.issuer_url, "audience": issuer.audience}
    assert status(client_of(algorithm="RS256", **said), issuer.mint("ada")) == 401
    assert status(client_of(algorithm="ES256", **said), issuer.mint("ada")) == 200


def test_a_verifier_of_ours_can_be_given(issuer: FakeIssuer) -> None:
    verifier = Verifier(issuer_url=issuer.issuer_url, audience=issuer.audience)
    assert status(client_of(verifier=verifier), issuer.mint("ada")) == 200
    assert status(client_of(verifier=verifier), token()) == 401
    for beside in ({"secret_key": SECRET}, {"issuer": "our-login"}, {"dependencies_claims": ["name"]}):
        with pytest.raises(ConfigurationError, match="verifier="):
            client_of(verifier=verifier, **beside).get("/me")


def test_agnos_environment_adds_no_key_to_an_issuer(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_VERIFICATION_KEY", SECRET)
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    client = client_of(issuer_url=issuer.issuer_url, audience=issuer.audience)
    assert status(client, issuer.mint("ada")) == 200
    assert status(client, token(SECRET, iss=issuer.issuer_url, aud=issuer.audience)) == 401
