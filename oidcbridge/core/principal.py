"""Principal: who a verified token speaks for."""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from oidcbridge.core.strict_json import thaw

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return _EMPTY


def _read_only(members: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(members)


# Python cannot copy or pickle a read-only mapping by itself, and FastAPI copies what a route returns: without this
# line ``return principal`` is a 500.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who is calling, in the same words for every provider.

    Frozen and shared between requests that carry the same token; every mapping in it is read-only all the way down.
    The repr shows who it is and never the claims.
    """

    user_id: str
    """The mapped user (default ``sub``, unique within ``issuer``); ``client:<client_id>`` for a machine without one."""
    session_id: str | None = None
    """The login session, where the provider's tokens carry one that lasts (never a per-token id)."""
    dependencies: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """The claims named by ``dependencies_claims``."""
    session_state: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """The claims named by ``session_state_claims``."""
    scopes: tuple[str, ...] = ()
    """OAuth scopes, in the token's order."""
    roles: tuple[str, ...] = ()
    """Roles; those of another client than ours read ``client:role``."""
    groups: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    client_id: str | None = None
    """The OAuth client that asked for the token."""
    tenant: str | None = None
    """The one organization the token speaks for, if it names exactly one."""
    issuer: str | None = None
    """``iss``; None only with static keys and no issuer in the token."""
    kind: Literal["user", "machine"] = "user"
    groups_complete: bool = True
    """False where the provider left groups out because there were too many."""
    expires_at: float = field(default=0.0, repr=False)
    """``exp``, in seconds since the epoch."""
    claims: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """Every verified claim."""

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain dicts and lists, which may be written into: for JSON, templates and response models."""
        return {item.name: thaw(getattr(self, item.name)) for item in fields(self)}
