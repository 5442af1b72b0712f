"""Documented tokens of the providers that are not Keycloak, Auth0 or Cognito, verified as their users would."""

from __future__ import annotations

from typing import Any

from oidcbridge import Principal, Verifier
from oidcbridge.testing import Clock
from tests.providers.sample import Sample, sign

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ENTRA_V2 = f"https://login.microsoftonline.com/{TENANT}/v2.0"
ENTRA_V1 = f"https://sts.windows.net/{TENANT}/"
GUID = "6e74172b-be56-4843-9ff4-e66a39bb12e3"
PROJECT = "163840776835432705"
#: Provider -> what its users write beside the issuer.
USUAL: dict[str, dict[str, Any]] = {
    "okta": {"audience": "api://default"},
    "entra": {"audience": [GUID, f"api://{GUID}"]},
    "google": {"audience": "1234567890-agentui.apps.googleusercontent.com", "accept_id_tokens": True},
    "zitadel": {"audience": PROJECT, "provider": "zitadel"},
    "authentik": {"audience": "agent-ui"},
    "dex": {"audience": "agent-ui", "accept_id_tokens": True},
    "hydra": {"audience": "agent-api", "provider": "hydra"},
    "pingone": {"audience": "https://api.acme.example"},
}
ISSUERS = {"google": "https://accounts.google.com"}


def principal_of(sample: Sample, **arguments: Any) -> Principal:
    """Verify the sample at its own time, with what its provider's users write; ``arguments`` are laid on top."""
    token, jwks = sign(sample)
    issuer = ISSUERS.get(sample.provider, sample.issuer)
    said = {"issuer_url": issuer, **USUAL[sample.provider], **arguments}
    with Verifier(jwks=jwks, clock=Clock(sample.now), dependencies_claims=["name", "email"], **said) as verifier:
        return verifier.verify_now(token)
