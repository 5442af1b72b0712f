"""What an unverified token would map to. For people's eyes: nobody has vouched for any of it."""

from __future__ import annotations

from typing import NamedTuple, cast

from oidcbridge.core.claims import Claims
from oidcbridge.core.mapping import ClaimMapping, principal_from
from oidcbridge.core.principal import Principal
from oidcbridge.core.verify import VerifiedToken


class _Unverified(NamedTuple):
    claims: Claims
    expires_at: float = 0.0


def insecure_unverified_principal(claims: Claims, mapping: ClaimMapping) -> Principal:
    """The principal that ``claims`` would give, were they true. Raises `ClaimError` where they name nobody.

    Not a `VerifiedToken` and never to be let in: `core.verify` alone makes those.
    """
    return principal_from(cast(VerifiedToken, _Unverified(claims)), mapping)
