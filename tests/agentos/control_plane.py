"""The hosted control plane, as agno documents its tokens."""

from __future__ import annotations

from collections.abc import Mapping

from oidcbridge.testing import OMIT, FakeIssuer, FakeKey
from tests.agentos.kit import EVERYTHING

KEY = FakeKey.generate("RS256", kid="control-plane")
PEM = KEY.public_pem()


def control_plane_token(
    issuer: FakeIssuer, key: FakeKey = KEY, claims: Mapping[str, object] | None = None, **more_claims: object
) -> str:
    """As agno documents them: ``sub``, ``scopes``, ``aud``, ``exp``, ``iat`` and no ``iss``."""
    said: Mapping[str, object] = {
        "iss": OMIT,
        "aud": "os1",
        "scope": OMIT,
        "scopes": [EVERYTHING],
        **(claims or {}),
        **more_claims,
    }
    return issuer.mint("operator", key=key, claims=said)
