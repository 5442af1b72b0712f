"""A session id is no credential: what one user has begun, no other goes on with."""

from __future__ import annotations

from oidcbridge import Issuer, Verifier
from oidcbridge.mcp import OIDCTokenVerifier
from oidcbridge.testing import OMIT, FakeIssuer
from tests.mcp.kit import calling, server, token_verifier


def test_another_user_of_the_same_client_does_not_get_the_session(issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(issuer))) as caller:
        session = caller.session(issuer.mint("ada"))
        assert caller.call(issuer.mint("bob"), session).status_code == 404
        assert caller.http.delete("/mcp", headers=_of(issuer.mint("bob"), session)).status_code == 404
        assert caller.call(None, session).status_code == 401
        renewed = caller.call(issuer.mint("ada"), session)
        assert (renewed.status_code, renewed.json()["result"]["structuredContent"]) == (200, {"result": "ada"})
        assert caller.http.delete("/mcp", headers=_of(issuer.mint("ada"), session)).status_code == 200
        assert caller.call(issuer.mint("ada"), session).status_code == 404


def test_another_client_of_the_same_user_does_not_get_the_session(issuer: FakeIssuer) -> None:
    with calling(server(token_verifier(issuer))) as caller:
        session = caller.session(issuer.mint("ada"))
        assert caller.call(issuer.mint("ada", client_id="other-ui"), session).status_code == 404
        assert caller.call(issuer.mint("ada"), session).status_code == 200


def test_users_are_told_apart_where_tokens_have_no_subject(issuer: FakeIssuer) -> None:
    def mint(name: str) -> str:
        return issuer.mint(claims={"sub": OMIT, "preferred_username": name})

    auth = OIDCTokenVerifier(issuer.verifier(user_id_claim="preferred_username"))
    with calling(server(auth)) as caller:
        session = caller.session(mint("ada"))
        assert caller.call(mint("bob"), session).status_code == 404
        assert caller.call(mint("ada"), session).status_code == 200


def test_the_same_subject_at_two_issuers_is_two_users(issuer: FakeIssuer, frail_issuer: FakeIssuer) -> None:
    issuers = [
        Issuer(issuer_url=one.issuer_url, audience=one.audience, name=name)
        for name, one in (("acme", issuer), ("globex", frail_issuer))
    ]
    with calling(server(OIDCTokenVerifier(Verifier(issuers=issuers)))) as caller:
        session = caller.session(issuer.mint("ada"))
        assert caller.call(frail_issuer.mint("ada"), session).status_code == 404
        assert caller.call(issuer.mint("ada"), session).json()["result"]["structuredContent"] == {"result": "acme:ada"}


def test_a_token_that_names_no_client_has_a_session_too(issuer: FakeIssuer) -> None:
    claims = {"client_id": OMIT, "azp": OMIT}
    with calling(server(token_verifier(issuer))) as caller:
        session = caller.session(issuer.mint("ada", claims=claims))
        assert caller.call(issuer.mint("ada", claims=claims), session).status_code == 200
        assert caller.call(issuer.mint("bob", claims=claims), session).status_code == 404


def _of(token: str, session: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "mcp-session-id": session}
