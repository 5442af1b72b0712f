"""The rows of the providers' table: whose tokens, who made them, and what else has to be refused for a row to count."""

from __future__ import annotations

from typing import Literal, NamedTuple

KEYCLOAK = "vendor (Keycloak)"
MOTO = "third party (moto)"
OIDC_PROVIDER = "third party (oidc-provider)"
SIMULATOR = "third party (auth0-simulator)"
SAMPLE = "sample"
"""Header and payload of tests/providers/samples, which name their sources."""
TEST_KIT = "test kit"
"""A key of ours (`oidcbridge.testing`), behind discovery and key set as the provider has them."""

ID_TOKEN = "ID token"
AUDIENCE = "wrong audience"
CLIENT = "wrong client"
ISSUER = "wrong issuer"


class Row(NamedTuple):
    """One line of the table."""

    provider: str
    kind: Literal["user", "machine"]
    signature: str
    """Who made the signature."""
    shape: str
    """Who made header and claims."""
    trap: str
    """The provider's own trap: a token, or a setting, that is refused."""
    wrong: str = AUDIENCE

    @property
    def name(self) -> str:
        return f"{self.provider} {self.kind}"

    @property
    def twins(self) -> tuple[str, ...]:
        """What is refused beside the token that is accepted."""
        return (ID_TOKEN, self.wrong, ISSUER, self.trap)


_ROWS = (
    Row("Keycloak", "user", KEYCLOAK, KEYCLOAK, "lightweight token"),
    Row("Keycloak", "machine", KEYCLOAK, KEYCLOAK, "HS256 by client attribute", CLIENT),
    Row("Auth0", "user", OIDC_PROVIDER, SAMPLE, "opaque token"),
    Row("Auth0", "machine", OIDC_PROVIDER, SAMPLE, "HS256 by API setting"),
    Row("Auth0 RFC 9068", "user", OIDC_PROVIDER, SAMPLE, "issuer without its slash"),
    Row("Auth0 RFC 9068", "machine", OIDC_PROVIDER, SAMPLE, "issuer without its slash"),
    Row("Auth0 simulated", "user", SIMULATOR, SIMULATOR, "machine without sub"),
    Row("Cognito", "user", MOTO, MOTO, "client id as audience", CLIENT),
    Row("Cognito", "machine", TEST_KIT, SAMPLE, "bound to another API", CLIENT),
    Row("Okta", "user", OIDC_PROVIDER, SAMPLE, "org server's token"),
    Row("Okta", "machine", OIDC_PROVIDER, SAMPLE, "org server's token"),
    Row("Entra v2", "user", OIDC_PROVIDER, SAMPLE, "v1 token"),
    Row("Entra v2", "machine", OIDC_PROVIDER, SAMPLE, "another tenant's token"),
    Row("Entra v1", "user", OIDC_PROVIDER, SAMPLE, "v2 token"),
    Row("Entra v1", "machine", OIDC_PROVIDER, SAMPLE, "v2 token"),
    Row("Google", "user", TEST_KIT, SAMPLE, "issuer spelled a third way"),
    Row("Google", "machine", TEST_KIT, SAMPLE, "logout token"),
    Row("Zitadel", "user", OIDC_PROVIDER, SAMPLE, "opaque token"),
    Row("authentik", "user", OIDC_PROVIDER, SAMPLE, "HS256 without a signing key"),
    Row("Dex", "user", TEST_KIT, SAMPLE, "logout token"),
    Row("Hydra", "user", OIDC_PROVIDER, SAMPLE, "opaque token"),
    Row("Hydra", "machine", OIDC_PROVIDER, SAMPLE, "opaque token"),
    Row("PingOne", "user", OIDC_PROVIDER, SAMPLE, "machine given a sub"),
    Row("PingOne", "machine", OIDC_PROVIDER, SAMPLE, "machine given a sub"),
    Row("RFC 9068", "user", OIDC_PROVIDER, OIDC_PROVIDER, "another issuer's key"),
    Row("RFC 9068", "machine", OIDC_PROVIDER, OIDC_PROVIDER, "another issuer's key"),
)
ROWS = {row.name: row for row in _ROWS}
"""Name -> row, in the table's order. RFC 9068 is oidc-provider as it comes, read by the generic profile."""
