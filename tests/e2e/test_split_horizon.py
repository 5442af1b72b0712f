"""One Keycloak by two names: tokens and browsers use 127.0.0.1, the agent service asks by another.

As in docker/compose.yml, where the other name is the container's; here it is ``localhost`` on the same socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import DiscoveryError, UnknownIssuerError
from tests.e2e.agent_server import AgentServer
from tests.e2e.keycloak_server import KeycloakServer

WELL_KNOWN = "/.well-known/openid-configuration"
CONTAINER = "keycloak:8080"


@pytest.fixture(scope="module")
def inside(keycloak: KeycloakServer) -> str:
    """The realm by its internal name."""
    return keycloak.issuer_url.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def agent(keycloak: KeycloakServer, inside: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentServer]:
    """examples/keycloak.py with the environment that compose gives it, but for the name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYCLOAK_DISCOVERY_URL", inside + WELL_KNOWN)
        server = AgentServer(keycloak.issuer_url, tmp_path_factory.mktemp("agent") / "log")
    with server:
        yield server


def grant(token_url: str, **form: str) -> str:
    """An access token of ada's, from that very address."""
    form = {"grant_type": "password", "client_id": "agent-ui", "username": "ada", "password": "ada-pw", **form}
    token: str = httpx2.post(token_url, data=form, trust_env=False).raise_for_status().json()["access_token"]
    return token


def shown_login(agent: AgentServer) -> Any:
    """The login that /openapi.json shows, once the service has read discovery."""
    give_up = time.monotonic() + 10
    while True:
        scheme = agent.get("/openapi.json").json()["components"]["securitySchemes"]["oidcbridge"]
        if "flows" in scheme:
            return scheme["flows"]["authorizationCode"]
        assert time.monotonic() < give_up, scheme
        time.sleep(0.1)


def test_keycloak_names_itself_in_public_and_its_endpoints_by_the_name_it_was_asked_through(
    keycloak: KeycloakServer, inside: str
) -> None:
    document = httpx2.get(inside + WELL_KNOWN, trust_env=False).raise_for_status().json()
    asked, public = f"{inside}/", f"{keycloak.issuer_url}/"
    assert document["issuer"] == keycloak.issuer_url
    assert document["authorization_endpoint"].startswith(public)
    assert document["end_session_endpoint"].startswith(public)
    assert document["jwks_uri"].startswith(asked)
    assert document["token_endpoint"].startswith(asked)


@pytest.mark.parametrize("asked_by", ["the public name", "the internal name"])
def test_tokens_open_the_endpoint_whichever_name_they_were_asked_for_by(
    keycloak: KeycloakServer, agent: AgentServer, inside: str, asked_by: str
) -> None:
    realm = inside if "internal" in asked_by else keycloak.issuer_url
    token = grant(f"{realm}/protocol/openid-connect/token", scope="openid agents:run")
    answer = agent.request("POST", "/agents/a1/runs", token)
    assert (answer.status_code, answer.json()["agent"]) == (200, "a1")


def test_tokens_of_another_realm_of_the_same_keycloak_are_refused(keycloak: KeycloakServer, agent: AgentServer) -> None:
    other = keycloak.password_token("agent-ui", "eve", "eve-pw", realm="other")["access_token"]
    answer = agent.get("/whoami", other)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


def test_the_login_that_openapi_shows_is_the_browsers_and_works(
    keycloak: KeycloakServer, agent: AgentServer, inside: str
) -> None:
    login = shown_login(agent)
    assert login["authorizationUrl"] == f"{keycloak.issuer_url}/protocol/openid-connect/auth"
    assert login["tokenUrl"] == f"{keycloak.issuer_url}/protocol/openid-connect/token"
    assert urlsplit(inside).netloc not in agent.get("/openapi.json").text
    assert agent.get("/whoami", grant(login["tokenUrl"])).status_code == 200


def test_the_internal_name_as_the_issuer_is_refused_with_both_spellings(keycloak: KeycloakServer, inside: str) -> None:
    token = keycloak.password_token("agent-ui", "ada", "ada-pw")["access_token"]
    with Verifier(issuer_url=inside, audience="agent-api") as verifier:
        with pytest.raises(UnknownIssuerError):
            verifier.verify_now(token)  # before any fetch: its issuer is the public one
        with pytest.raises(DiscoveryError) as caught:
            asyncio.run(verifier.warm(strict=True))
    assert inside in str(caught.value)
    assert keycloak.issuer_url in str(caught.value)


# By the container's own name, as in compose: the client finds it at Keycloak's port, as Docker's name service would.


class Network(httpx2.AsyncBaseTransport):
    """A network that knows one name, and notes what it was asked for."""

    def __init__(self, keycloak: KeycloakServer, asked: list[str]) -> None:
        self._there = httpx2.URL(keycloak.base_url)
        self._asked = asked
        self._transport = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._asked.append(str(request.url))
        if request.headers["host"] != CONTAINER:
            raise httpx2.ConnectError(f"no such host in this network: {request.url.host}")
        request.url = request.url.copy_with(host=self._there.host, port=self._there.port)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def through(keycloak: KeycloakServer, asked: list[str]) -> Callable[[], httpx2.AsyncClient]:
    return lambda: httpx2.AsyncClient(transport=Network(keycloak, asked))


def test_a_service_that_knows_the_container_alone_verifies_the_public_issuers_tokens(keycloak: KeycloakServer) -> None:
    token = keycloak.password_token("agent-ui", "ada", "ada-pw")["access_token"]
    asked: list[str] = []
    fetch = FetchOptions(insecure_allow_http=True, http_client=through(keycloak, asked))
    realm = f"http://{CONTAINER}/realms/agents"
    with Verifier(
        issuer_url=keycloak.issuer_url, audience="agent-api", discovery_url=realm + WELL_KNOWN, fetch=fetch
    ) as verifier:
        assert verifier.verify_now(token).issuer == keycloak.issuer_url
        [metadata] = verifier.metadata()
    assert asked == [realm + WELL_KNOWN, f"{realm}/protocol/openid-connect/certs"]
    assert metadata.token_endpoint == f"{keycloak.issuer_url}/protocol/openid-connect/token"


def test_the_same_service_without_the_internal_name_reaches_nobody(keycloak: KeycloakServer) -> None:
    asked: list[str] = []
    fetch = FetchOptions(http_client=through(keycloak, asked))
    with (
        Verifier(issuer_url=keycloak.issuer_url, audience="agent-api", fetch=fetch) as verifier,
        pytest.raises(DiscoveryError, match="no such host"),
    ):
        asyncio.run(verifier.warm(strict=True))
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(keycloak.base_url).netloc}
