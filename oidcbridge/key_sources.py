"""Where a verifier's keys come from, by one interface: `RemoteKeySet`, or a fixed set that never changes."""

from __future__ import annotations

from typing import Protocol

from oidcbridge.core.keys import DeniedKeys, KeySet
from oidcbridge.errors import ConfigurationError, KeyNotFoundError, RevokedTokenError
from oidcbridge.remote.flight import Flight


class KeySource(Protocol):
    """What the verifier asks of keys; see `oidcbridge.remote.jwks.RemoteKeySet` for each meaning."""

    def mark(self) -> int: ...  # noqa: D102
    def usable(self, now: float) -> KeySet | None: ...  # noqa: D102
    def for_remembered(self, now: float) -> KeySet | None: ...  # noqa: D102
    def lookup(self, kid: str | None, alg: str, iat: object, mark: int, *, wait: bool = True) -> KeySet | Flight: ...  # noqa: D102
    def suspect(self, mark: int) -> Flight | None: ...  # noqa: D102
    def deny(self, kid: str) -> None: ...  # noqa: D102
    def pause(self) -> None: ...  # noqa: D102


class FixedKeySet:
    """Keys given by the operator: an unknown key stays unknown, and there is never a network."""

    def __init__(self, key_set: KeySet) -> None:
        self._key_set = key_set
        self._denied = DeniedKeys()

    def mark(self) -> int:
        """No fetch ever begins."""
        return 0

    def usable(self, now: float) -> KeySet:
        """Always the same set."""
        return self._key_set

    def for_remembered(self, now: float) -> KeySet:
        """The same."""
        return self._key_set

    def lookup(self, kid: str | None, alg: str, iat: object, mark: int, *, wait: bool = True) -> KeySet:
        """The set, where it has the key. Raises `KeyNotFoundError` or `RevokedTokenError`."""
        if kid in self._denied.kids:
            raise RevokedTokenError(f"the key {kid!a} has been denied by deny_key")
        if not self._key_set.candidates(kid, alg):
            raise KeyNotFoundError(f"no key for kid={kid!a} and alg={alg} among the static keys")
        return self._key_set

    def suspect(self, mark: int) -> None:
        """Nothing to fetch."""

    def deny(self, kid: str) -> None:
        """Use the key of this name no more. Raises `ConfigurationError` where keys have no names."""
        if self._key_set.any_kid:
            raise ConfigurationError("static verification_keys have no names to deny; start again without the lost one")
        self._denied = self._denied.and_kid(kid).as_seen_in(self._key_set)
        self._key_set = self._key_set.without(self._denied)

    def pause(self) -> None:
        """Nothing runs."""
