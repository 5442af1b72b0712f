"""Read claims: paths, space- or list-valued scopes, string-or-list audience. A claim of a wrong type reads as absent.

A path is the name of a claim, or names joined by dots that lead into objects. Names hold dots, colons and URLs
themselves, so the longest name that exists wins at each step::

    sub                               cognito:groups                       https://acme.example/roles
    realm_access.roles                resource_access.my.client.roles      resource_access.{client}.roles

``{client}`` stands for every member at its place (`read_each_client`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

Claims = Mapping[str, Any]
ClaimPaths = tuple[str, ...]
CLIENT_PLACEHOLDER = "{client}"
#: What a JSON object is here, parsed or a user's own: ten times faster to ask for than `Mapping`, and asked often.
JSON_OBJECT = (MappingProxyType, dict)
_STRINGS_ALONE = frozenset({str})


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


def read_string(claims: Claims, paths: ClaimPaths) -> str | None:
    """The first non-empty string along ``paths``."""
    for path in paths:
        value = claims.get(path)
        if value is None and "." in path:
            value = read_path(claims, path)
        if isinstance(value, str) and value:
            return value
    return None


def read_names(claims: Claims, paths: ClaimPaths) -> tuple[str, ...]:
    """The first non-empty list of names along ``paths``: a list, a space-separated string, or an object's keys."""
    for path in paths:
        value = read_path(claims, path)
        if value is not None:
            names = as_names(value)
            if names:
                return names
    return ()


def as_names(value: Any) -> tuple[str, ...]:
    """``value`` as names: a list's strings, a string's words, an object's keys (Zitadel's roles).

    Words are parted by spaces alone (RFC 6749 section 3.3): other white space belongs to a name, as it does for the
    provider. A key counts where an object or ``true`` stands behind it, so that ``{"admin": false}`` grants nothing.
    """
    if isinstance(value, str):
        return _words(value)
    if isinstance(value, tuple | list):
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


def read_each_client(claims: Claims, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each (client, names) that a path with ``{client}`` leads to (Keycloak's ``resource_access``)."""
    before, after = _around_client(path)
    clients = read_path(claims, before)
    if isinstance(clients, JSON_OBJECT):
        for client, members in clients.items():
            if not after:
                yield client, as_names(members)
            elif isinstance(members, JSON_OBJECT):
                yield client, as_names(read_path(members, after))


@lru_cache(maxsize=1024)
def _around_client(path: str) -> tuple[str, str]:
    before, _, after = path.partition(CLIENT_PLACEHOLDER)
    return before.removesuffix("."), after.removeprefix(".")


def read_audience(claims: Claims) -> tuple[str, ...]:
    """``aud`` as a tuple: a string or a list of strings (RFC 7519 section 4.1.3), else empty."""
    value = claims.get("aud")
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple | list) and _STRINGS_ALONE.issuperset(map(type, value)):
        return tuple(value)
    return ()
