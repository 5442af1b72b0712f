"""Principal: who a verified token speaks for.

Most requests ask who is calling and little more, so what is seldom asked for (roles, groups, …) is read from the claims
when it is, once: that halves what a new token costs beside its signature, and what a remembered one takes.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from oidcbridge.core.strict_json import thaw

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return _EMPTY


def _none() -> None:
    return None


def _user() -> Literal["user"]:
    return "user"


def _true() -> bool:
    return True


def _read_only(members: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(members)


# Python cannot copy or pickle a read-only mapping by itself, and FastAPI copies what a route returns: without this
# line ``return principal`` is a 500.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


class Reader(Protocol):
    """Reads what a principal does not know of itself yet."""

    def read_field(self, name: str, claims: Mapping[str, Any], principal: Principal) -> object:
        """The field ``name`` of a principal, from the token's claims."""
        ...

    def read_for_request(self, fields: dict[str, Any], claims: Mapping[str, Any], principal: Principal) -> None:
        """Put those ``fields`` in their place that every request is handed: sooner than one by one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who is calling, in the same words for every provider.

    Frozen and shared between requests that carry the same token; every mapping in it is read-only all the way down.
    The repr shows who it is and never the claims.
    """

    user_id: str
    """The mapped user (default ``sub``, unique within ``issuer``); ``client:<client_id>`` for a machine without one."""
    session_id: str | None = field(default_factory=_none)
    """The login session, where the provider's tokens carry one that lasts (never a per-token id)."""
    dependencies: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """The claims named by ``dependencies_claims``."""
    session_state: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """The claims named by ``session_state_claims``."""
    scopes: tuple[str, ...] = field(default_factory=tuple)
    """OAuth scopes, in the token's order."""
    roles: tuple[str, ...] = field(default_factory=tuple)
    """Roles; those of another client than ours read ``client:role``."""
    groups: tuple[str, ...] = field(default_factory=tuple)
    permissions: tuple[str, ...] = field(default_factory=tuple)
    name: str | None = field(default_factory=_none, repr=False)
    """What the person is called, to be shown; never an identifier."""
    email: str | None = field(default_factory=_none, repr=False)
    """As the token has it; whether the provider verified it is ``claims["email_verified"]``."""
    client_id: str | None = field(default_factory=_none)
    """The OAuth client that asked for the token."""
    tenant: str | None = field(default_factory=_none)
    """The one organization the token speaks for, if it names exactly one."""
    issuer: str | None = field(default_factory=_none)
    """``iss``; None only with static keys and no issuer in the token."""
    kind: Literal["user", "machine"] = field(default_factory=_user)
    groups_complete: bool = field(default_factory=_true)
    """False where the provider left groups out because there were too many."""
    expires_at: float = field(default=0.0, repr=False)
    """``exp``, in seconds since the epoch."""
    claims: Mapping[str, Any] = field(default_factory=_empty, repr=False, hash=False)
    """Every verified claim."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Let a route be annotated ``-> Principal``: pydantic knows no read-only mappings, and writes `as_dict`."""
        written = {"type": "function-plain", "function": cls.as_dict, "return_schema": handler(dict[str, Any])}
        return {**handler(source), "serialization": written}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain dicts and lists, which may be written into: for JSON, templates and response models."""
        return {item.name: thaw(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def read_by(
        cls,
        reader: Reader,
        unread: Mapping[str, Any],
        user_id: str,
        expires_at: float,
    ) -> Self:
        """A principal of whom this is known; ``reader`` reads the other fields from what is ``unread``."""
        principal = cls.__new__(cls)
        fields = principal.__dict__
        fields["_reader"] = reader
        fields["_unread"] = unread
        fields["user_id"] = user_id
        fields["expires_at"] = expires_at
        return principal

    def read_for_request(self) -> Mapping[str, Any]:
        """Read now what every request is handed, if that has not been read yet. Returns the fields that are known."""
        fields = self.__dict__
        if "session_state" not in fields:
            fields["_reader"].read_for_request(fields, fields["_unread"], self)
        return fields

    if not TYPE_CHECKING:  # pragma: no branch - a type checker shall still tell which attributes there are

        def __getattr__(self, name: str) -> Any:
            fields = self.__dict__
            reader = fields.get("_reader")
            if reader is None:
                raise AttributeError(f"'Principal' object has no attribute {name!r}", name=name, obj=self)
            value = fields[name] = reader.read_field(name, fields["_unread"], self)
            return value  # threads that meet here have read the same

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_of, ({item.name: getattr(self, item.name) for item in fields(self)},)


def _made_of(known: dict[str, Any]) -> Principal:
    return Principal(**known)
