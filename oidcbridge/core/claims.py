"""Read claims: paths, space- or list-valued scopes, string-or-list audience. A claim of a wrong type reads as absent.

A path is the name of a claim, or names joined by dots that lead into objects. Names hold dots, colons and URLs
themselves, so the longest name that exists wins at each step::

    sub                               cognito:groups                       https://acme.example/roles
    realm_access.roles                resource_access.my.client.roles      resource_access.{client}.roles

``{client}`` stands for every member at its place, or for every claim of such a name (`read_each_client`).
``permissions[name#scopes]`` reads a list of objects: the member ``name`` of each, as ``name#scope`` for each of its
``scopes`` where it has some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Protocol

Claims = Mapping[str, Any]
ClaimPaths = tuple[str, ...]
CLIENT_PLACEHOLDER = "{client}"
#: What a JSON object is here, parsed or a user's own: ten times faster to ask for than `Mapping`, and asked often.
JSON_OBJECT = (MappingProxyType, dict)
#: The same for arrays. A tuple of types, since ``tuple | list`` is made anew each time it is asked for.
JSON_ARRAY = (tuple, list)
_STRINGS_ALONE = frozenset({str})


class Notices(Protocol):
    """Who is told what is odd about an issuer's claims; they are read on without it."""

    def skipped(self, path: str, value: object) -> None:
        """The claim at ``path`` is not used, or not all of it: its value is of another type than is read there."""
        ...

    def groups_left_out(self) -> None:
        """The provider has left groups out because there are too many."""
        ...


def read_path(claims: Claims, path: str) -> Any:
    """The value at ``path``, or None."""
    value = claims.get(path)
    if value is not None or "." not in path or path in claims:
        return value
    for name, rest in _splits(path):
        node = claims.get(name)
        if isinstance(node, JSON_OBJECT):
            value = read_path(node, rest)
            if value is not None:
                return value
    return None


@lru_cache(maxsize=1024)  # paths are the configuration's, and few
def _splits(path: str) -> tuple[tuple[str, str], ...]:
    """Each way to part ``path`` at one of its dots, the longest first name first."""
    parts = path.split(".")
    return tuple((".".join(parts[:end]), ".".join(parts[end:])) for end in range(len(parts) - 1, 0, -1))


def read_string(claims: Claims, paths: ClaimPaths, notices: Notices | None = None) -> str | None:
    """The first non-empty string along ``paths``."""
    for path in paths:
        value = claims.get(path)
        if value is None and "." in path:
            value = read_path(claims, path)
        if isinstance(value, str):
            if value:
                return value
        elif value is not None and notices is not None:
            notices.skipped(path, value)
    return None


def read_names(claims: Claims, paths: ClaimPaths, notices: Notices | None = None) -> tuple[str, ...]:
    """The first non-empty list of names along ``paths``: a list, a space-separated string, or an object's keys."""
    for path in paths:
        value = read_path(claims, path)
        if value is not None:
            names = _names_at(path, value, notices)
        elif path.endswith("]"):
            names = _names_of_objects(claims, path, notices)
        else:
            continue
        if names:
            return names
    return ()


def _names_at(path: str, value: Any, notices: Notices | None) -> tuple[str, ...]:
    names = as_names(value)
    if notices is not None and type(value) is not str:
        is_list = isinstance(value, JSON_ARRAY)
        if len(names) != len(value) if is_list else not isinstance(value, JSON_OBJECT):
            notices.skipped(path, value)
    return names


def _names_of_objects(claims: Claims, path: str, notices: Notices | None) -> tuple[str, ...]:
    where, name_of, parts_of = _objects_at(path)
    listed = read_path(claims, where)
    if not isinstance(listed, JSON_ARRAY):
        if listed is not None and notices is not None:
            notices.skipped(path, listed)
        return ()
    names: list[str] = []
    for one in listed:
        name = one.get(name_of) if isinstance(one, JSON_OBJECT) else None
        if isinstance(name, str) and name:
            parts = as_names(one.get(parts_of))
            names += [f"{name}#{part}" for part in parts] or [name]
        elif notices is not None:
            notices.skipped(path, listed)
    return tuple(names)


@lru_cache(maxsize=1024)
def _objects_at(path: str) -> tuple[str, str, str]:
    where, _, members = path.removesuffix("]").rpartition("[")
    name, _, parts = members.partition("#")
    return where, name, parts


def as_names(value: Any) -> tuple[str, ...]:
    """``value`` as names: a list's strings, a string's words, an object's keys (Zitadel's roles).

    Words are parted by spaces alone (RFC 6749 section 3.3): other white space belongs to a name, as it does for the
    provider. A key counts where an object or ``true`` stands behind it, so that ``{"admin": false}`` grants nothing.
    """
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, JSON_ARRAY):
        if _STRINGS_ALONE.issuperset(map(type, value)) and "" not in value:
            return tuple(value)
        return tuple([name for name in value if isinstance(name, str) and name])
    if isinstance(value, JSON_OBJECT):
        return tuple(
            [name for name, member in value.items() if name and (member is True or isinstance(member, JSON_OBJECT))]
        )
    return ()


@lru_cache(maxsize=1024)  # the same few scopes come in every token: one tuple for all of them, and sooner
def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(" ")))


def read_each_client(
    claims: Claims, path: str, notices: Notices | None = None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each (client, names) that a path with ``{client}`` leads to.

    A placeholder between dots stands for the members of an object (Keycloak's ``resource_access.{client}.roles``), one
    within a name for a part of it (Zitadel's ``urn:zitadel:iam:org:project:{client}:roles``).
    """
    before, after, is_within_name = _around_client(path)
    if is_within_name:
        shortest = len(before) + len(after)
        for name, value in claims.items():
            if len(name) > shortest and name.startswith(before) and name.endswith(after):
                yield name[len(before) : len(name) - len(after)], _names_at(path, value, notices)
        return
    clients = read_path(claims, before)
    if isinstance(clients, JSON_OBJECT):
        for client, members in clients.items():
            if not after:
                yield client, _names_at(path, members, notices)
            elif isinstance(members, JSON_OBJECT):
                yield client, as_names(read_path(members, after))
            elif notices is not None:
                notices.skipped(path, members)
    elif clients is not None and notices is not None:
        notices.skipped(path, clients)


@lru_cache(maxsize=1024)
def _around_client(path: str) -> tuple[str, str, bool]:
    before, _, after = path.partition(CLIENT_PLACEHOLDER)
    if before and not before.endswith("."):
        return before, after, True
    return before.removesuffix("."), after.removeprefix("."), False


def read_audience(claims: Claims, claim: str = "aud") -> tuple[str, ...]:
    """``aud`` as a tuple: a string or a list of strings (RFC 7519 section 4.1.3), else empty. Or what stands for it."""
    value: Any = claims.get(claim)
    kind = type(value)
    if kind is str:
        return (value,)
    if (kind is list or kind is tuple) and _STRINGS_ALONE.issuperset(map(type, value)):
        return tuple(value)
    return ()
