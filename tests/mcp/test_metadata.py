"""RFC 9728: where the metadata lies, what it says, and who is told of it."""

from __future__ import annotations

import pytest
from mcp.shared.auth import ProtectedResourceMetadata

from oidcbridge import ConfigurationError, Issuer, Verifier
from oidcbridge.mcp import OIDCTokenVerifier
from oidcbridge.testing import FakeIssuer
from tests.mcp.kit import BASE_URL, METADATA, calling, server, token_verifier


def test_the_metadata_names_the_resource_and_its_issuer_letter_by_letter(issuer: FakeIssuer) -> None:
    auth = token_verifier(issuer, required_scopes=["agents:run"], resource_name="Agents")
    with calling(server(auth)) as caller:
        answer = caller.http.get(METADATA, headers={"origin": "https://ui.test"})
    assert answer.json() == {
        "resource": f"{BASE_URL}/mcp",
        "authorization_servers": [issuer.issuer_url],  # without the slash that a URL type would add
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["agents:run"],
        "resource_name": "Agents",
    }
    read = ProtectedResourceMetadata.model_validate_json(answer.content)  # as clients of the MCP SDK do
    assert [str(server) for server in read.authorization_servers] == [issuer.issuer_url]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("base_url", "path", "metadata", "resource"),
    [
        ("https://agents.test", "/mcp", "/mcp", "https://agents.test/mcp"),
        ("https://agents.test/", "/mcp", "/mcp", "https://agents.test/mcp"),
        ("https://agents.test", "/deep/er", "/deep/er", "https://agents.test/deep/er"),
        ("https://agents.test/public", "/mcp", "/public/mcp", "https://agents.test/public/mcp"),
        ("https://agents.test:8443", "/mcp", "/mcp", "https://agents.test:8443/mcp"),
    ],
)
def test_the_metadata_lies_where_the_challenge_says(
    issuer: FakeIssuer, base_url: str, path: str, metadata: str, resource: str
) -> None:
    app = server(token_verifier(issuer, base_url=base_url)).http_app(path=path, json_response=True)
    with calling(app) as caller:
        challenge = caller.http.post(path).headers["www-authenticate"]
        origin = base_url.removesuffix("/").removesuffix("/public")
        assert challenge == f'Bearer resource_metadata="{origin}/.well-known/oauth-protected-resource{metadata}"'
        assert caller.http.get(f"/.well-known/oauth-protected-resource{metadata}").json()["resource"] == resource


def test_without_a_base_url_there_is_no_metadata_and_no_pointer_to_it(issuer: FakeIssuer) -> None:
    with calling(server(OIDCTokenVerifier(issuer.verifier()))) as caller:
        assert caller.begin(None).headers["www-authenticate"] == "Bearer"
        assert caller.http.get(METADATA).status_code == 404
        assert caller.ask(issuer.mint("ada")) == "ada"


def test_scopes_and_issuers_may_be_named_otherwise_than_they_are_checked(issuer: FakeIssuer) -> None:
    servers = ["https://login.test", "https://login.test/realms/two"]
    auth = token_verifier(issuer, scopes_supported=["a", "b"], authorization_servers=servers)
    with calling(server(auth)) as caller:
        document = caller.http.get(METADATA).json()
        assert (document["scopes_supported"], document["authorization_servers"]) == (["a", "b"], servers)
        assert caller.begin(issuer.mint("ada")).status_code == 200


def test_every_issuer_is_named(issuer: FakeIssuer, frail_issuer: FakeIssuer) -> None:
    issuers = [
        Issuer(issuer_url=one.issuer_url, audience=one.audience, name=name)
        for name, one in (("acme", issuer), ("globex", frail_issuer))
    ]
    with calling(server(OIDCTokenVerifier(Verifier(issuers=issuers), base_url=BASE_URL))) as caller:
        document = caller.http.get(METADATA).json()
    assert document["authorization_servers"] == [issuer.issuer_url, frail_issuer.issuer_url]
    assert "scopes_supported" not in document


@pytest.mark.parametrize("base_url", ["agents.test", "/mcp", "https://agents.test?x", "https://agents.test#x", 1])
def test_an_address_that_is_none_is_refused_at_once(issuer: FakeIssuer, base_url: object) -> None:
    with pytest.raises(ConfigurationError, match="without the MCP path"):
        OIDCTokenVerifier(issuer.verifier(), base_url=base_url)  # type: ignore[arg-type]


def test_metadata_without_an_issuer_to_name_is_refused_at_once() -> None:
    verifier = Verifier(verification_keys=["0123456789abcdef0123456789abcdef"], algorithm="HS256")
    with pytest.raises(ConfigurationError, match="authorization_servers="):
        OIDCTokenVerifier(verifier, base_url=BASE_URL)
    OIDCTokenVerifier(verifier)
    OIDCTokenVerifier(verifier, base_url=BASE_URL, authorization_servers="https://login.test")


def test_what_is_no_verifier_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="takes a Verifier"):
        OIDCTokenVerifier("https://idp.test")  # type: ignore[arg-type]
