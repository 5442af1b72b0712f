"""Asked for a token by others: fastmcp's own providers around it, and code that has a token and no request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fastmcp.server.auth import AuthProvider, MultiAuth, RemoteAuthProvider, StaticTokenVerifier
from pydantic import AnyHttpUrl

from oidcbridge import Principal, ProviderError
from oidcbridge.errors import MissingCredentialError
from oidcbridge.mcp import OIDCAccessToken, OIDCTokenVerifier, current_principal
from oidcbridge.testing import FakeIssuer, FakeKey
from tests.mcp.kit import BASE_URL, calling, server, token_verifier


def remote(issuer: FakeIssuer, **arguments: object) -> AuthProvider:
    return RemoteAuthProvider(
        token_verifier=token_verifier(issuer, **arguments),
        authorization_servers=[AnyHttpUrl(issuer.issuer_url)],
        base_url=BASE_URL,
    )


def several(issuer: FakeIssuer, **arguments: object) -> AuthProvider:
    static = StaticTokenVerifier({"machine-key": {"client_id": "machine", "scopes": []}})
    return MultiAuth(verifiers=[token_verifier(issuer, **arguments), static])


@pytest.mark.parametrize("provider", [remote, several])
def test_inside_another_provider_good_tokens_pass_and_the_tool_knows_the_caller(
    issuer: FakeIssuer, provider: Callable[..., AuthProvider]
) -> None:
    with calling(server(provider(issuer))) as caller:
        assert caller.ask(issuer.mint("ada")) == "ada"
        for wrong in (issuer.mint("ada", audience="billing-api"), issuer.mint("ada", key=FakeKey.generate("ES256"))):
            assert caller.begin(wrong).status_code == 401
        session = caller.session(issuer.mint("ada"))
        assert caller.call(issuer.mint("bob"), session).status_code == 404


@pytest.mark.parametrize("provider", [remote, several])
def test_inside_another_provider_a_required_scope_is_required_still(
    issuer: FakeIssuer, provider: Callable[..., AuthProvider]
) -> None:
    with calling(server(provider(issuer, required_scopes=["agents:run"]))) as caller:
        assert caller.begin(issuer.mint("ada", scope="openid")).status_code == 401
        assert caller.begin(issuer.mint("ada", scope="openid agents:run")).status_code == 200


@pytest.mark.parametrize("provider", [remote, several])
def test_inside_another_provider_a_request_with_two_headers_is_refused(
    issuer: FakeIssuer, provider: Callable[..., AuthProvider]
) -> None:
    ada, bob = (f"Bearer {issuer.mint(sub)}" for sub in ("ada", "bob"))
    with calling(server(provider(issuer))) as caller:
        for sent, status in (([ada, bob], 401), ([ada, ada], 401), ([ada, ""], 401), ([ada], 200)):
            assert caller.begin_with([("authorization", value) for value in sent]).status_code == status


def test_who_was_let_in_by_another_verifier_is_no_principal_of_ours(issuer: FakeIssuer) -> None:
    with calling(server(several(issuer))) as caller:
        result = caller.call("machine-key", caller.session("machine-key")).json()["result"]
    assert result["isError"]
    assert "no token that oidcbridge has verified" in result["content"][0]["text"]


def test_without_any_request_there_is_no_principal() -> None:
    with pytest.raises(MissingCredentialError, match="no caller"):
        current_principal()


def test_an_outage_is_no_verdict_on_the_token(frail_issuer: FakeIssuer) -> None:
    auth, token = token_verifier(frail_issuer), frail_issuer.mint("ada")
    with frail_issuer.outage(), pytest.raises(ProviderError):
        asyncio.run(auth.verify_token(token))
    again = asyncio.run(token_verifier(frail_issuer).verify_token(token))
    assert again is not None
    assert again.principal.user_id == "ada"


@pytest.mark.parametrize("token", ["", "opaque", "a b", "ä.b.c", "a.b.c"])
def test_text_that_is_no_token_is_refused_without_an_error(issuer: FakeIssuer, token: str) -> None:
    assert asyncio.run(token_verifier(issuer).verify_token(token)) is None


def test_a_subclass_adds_to_what_the_server_knows(issuer: FakeIssuer) -> None:
    class Renaming(OIDCTokenVerifier):
        def access_token(self, principal: Principal, token: str) -> OIDCAccessToken:
            made = super().access_token(principal, token)
            made.claims["team"] = "red"
            return made

    with calling(server(Renaming(issuer.verifier()))) as caller:
        assert caller.ask(issuer.mint("ada"), "claimed")["claims"]["team"] == "red"
        assert caller.ask(issuer.mint("ada")) == "ada"
