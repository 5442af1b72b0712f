"""The demo's identity provider: the test kit's issuer with two people and three clients.

Names and passwords are those of the local Keycloak's realm, so that a command tried here works there too.
"""

from __future__ import annotations

from typing import Final

from oidcbridge.testing import FakeClient, FakeIssuer, FakeUser

AUDIENCE: Final = "agent-api"
ALL_SCOPES: Final = "agents:run agents:read"

ADA: Final = FakeUser(
    "ada",
    "ada-pw",
    scopes=("openid", "agents:run", "agents:read"),
    claims={
        "sid": "desk-1",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "roles": ["agent-user", "agent-admin"],
        "tenant": "acme",
        "locale": "en-GB",
    },
)
BOB: Final = FakeUser("bob", "bob-pw", scopes=("openid", "agents:read"), claims={"name": "Bob Bell"})

RS256_CLIENT: Final = FakeClient("agent-ui")
ES256_CLIENT: Final = FakeClient("agent-es", algorithm="ES256")


def build_provider() -> FakeIssuer:
    """An issuer that takes its address from the server it is given."""
    return FakeIssuer(url=None, audience=AUDIENCE, clients=(RS256_CLIENT, ES256_CLIENT), development_users=(ADA, BOB))


def password_form(user: FakeUser, client: FakeClient) -> dict[str, str]:
    """The token request for ``user`` by ``client``, a public one (RFC 6749 section 4.3.2)."""
    return {
        "grant_type": "password",
        "client_id": client.client_id,
        "username": user.username,
        "password": user.password,
    }
