"""Over streamable HTTP: who is let in, and how everybody else is answered."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.authentication import AuthCredentials
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from oidcbridge.mcp import OIDCTokenVerifier
from oidcbridge.testing import FakeIssuer, FakeKey
from tests.faults.kit import eventually
from tests.mcp.kit import BASE_URL, INITIALIZE, METADATA, calling, server, token_verifier

POINTER = f'resource_metadata="{BASE_URL}{METADATA}"'

Mint = Callable[[FakeIssuer], str]

REFUSED: list[tuple[str, Mint]] = [
    ("forged", lambda issuer: issuer.mint("ada", key=FakeKey.generate("ES256", kid=issuer.signing_key().kid))),
    ("expired", lambda issuer: issuer.mint("ada", expires_in=-300)),
    ("an ID token", lambda issuer: issuer.mint("ada", kind="id")),
    ("an ID token for this audience", lambda issuer: issuer.mint("ada", kind="id", audience=issuer.audience)),
    ("for another API", lambda issuer: issuer.mint("ada", audience="billing-api")),
    ("of another issuer", lambda issuer: FakeIssuer("https://elsewhere.test", algorithms=("ES256",)).mint("ada")),
    ("no token at all", lambda issuer: "opaque"),
]


def test_a_tool_sees_who_calls_it(issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(issuer))) as caller:
        assert caller.ask(issuer.mint("ada")) == "ada"
        assert caller.ask(issuer.mint("bob")) == "bob"


def test_a_tool_sees_fastmcps_token_and_the_principal_as_a_dependency(issuer: FakeIssuer) -> None:
    claims = {"user_id": "mallory", "realm": {"roles": ["admin"]}}
    with calling(server(token_verifier(issuer))) as caller:
        seen = caller.ask(issuer.mint("ada", scope="agents:read agents:run", claims=claims), "claimed")
    assert (seen["client_id"], seen["subject"], seen["user_id"]) == ("agent-ui", "ada", "ada")
    assert seen["scopes"] == ["agents:read", "agents:run"]
    assert (seen["claims"]["iss"], seen["claims"]["sub"]) == (issuer.issuer_url, "ada")
    assert (seen["claims"]["user_id"], seen["claims"]["realm"]) == ("ada", {"roles": ["admin"]})
    assert seen["expires_at"]
    assert "ada" in seen["shown"]
    assert "eyJ" not in seen["shown"]
    assert "admin" not in seen["shown"]


@pytest.mark.parametrize("mint", [mint for _, mint in REFUSED], ids=[name for name, _ in REFUSED])
def test_a_refused_token_is_401_with_the_challenge_and_the_good_one_passes(issuer: FakeIssuer, mint: Mint) -> None:
    with calling(server(token_verifier(issuer))) as caller:
        refused = caller.begin(mint(issuer))
        assert refused.status_code == 401
        challenge = refused.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="invalid_token"')
        assert POINTER in challenge
        assert refused.headers["cache-control"] == "no-store"
        assert "Authorization" in refused.headers["vary"]
        assert caller.begin(issuer.mint("ada")).status_code == 200


def test_a_request_without_a_token_is_asked_for_one_and_told_where_to_get_it(issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(issuer, required_scopes=["agents:run"]))) as caller:
        for headers in ({}, {"authorization": "Basic YWRhOnB3"}):
            answer = caller.post("initialize", INITIALIZE, token=None, **headers)
            assert answer.status_code == 401
            assert 'scope="agents:run"' in answer.headers["www-authenticate"]
            assert POINTER in answer.headers["www-authenticate"]
        assert "error" not in caller.begin(None).headers["www-authenticate"]


def test_a_missing_scope_is_403_with_the_scopes_that_are_needed(issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(issuer, required_scopes=["agents:read", "agents:run"]))) as caller:
        poor = caller.begin(issuer.mint("ada", scope="agents:read"))
        assert poor.status_code == 403
        challenge = poor.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="insufficient_scope"')
        assert 'scope="agents:read agents:run"' in challenge
        assert POINTER in challenge
        assert caller.begin(issuer.mint("ada", scope="agents:run agents:read")).status_code == 200


def test_two_credentials_or_a_malformed_one_are_400_even_if_one_is_good(issuer: FakeIssuer) -> None:
    good = ("authorization", f"Bearer {issuer.mint('ada')}")
    accept = ("accept", "application/json, text/event-stream")
    with calling(server(token_verifier(issuer))) as caller:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        for wrong in ([good, good], [("authorization", "Bearer a b")], [("authorization", "Bearer ")]):
            answer = caller.http.post("/mcp", json=body, headers=[accept, *wrong])
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert caller.http.post("/mcp", json=body, headers=[accept, good]).status_code == 200


def test_an_outage_is_503_and_the_token_is_good_again_afterwards(frail_issuer: FakeIssuer) -> None:
    with frail_issuer.outage(), calling(server(token_verifier(frail_issuer))) as caller:
        token = frail_issuer.mint("ada")
        answer = caller.begin(token)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "www-authenticate" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    with calling(server(token_verifier(frail_issuer))) as caller:
        assert caller.ask(token) == "ada"


def test_an_outage_after_a_rotation_is_503_for_the_new_key_alone(frail_issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(frail_issuer))) as caller:
        known, session = frail_issuer.mint("ada"), caller.session(frail_issuer.mint("ada"))
        frail_issuer.rotate()
        with frail_issuer.outage():
            assert caller.call(frail_issuer.mint("ada"), session).status_code == 503
            assert caller.call(known, session).status_code == 200
            assert caller.call(None, session).status_code == 401


def test_a_key_that_is_new_is_fetched_within_the_request(frail_issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(frail_issuer))) as caller:
        session = caller.session(frail_issuer.mint("ada"))
        frail_issuer.rotate()
        assert caller.call(frail_issuer.mint("ada"), session).status_code == 200


def test_public_routes_answer_whatever_token_comes_along(frail_issuer: FakeIssuer) -> None:
    with frail_issuer.outage(), calling(server(token_verifier(frail_issuer))) as caller:
        for header in ("Bearer opaque", "Bearer a b", f"Bearer {frail_issuer.mint('ada')}"):
            for path in ("/health", METADATA):
                assert caller.http.get(path, headers={"authorization": header}).status_code == 200


def test_a_page_of_an_allowed_origin_may_read_that_the_provider_is_down(frail_issuer: FakeIssuer) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://ui.test"], allow_methods=["POST"])
    app = server(token_verifier(frail_issuer)).http_app(json_response=True, middleware=[cors])
    with frail_issuer.outage(), calling(app) as caller:
        for origin, allowed in (("https://ui.test", "https://ui.test"), ("https://evil.test", None)):
            answer = caller.post("initialize", INITIALIZE, token=frail_issuer.mint("ada"), origin=origin)
            assert answer.status_code == 503
            assert answer.headers.get("access-control-allow-origin") == allowed
        ask = {"origin": "https://ui.test", "access-control-request-method": "POST"}
        assert caller.http.options("/mcp", headers=ask).status_code == 200


def test_the_log_says_which_fault_it_was_and_never_the_token(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "oidcbridge"), calling(server(token_verifier(issuer))) as caller:
        caller.http.get("/health", headers={"authorization": "Bearer opaque"})
        assert not [record for record in caplog.records if "refused" in record.message]
        token = issuer.mint("ada", audience="billing-api")
        caller.begin(token)
    (told,) = [record for record in caplog.records if "refused" in record.message]
    assert "audience_mismatch" in told.message
    assert token not in caplog.text


def test_whom_a_layer_further_out_knows_is_nobody_here_without_a_token(issuer: FakeIssuer) -> None:
    app = server(token_verifier(issuer)).http_app(json_response=True)
    stranger = AuthenticatedUser(AccessToken(token="outer", client_id="outer", scopes=[], subject="root"))

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "user": stranger, "auth": AuthCredentials()}, receive, send)

    with calling(outer) as caller:
        assert caller.begin(None).status_code == 401
        assert caller.begin(issuer.mint("ada", audience="billing-api")).status_code == 401
        assert caller.ask(issuer.mint("ada")) == "ada"


def test_keys_are_fetched_while_the_server_starts(frail_issuer: FakeIssuer) -> None:
    verifier = frail_issuer.verifier()
    with calling(server(OIDCTokenVerifier(verifier))):
        eventually(lambda: verifier.health()[0].usable)
    assert frail_issuer.fetches["jwks"] == 1


def test_a_closed_verifier_is_an_error_of_the_server_and_lets_nobody_in(issuer: FakeIssuer) -> None:
    verifier = issuer.verifier()
    with calling(server(OIDCTokenVerifier(verifier))) as caller:
        assert caller.begin(issuer.mint("ada")).status_code == 200
        verifier.close()
        assert caller.begin(issuer.mint("ada")).status_code == 500
