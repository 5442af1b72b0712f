"""``VerifiedToken -> Principal``: a provider's claims in our words. The mapping is data; this module applies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from oidcbridge.core.claims import (
    CLIENT_PLACEHOLDER,
    JSON_OBJECT,
    ClaimPaths,
    Claims,
    as_names,
    read_each_client,
    read_names,
    read_path,
    read_string,
)
from oidcbridge.core.principal import Principal
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.errors import ClaimError, MissingClaimError

#: Says whether verified claims speak for a machine.
MachineRule = Callable[[Claims], bool]
MACHINE_PREFIX = "client:"


def sub_is_client(claims: Claims) -> bool:
    """The subject is the client itself (RFC 9068 section 2.2)."""
    sub = claims.get("sub")
    return sub is not None and sub == read_string(claims, ("client_id", "azp", "cid", "appid"))


@dataclass(frozen=True, kw_only=True)
class ClaimMapping:
    """Claim paths (`oidcbridge.core.claims`) for each field of `Principal`; the first usable one wins.

    A roles path with ``{client}`` adds the roles of every client: ours plain, the others as ``client:role``.
    """

    user_id: ClaimPaths = ("sub",)
    session_id: ClaimPaths = ("sid",)
    scopes: ClaimPaths = ("scope", "scp")
    roles: ClaimPaths = ("roles",)
    groups: ClaimPaths = ("groups",)
    permissions: ClaimPaths = ("permissions",)
    tenant: ClaimPaths = ("org_id", "tid", "tenant")
    client_id: ClaimPaths = ("client_id", "azp", "cid", "appid")
    dependencies: Mapping[str, str] = field(default_factory=dict)
    """Name in ``Principal.dependencies`` -> claim path."""
    session_state: Mapping[str, str] = field(default_factory=dict)
    is_machine: MachineRule = sub_is_client
    own_clients: frozenset[str] = frozenset()
    """Client ids that are this API; the settings fill in the audiences."""
    tenants: frozenset[str] = frozenset()
    """Allow-list of tenants; empty: no rule. With one, ``user_id`` is ``tenant:id``."""
    user_id_prefix: str = ""
    """``name:`` where several issuers are configured, so that equal subjects stay apart."""


def principal_from(token: VerifiedToken, mapping: ClaimMapping) -> Principal:
    """Map verified claims. Raises `ClaimError` where they name nobody: ``user_id`` is never empty."""
    claims = token.claims
    machine = mapping.is_machine(claims)
    client_id = read_string(claims, mapping.client_id)
    lists = {
        "scopes": read_names(claims, mapping.scopes),
        "roles": _roles(claims, mapping),
        "groups": read_names(claims, mapping.groups),
        "permissions": read_names(claims, mapping.permissions),
    }
    tenant = _tenant(claims, mapping.tenant)
    if mapping.tenants and tenant not in mapping.tenants:
        raise ClaimError(
            f"tenant {ascii(tenant)[:200]} is not among tenants", claim=next(iter(mapping.tenant), "tenant")
        )
    prefix = mapping.user_id_prefix + (f"{tenant}:" if mapping.tenants else "")
    return Principal(
        user_id=prefix + _user_id(claims, mapping, client_id, machine=machine),
        session_id=read_string(claims, mapping.session_id),
        dependencies=_selected(claims, mapping.dependencies, lists),
        session_state=_selected(claims, mapping.session_state, lists),
        client_id=client_id,
        tenant=tenant,
        issuer=read_string(claims, ("iss",)),
        kind="machine" if machine else "user",
        groups_complete=not _groups_left_out(claims),
        expires_at=token.expires_at,
        claims=claims,
        **lists,
    )


def insecure_unverified_fields(
    claims: Claims, mapping: ClaimMapping
) -> tuple[str | None, str | None, Mapping[str, Any], Mapping[str, Any]]:
    """user_id, session_id, dependencies and session_state of claims that nobody vouches for (``validate=False``)."""
    return (
        read_string(claims, mapping.user_id),
        read_string(claims, mapping.session_id),
        _selected(claims, mapping.dependencies, {}),
        _selected(claims, mapping.session_state, {}),
    )


def _user_id(claims: Claims, mapping: ClaimMapping, client_id: str | None, *, machine: bool) -> str:
    path = next((path for path in mapping.user_id if read_string(claims, (path,))), None)
    user_id = read_string(claims, (path,)) if path else None
    if machine and user_id in (None, client_id):
        if client_id is None:
            raise MissingClaimError("a machine's token without a client id", claim="client_id")
        return MACHINE_PREFIX + client_id
    if path is None or user_id is None:
        raise MissingClaimError(
            f"the token names no user: none of {list(mapping.user_id)} is a non-empty string"
            " (Keycloak: give the client the 'basic' scope; else set user_id_claim)",
            claim=next(iter(mapping.user_id), "sub"),
        )
    if path.endswith("email") and read_path(claims, f"{path}_verified") is not True:
        raise ClaimError(f"{path!r} is the user id, and '{path}_verified' is not true", claim=path)
    if user_id.startswith(MACHINE_PREFIX):  # a machine's own subject too: it would be another machine's id
        raise ClaimError(f"an id may not begin with {MACHINE_PREFIX!r}, which marks machines", claim=path)
    return user_id


def _roles(claims: Claims, mapping: ClaimMapping) -> tuple[str, ...]:
    plain = tuple(path for path in mapping.roles if CLIENT_PLACEHOLDER not in path)
    roles = dict.fromkeys(read_names(claims, plain))
    for path in mapping.roles:
        if CLIENT_PLACEHOLDER in path:
            for client, names in read_each_client(claims, path):
                own = client in mapping.own_clients
                roles.update(dict.fromkeys(name if own else f"{client}:{name}" for name in names))
    return tuple(roles)


def _tenant(claims: Claims, paths: ClaimPaths) -> str | None:
    """The tenant, where there is exactly one: a string, or the only name of a list or object."""
    for path in paths:
        value = read_path(claims, path)
        if isinstance(value, str) and value:
            return value
        names = as_names(value)
        if names:
            return names[0] if len(names) == 1 else None
    return None


def _groups_left_out(claims: Claims) -> bool:
    """Entra leaves groups out of a token that has too many, and says so in one of two ways."""
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, JSON_OBJECT) and "groups" in elsewhere)


def _selected(claims: Claims, wanted: Mapping[str, str], lists: Mapping[str, tuple[str, ...]]) -> Mapping[str, Any]:
    """The wanted claims that are there; ``roles`` and its like also where the provider keeps them elsewhere."""
    selected = {}
    for name, path in wanted.items():
        value = read_path(claims, path)
        if value is None:
            value = lists.get(path) or None
        if value is not None:
            selected[name] = value
    return MappingProxyType(selected)
