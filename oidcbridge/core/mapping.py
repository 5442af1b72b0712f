"""``VerifiedToken -> Principal``: a provider's claims in our words. The mapping is data; this module applies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from oidcbridge.core.claims import (
    CLIENT_PLACEHOLDER,
    JSON_OBJECT,
    ClaimPaths,
    Claims,
    Notices,
    read_each_client,
    read_names,
    read_path,
    read_string,
)
from oidcbridge.core.principal import Principal
from oidcbridge.core.strict_json import freeze, seal
from oidcbridge.core.verify import VerifiedToken
from oidcbridge.errors import ClaimError, MissingClaimError

#: Says whether verified claims speak for a machine.
MachineRule = Callable[[Claims], bool]
MACHINE_PREFIX = "client:"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def sub_is_client(claims: Claims) -> bool:
    """The subject is the client itself (RFC 9068 section 2.2)."""
    sub = claims.get("sub")
    return sub is not None and sub == read_string(claims, ("client_id", "azp", "cid", "appid"))


@dataclass(frozen=True, kw_only=True)
class ClaimMapping:
    """Claim paths (`oidcbridge.core.claims`) for each field of `Principal`; the first usable one wins.

    A roles path with ``{client}`` adds the roles of every client: ours plain, the others as ``client:role``. A path
    without it counts where those before it name no role.
    """

    user_id: ClaimPaths = ("sub",)
    session_id: ClaimPaths = ("sid",)
    scopes: ClaimPaths = ("scope", "scp")
    roles: ClaimPaths = ("roles",)
    groups: ClaimPaths = ("groups",)
    permissions: ClaimPaths = ("permissions",)
    machine_permissions: ClaimPaths = ()
    """What stands for them in a machine's token (Entra: ``roles``)."""
    tenant: ClaimPaths = ("org_id", "tid", "tenant")
    client_id: ClaimPaths = ("client_id", "azp", "cid", "appid")
    dependencies: Mapping[str, str] = field(default_factory=dict)
    """Name in ``Principal.dependencies`` -> claim path."""
    session_state: Mapping[str, str] = field(default_factory=dict)
    name: ClaimPaths = ("name", "given_name+family_name", "preferred_username", "nickname")
    """``+`` joins two."""
    email: ClaimPaths = ("email",)
    is_machine: MachineRule = sub_is_client
    own_clients: frozenset[str] = frozenset()
    """Client ids that are this API; the settings fill in the audiences."""
    tenants: frozenset[str] = frozenset()
    """Allow-list of tenants; empty: no rule. With one, ``user_id`` is ``tenant:id``."""
    user_id_prefix: str = ""
    """``name:`` where several issuers are configured, so that equal subjects stay apart."""
    issuer_spellings: Mapping[str, str] = field(default_factory=dict)
    """Another spelling of ``iss`` -> the one that `Principal.issuer` shows (Google)."""
    hint: Callable[[Claims], str] | None = None
    """What to add to the refusal of a token that names nobody; empty where nothing is known."""
    notices: Notices | None = field(default=None, compare=False, repr=False)
    """Who is told of claims that are skipped."""
    plain_user_id: Any = field(init=False, compare=False, repr=False)
    """The claim that is nearly every token's user id; None, which no claim is called, where more has to be asked."""

    def __post_init__(self) -> None:
        for name in ("dependencies", "session_state", "issuer_spellings"):  # reachable from every principal
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        is_plain = not (self.tenants or self.user_id_prefix or any("." in path for path in self.client_id))
        first = self.user_id[0] if is_plain and self.user_id else None
        object.__setattr__(self, "plain_user_id", None if first is None or first.endswith("email") else first)

    def read_field(self, name: str, claims: Claims, principal: Principal) -> object:
        """A field of ``principal`` that does not decide who it is; nothing in it is ever refused."""
        read = _READERS.get(name)
        if read is None:
            raise AttributeError(f"'Principal' object has no attribute {name!r}", name=name, obj=principal)
        return read(claims, self, principal)

    def read_for_request(self, fields: dict[str, Any], claims: Claims, principal: Principal) -> None:
        """What every request is handed (`oidcbridge.asgi.state`); the last of it is ``session_state``."""
        fields["scopes"] = read_names(claims, self.scopes, self.notices)
        fields["session_id"] = read_string(claims, self.session_id, self.notices)
        fields["dependencies"] = _selected(principal, self.dependencies)
        fields["session_state"] = _selected(principal, self.session_state)


def principal_from(token: VerifiedToken, mapping: ClaimMapping) -> Principal:
    """Map verified claims. Raises `ClaimError` where they name nobody: ``user_id`` is never empty."""
    claims = token.claims
    user_id = claims.get(mapping.plain_user_id)
    # What `_user_id` would say of a person's token, in the fewest steps.
    if type(user_id) is str and user_id and not user_id.startswith(MACHINE_PREFIX):
        for name in mapping.client_id:
            if name in claims and claims[name] == user_id:
                break
        else:
            return Principal.read_by(mapping, claims, user_id, token.expires_at)
    user_id = _user_id(claims, mapping)
    if mapping.tenants:
        user_id = f"{_allowed_tenant(claims, mapping)}:{user_id}"
    if mapping.user_id_prefix:
        user_id = mapping.user_id_prefix + user_id
    return Principal.read_by(mapping, claims, user_id, token.expires_at)


def insecure_unverified_fields(
    claims: Claims, mapping: ClaimMapping
) -> tuple[str | None, str | None, Mapping[str, Any], Mapping[str, Any]]:
    """user_id, session_id, dependencies and session_state of claims that nobody vouches for (``validate=False``)."""
    claims = freeze(claims)
    return (
        read_string(claims, mapping.user_id),
        read_string(claims, mapping.session_id),
        _found(claims, mapping.dependencies, None),
        _found(claims, mapping.session_state, None),
    )


def _user_id(claims: Claims, mapping: ClaimMapping) -> str:
    user_id, path = None, next(iter(mapping.user_id), "sub")
    for path in mapping.user_id:
        user_id = read_path(claims, path)
        if isinstance(user_id, str) and user_id:
            break
        if user_id is not None and user_id != "" and mapping.notices is not None:
            mapping.notices.skipped(path, user_id)
    else:
        user_id = None
    client_id = read_string(claims, mapping.client_id)
    # A client whose id looks like a user's must not become that user (RFC 9068 section 5, RFC 9700 section 4.15).
    if user_id is None or user_id == client_id:
        if mapping.is_machine(claims):
            if client_id is None:
                raise MissingClaimError("a machine's token without a client id", claim="client_id")
            return MACHINE_PREFIX + client_id
        if user_id is None:
            raise MissingClaimError(
                f"the token names no user: none of {list(mapping.user_id)} is a non-empty string"
                " (Keycloak: give the client the 'basic' scope; else set user_id_claim)"
                f"{mapping.hint(claims) if mapping.hint else ''}",
                claim=next(iter(mapping.user_id), "sub"),
            )
    if path.endswith("email") and read_path(claims, f"{path}_verified") is not True:
        raise ClaimError(f"{path!r} is the user id, and '{path}_verified' is not true", claim=path)
    if user_id.startswith(MACHINE_PREFIX):  # a machine's own subject too: it would be another machine's id
        raise ClaimError(f"an id may not begin with {MACHINE_PREFIX!r}, which marks machines", claim=path)
    return user_id


def _roles(claims: Claims, mapping: ClaimMapping) -> tuple[str, ...]:
    roles: tuple[str, ...] = ()
    for path in mapping.roles:
        if CLIENT_PLACEHOLDER in path:
            for client, names in read_each_client(claims, path, mapping.notices):
                roles += names if client in mapping.own_clients else _qualified(client, names)
        elif not roles:
            roles = read_names(claims, (path,), mapping.notices)
    return _each_once(roles)


@lru_cache(maxsize=1024)
def _qualified(client: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([f"{client}:{name}" for name in names])


@lru_cache(maxsize=1024)  # most users have one of a few sets of roles: one tuple for all who have the same
def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _groups(claims: Claims, mapping: ClaimMapping) -> tuple[str, ...]:
    groups = read_names(claims, mapping.groups, mapping.notices)
    if not groups:
        _groups_complete(claims, mapping)
    return groups


def _groups_complete(claims: Claims, mapping: ClaimMapping) -> bool:
    """Entra leaves groups out of a token that has too many, and says so in one of two ways."""
    elsewhere = claims.get("_claim_names")
    are_left_out = claims.get("hasgroups") is True or (isinstance(elsewhere, JSON_OBJECT) and "groups" in elsewhere)
    if are_left_out and mapping.notices is not None:
        mapping.notices.groups_left_out()
    return not are_left_out


def _permissions(claims: Claims, mapping: ClaimMapping) -> tuple[str, ...]:
    permissions = read_names(claims, mapping.permissions, mapping.notices)
    if not permissions and mapping.machine_permissions and mapping.is_machine(claims):
        return read_names(claims, mapping.machine_permissions, mapping.notices)
    return permissions


def _issuer(claims: Claims, mapping: ClaimMapping) -> str | None:
    issuer = read_string(claims, ("iss",))
    return issuer if issuer is None else mapping.issuer_spellings.get(issuer, issuer)


def _tenant(claims: Claims, mapping: ClaimMapping) -> str | None:
    """The tenant, where there is exactly one: a string, or the only name of a list or object."""
    for path in mapping.tenant:
        value = read_path(claims, path)
        if isinstance(value, str) and value:
            return value
        names = read_names(claims, (path,), mapping.notices)
        if names:
            return names[0] if len(names) == 1 else None
    return None


def _allowed_tenant(claims: Claims, mapping: ClaimMapping) -> str:
    tenant = _tenant(claims, mapping)
    if tenant is None or tenant not in mapping.tenants:
        raise ClaimError(
            f"tenant {ascii(tenant)[:200]} is not among tenants", claim=next(iter(mapping.tenant), "tenant")
        )
    return tenant


_LISTS = frozenset({"scopes", "roles", "groups", "permissions"})


def _selected(principal: Principal, wanted: Mapping[str, str]) -> Mapping[str, Any]:
    return _found(principal.claims, wanted, principal) if wanted else _NOTHING


def _found(claims: Claims, wanted: Mapping[str, str], principal: Principal | None) -> Mapping[str, Any]:
    """The wanted claims that are there; ``roles``, ``name`` and their like also where the provider keeps them."""
    selected = {}
    for name, path in wanted.items():
        value = read_path(claims, path)
        if value is None and principal is not None:
            if path in _LISTS:
                value = getattr(principal, path) or None
            elif path in ("name", "email"):
                value = getattr(principal, path)
        if value is not None:
            selected[name] = value
    return MappingProxyType(selected)


def _first_text(claims: Claims, paths: ClaimPaths) -> str | None:
    """The first text along ``paths``, also as the first of a list; ``a+b`` are two with a space between them."""
    for path in paths:
        parts = [read_path(claims, part) for part in path.split("+")]
        parts = [part[0] if isinstance(part, tuple | list) and part else part for part in parts]
        text = " ".join(part for part in parts if isinstance(part, str) and part)
        if text:
            return text
    return None


def _read_only(claims: Claims) -> Claims:
    return seal(claims) if type(claims) is dict else claims


_READERS: Mapping[str, Callable[[Claims, ClaimMapping, Principal], object]] = {
    "claims": lambda claims, _mapping, _principal: _read_only(claims),
    "client_id": lambda claims, mapping, _principal: read_string(claims, mapping.client_id, mapping.notices),
    "dependencies": lambda _claims, mapping, who: _selected(who, mapping.dependencies),
    "email": lambda claims, mapping, _principal: _first_text(claims, mapping.email),
    "groups": lambda claims, mapping, _principal: _groups(claims, mapping),
    "groups_complete": lambda claims, mapping, _principal: _groups_complete(claims, mapping),
    "issuer": lambda claims, mapping, _principal: _issuer(claims, mapping),
    "kind": lambda claims, mapping, _principal: "machine" if mapping.is_machine(claims) else "user",
    "name": lambda claims, mapping, _principal: _first_text(claims, mapping.name),
    "permissions": lambda claims, mapping, _principal: _permissions(claims, mapping),
    "roles": lambda claims, mapping, _principal: _roles(claims, mapping),
    "scopes": lambda claims, mapping, _principal: read_names(claims, mapping.scopes, mapping.notices),
    "session_id": lambda claims, mapping, _principal: read_string(claims, mapping.session_id, mapping.notices),
    "session_state": lambda _claims, mapping, who: _selected(who, mapping.session_state),
    "tenant": lambda claims, mapping, _principal: _tenant(claims, mapping),
}
