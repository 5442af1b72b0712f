"""The rows of servers that make tokens of their own shape: Keycloak itself, moto's Cognito, Auth0's simulator."""

from __future__ import annotations

from oidcbridge import FetchOptions, Verifier
from oidcbridge.arguments import VerifierArguments
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    ClaimError,
    ConfigurationError,
    MissingClaimError,
    TokenTypeError,
    UnknownIssuerError,
)
from tests.e2e.keycloak_server import KeycloakServer
from tests.providers.conftest import Prove
from tests.providers.rows import AUDIENCE, CLIENT, ID_TOKEN, ISSUER
from tests.providers.servers.auth0_simulator import API, Auth0Simulator
from tests.providers.servers.cognito import Cognito

WANTED = ["name", "email"]


def token_of(server: KeycloakServer, client: str = "agent-ui", kind: str = "access_token") -> str:
    scope = "openid organization"
    token: str = server.password_token(client, "alice", "alice-pw", scope=scope)[kind]
    return token


def of_another_realm(server: KeycloakServer) -> str:
    token: str = server.password_token("agent-ui", "ada", "ada-pw", realm="agents")["access_token"]
    return token


def test_keycloak_s_user(keycloak: KeycloakServer, prove: Prove) -> None:
    proof = prove("Keycloak user")
    audience = ["agent-api", "agent-ui"]  # the second is the ID token's: its kind alone has to refuse it
    with Verifier(issuer_url=keycloak.issuer_url, audience=audience, dependencies_claims=WANTED) as verifier:
        proof.accepts(verifier.verify_now(token_of(keycloak)))
        with proof.refuses(ID_TOKEN, TokenTypeError):
            verifier.verify_now(token_of(keycloak, kind="id_token"))
        with proof.refuses(AUDIENCE, AudienceMismatchError, "audience mapper"):
            verifier.verify_now(token_of(keycloak, "agent-ui-no-audience"))
        with proof.refuses(ISSUER, UnknownIssuerError):
            verifier.verify_now(of_another_realm(keycloak))
        with proof.refuses(proof.row.trap, ClaimError, "lightweight.claim"):
            verifier.verify_now(token_of(keycloak, "agent-ui-light"))


def test_keycloak_s_machine(keycloak: KeycloakServer, prove: Prove) -> None:
    proof = prove("Keycloak machine")
    machine = keycloak.client_credentials_token("svc", "svc-secret")["access_token"]
    audience = ["agent-api", "agent-ui"]
    with Verifier(
        issuer_url=keycloak.issuer_url, audience=audience, client_ids=["svc"], dependencies_claims=WANTED
    ) as verifier:
        proof.accepts(verifier.verify_now(machine))
        with proof.refuses(ID_TOKEN, TokenTypeError):
            verifier.verify_now(token_of(keycloak, kind="id_token"))
        with proof.refuses(CLIENT, AudienceMismatchError, "client_ids"):
            verifier.verify_now(token_of(keycloak))
        with proof.refuses(ISSUER, UnknownIssuerError):
            verifier.verify_now(of_another_realm(keycloak))
        with proof.refuses(proof.row.trap, AlgorithmNotAllowedError, "shared secret"):
            verifier.verify_now(token_of(keycloak, "agent-ui-hs256"))


def test_cognito_s_user(cognito: Cognito, prove: Prove) -> None:
    proof, pool, other_pool = prove("Cognito user"), cognito.make_pool("rows"), cognito.make_pool("other rows")
    client_id, other_client = pool.make_client(), pool.make_client("other-ui")
    for one in (pool, other_pool):
        one.make_user("alice", groups=["admins", "readers"])
    tokens = pool.log_in(client_id, "alice")
    with Verifier(
        issuer_url=pool.issuer_url, client_ids=[client_id], jwks_uri=pool.jwks_uri, dependencies_claims=WANTED
    ) as verifier:
        proof.accepts(verifier.verify_now(tokens["AccessToken"]))
        with proof.refuses(ID_TOKEN, TokenTypeError, "token_use"):
            verifier.verify_now(tokens["IdToken"])
        with proof.refuses(CLIENT, AudienceMismatchError, "client_ids"):
            verifier.verify_now(pool.log_in(other_client, "alice")["AccessToken"])
        with proof.refuses(ISSUER, UnknownIssuerError):
            verifier.verify_now(other_pool.log_in(other_pool.make_client(), "alice")["AccessToken"])
    with proof.refuses(proof.row.trap, ConfigurationError, "client_ids"):
        Verifier(issuer_url=pool.issuer_url, audience=client_id)


def test_the_simulated_auth0_s_user(auth0_simulator: Auth0Simulator, prove: Prove) -> None:
    proof, tokens = prove("Auth0 simulated user"), auth0_simulator.log_in()
    ours: VerifierArguments = {
        "issuer_url": auth0_simulator.issuer_url,
        "audience": API,
        "provider": "auth0",
        "fetch": FetchOptions(ca_file=str(auth0_simulator.ca_file)),
        "dependencies_claims": WANTED,
    }
    with Verifier(**ours) as verifier:
        proof.accepts(verifier.verify_now(tokens["access_token"]))
        with proof.refuses(AUDIENCE, AudienceMismatchError):
            verifier.verify_now(auth0_simulator.log_in(audience="https://other.acme.example")["access_token"])
        with proof.refuses(proof.row.trap, MissingClaimError):
            verifier.verify_now(auth0_simulator.machine_token())
        with proof.refuses(ID_TOKEN, AudienceMismatchError):
            verifier.verify_now(tokens["id_token"])
    ours["issuer_url"] = auth0_simulator.issuer_url.rstrip("/")
    with Verifier(**ours) as verifier, proof.refuses(ISSUER, UnknownIssuerError):
        verifier.verify_now(tokens["access_token"])
