"""Mistakes that people make with a provider's tokens, each with what mends it, for `test_messages_that_teach`."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.cli.check_kit import token_of
from tests.providers.sample import Sample, load_sample

KEYCLOAK = load_sample("keycloak", "user")
AUTH0 = load_sample("auth0", "user")
COGNITO = load_sample("cognito", "access")
OKTA = load_sample("okta", "user")
ENTRA_V2 = load_sample("entra", "v2-user")
ENTRA_V1 = load_sample("entra", "v1-user")
HYDRA = load_sample("hydra", "user")

FOR_KEYCLOAK = ("--audience", "agent-api")
FOR_AUTH0 = ("--audience", "https://api.acme.example")
FOR_COGNITO = ("--client-id", str(COGNITO.payload["client_id"]))
FOR_OKTA = ("--audience", "api://default")
FOR_HYDRA = ("--audience", "agent-api")


@dataclass(frozen=True)
class Mistake:
    """A token with one mistake, what ``check`` must say of it, and the same without the mistake.

    ``token`` is a sample, or the text of one that is no JWT. ``says`` is in the log and in what ``check`` prints.
    """

    name: str
    token: Sample | str
    options: tuple[str, ...]
    fails: Mapping[str, str | None]
    says: tuple[str, ...]
    mended: Sample
    mended_options: tuple[str, ...] | None = None
    header: Mapping[str, object] = field(default_factory=dict)
    issuer_url: str | None = None
    mended_issuer_url: str | None = None

    @property
    def text(self) -> str:
        """The token as it is sent."""
        return self.token if isinstance(self.token, str) else token_of(self.token, **self.header)

    @property
    def served(self) -> tuple[Sample, str | None]:
        """Whose provider is there, and under which name."""
        return (self.mended if isinstance(self.token, str) else self.token), self.issuer_url


def segment(text: str) -> str:
    """One part of a compact token."""
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def encrypted(issuer_url: str) -> str:
    """A JWE whose header names its issuer, as Auth0's do."""
    return segment(f'{{"alg":"dir","enc":"A256GCM","iss":"{issuer_url}"}}') + "..aXY.Y2lwaGVy.dGFn"


MISTAKES = [
    Mistake(
        "Keycloak without an audience mapper",
        KEYCLOAK.but("aud"),
        FOR_KEYCLOAK,
        {"audience": "keycloak_audience_mapper"},
        ("Clients > agent-ui", "agent-ui-dedicated", "Included Custom Audience = agent-api"),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak with the audience of its account console",
        KEYCLOAK.but(aud="account"),
        FOR_KEYCLOAK,
        {"audience": "keycloak_audience_mapper"},
        ("Included Custom Audience = agent-api",),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak without the basic scope",
        load_sample("keycloak", "no-basic-scope"),
        FOR_KEYCLOAK,
        {"user": "keycloak_basic_scope"},
        ("'basic'", "Client scopes"),
        KEYCLOAK,
    ),
    Mistake(
        "Keycloak's lightweight access token",
        load_sample("keycloak", "lightweight"),
        FOR_KEYCLOAK,
        {"audience": "keycloak_lightweight", "user": "keycloak_lightweight"},
        ("lightweight.claim", "Always use lightweight access token"),
        load_sample("keycloak", "lightweight").but(sub="u-1", aud="agent-api"),
    ),
    Mistake(
        "Keycloak with a client that signs by its secret",
        KEYCLOAK,
        FOR_KEYCLOAK,
        {"algorithm": "keycloak_shared_secret"},
        ("Access token signature algorithm", "access.token.signed.response.alg"),
        KEYCLOAK,
        header={"alg": "HS256"},
    ),
    Mistake(
        "Keycloak's refresh token",
        load_sample("keycloak", "refresh"),
        ("--audience", str(load_sample("keycloak", "refresh").payload["aud"])),
        {"algorithm": "refresh_token", "kind": "refresh_token"},
        ("access_token",),
        KEYCLOAK,
        mended_options=FOR_KEYCLOAK,
    ),
    Mistake(
        "the client's id for an audience",
        KEYCLOAK,
        ("--audience", "agent-ui"),
        {"audience": "client_as_audience"},
        ('client_ids=["agent-ui"]', "agent-api"),
        KEYCLOAK,
        mended_options=(*FOR_KEYCLOAK, "--client-id", "agent-ui"),
    ),
    Mistake(
        "a token of Okta's org server",
        load_sample("okta", "org-server"),
        ("--audience", str(load_sample("okta", "org-server").payload["aud"])),
        {"header_type": "okta_org_server"},
        ("Security > API > Authorization Servers", "/oauth2/default", "api://default"),
        OKTA,
        mended_options=FOR_OKTA,
        mended_issuer_url=OKTA.issuer,
    ),
    Mistake(
        "another audience than that of Okta's server",
        OKTA,
        ("--audience", "agent-api"),
        {"audience": "okta_other_audience"},
        ("api://default", "Settings > Audience"),
        OKTA,
        mended_options=FOR_OKTA,
    ),
    Mistake(
        "a token for Microsoft Graph",
        load_sample("entra", "graph"),
        ("--audience", "6e74172b-be56-4843-9ff4-e66a39bb12e3"),
        {"audience": "entra_graph_token", "kind": "entra_graph_token"},
        ("Microsoft Graph", "Expose an API"),
        ENTRA_V2,
    ),
    Mistake(
        "an Entra token of version 1 where version 2 is expected",
        ENTRA_V1,
        ("--audience", str(ENTRA_V1.payload["aud"])),
        {"issuer": "entra_version_mix"},
        ("requestedAccessTokenVersion", f'issuer_url="{ENTRA_V1.issuer}"'),
        ENTRA_V1,
        issuer_url=ENTRA_V2.issuer,
        mended_issuer_url=ENTRA_V1.issuer,
    ),
    Mistake(
        "an Entra token of version 2 where version 1 is expected",
        ENTRA_V2,
        ("--audience", str(ENTRA_V2.payload["aud"])),
        {"issuer": "entra_version_mix"},
        (f'issuer_url="{ENTRA_V2.issuer}"',),
        ENTRA_V2,
        issuer_url=ENTRA_V1.issuer,
        mended_issuer_url=ENTRA_V2.issuer,
    ),
    Mistake(
        "Auth0 asked for another API",
        AUTH0.but(aud="https://other.acme.example"),
        FOR_AUTH0,
        {"audience": "auth0_other_audience"},
        ("audience=https://api.acme.example", "Identifier"),
        AUTH0,
    ),
    Mistake(
        "an API at Auth0 that signs by a secret",
        AUTH0,
        FOR_AUTH0,
        {"algorithm": "auth0_shared_secret"},
        ("Signing Algorithm to RS256",),
        AUTH0,
        header={"alg": "HS256"},
    ),
    Mistake(
        "Cognito's ID token",
        load_sample("cognito", "id"),
        FOR_COGNITO,
        {"kind": "cognito_id_token", "client": "cognito_other_client", "audience": "id_token"},
        ("access_token", "token_use"),
        COGNITO,
    ),
    Mistake(
        "another app client at Cognito",
        COGNITO,
        ("--client-id", "somebody-else"),
        {"client": "cognito_other_client"},
        ('client_ids=["57cbishk4j24pabc1234567890"]', "OIDCBRIDGE_CLIENT_IDS"),
        COGNITO,
        mended_options=FOR_COGNITO,
    ),
    Mistake(
        "Cognito's client id for an audience, where its issuer has a name of its own",
        COGNITO.but(iss="https://login.acme.example"),
        ("--audience", str(COGNITO.payload["client_id"])),
        {"audience": "client_as_audience"},
        ('client_ids=["57cbishk4j24pabc1234567890"]', "OIDCBRIDGE_CLIENT_IDS"),
        COGNITO.but(iss="https://login.acme.example"),
        mended_options=(*FOR_COGNITO, "--provider", "cognito"),
    ),
    Mistake(
        "an ID token",
        load_sample("auth0", "id"),
        ("--audience", str(load_sample("auth0", "id").payload["aud"])),
        {"kind": "id_token"},
        ("access_token",),
        AUTH0,
        mended_options=FOR_AUTH0,
    ),
    Mistake(
        "a wrong slash at the issuer's end",
        AUTH0,
        FOR_AUTH0,
        {"issuer": "issuer_slash"},
        ('issuer_url="https://acme.eu.auth0.com/"',),
        AUTH0,
        issuer_url="https://acme.eu.auth0.com",
        mended_issuer_url=AUTH0.issuer,
    ),
    Mistake(
        "a token of the provider's other host name",
        KEYCLOAK.but(iss="http://keycloak:8080/realms/acme"),
        FOR_KEYCLOAK,
        {"issuer": "issuer_host"},
        ('issuer_url="http://keycloak:8080/realms/acme"', "discovery_url", "OIDCBRIDGE_DISCOVERY_URL"),
        KEYCLOAK,
        issuer_url=KEYCLOAK.issuer,
    ),
    Mistake(
        "a token of somebody else",
        KEYCLOAK.but(iss="https://elsewhere.example"),
        FOR_KEYCLOAK,
        {"issuer": "other_issuer"},
        ('issuer_url="https://elsewhere.example"',),
        KEYCLOAK,
        issuer_url=KEYCLOAK.issuer,
    ),
    Mistake(
        "a client that is not on the list",
        KEYCLOAK,
        (*FOR_KEYCLOAK, "--client-id", "another-ui"),
        {"client": "other_client"},
        ('client_ids=["agent-ui"]',),
        KEYCLOAK,
        mended_options=(*FOR_KEYCLOAK, "--client-id", "another-ui", "--client-id", "agent-ui"),
    ),
    Mistake(
        "a token bound to the client's key",
        KEYCLOAK.but(cnf={"jkt": "x"}),
        FOR_KEYCLOAK,
        {"sender": "sender_constrained"},
        ("Require DPoP bound tokens",),
        KEYCLOAK,
    ),
    Mistake(
        "a user id of the namespace that marks machines",
        KEYCLOAK.but(sub="client:svc"),
        FOR_KEYCLOAK,
        {"user": None},
        (),
        KEYCLOAK,
    ),
    Mistake(
        "a token of Okta's org server at a custom one",
        load_sample("okta", "org-server"),
        FOR_OKTA,
        dict.fromkeys(("header_type", "issuer", "audience"), "okta_org_server"),
        ("Security > API > Authorization Servers", "/oauth2/default", "api://default"),
        OKTA,
        issuer_url=OKTA.issuer,
        mended_issuer_url=OKTA.issuer,
    ),
    Mistake(
        "Auth0's opaque token, since the login asked for no audience",
        "0sLmbAYKJqXjdM5rXEHhFkAG4pWnzTvE",
        FOR_AUTH0,
        {"format": "auth0_no_audience"},
        ("audience=https://api.acme.example", "Default Audience"),
        AUTH0,
    ),
    Mistake(
        "Auth0's encrypted token, since the login asked for no audience",
        encrypted("https://acme.eu.auth0.com/"),
        FOR_AUTH0,
        {"format": "auth0_no_audience"},
        ("audience=https://api.acme.example", "Default Audience"),
        AUTH0,
    ),
    Mistake(
        "a token of five parts",
        encrypted(KEYCLOAK.issuer),
        FOR_KEYCLOAK,
        {"format": "encrypted_token"},
        ("turn access token encryption off",),
        KEYCLOAK,
    ),
    Mistake(
        "an opaque token",
        "ya29.a0AfH6SMBxyz-opaque",
        FOR_KEYCLOAK,
        {"format": "opaque_token"},
        ("strategies.access_token: jwt", "Auth Token Type = JWT"),
        KEYCLOAK,
    ),
    Mistake(
        "a token signed by a shared secret, at an issuer",
        HYDRA,
        FOR_HYDRA,
        {"algorithm": "shared_secret"},
        ("RS256 or ES256", 'algorithm="HS256"', "verification_keys="),
        HYDRA,
        header={"alg": "HS256"},
    ),
]
