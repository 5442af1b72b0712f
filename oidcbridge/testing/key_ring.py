"""The fake issuer's keys: which are published, and which one signs for each algorithm."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing.keys import FakeKey


class KeyRing:
    """Published keys in order, and the current signing key of each algorithm. Thread-safe.

    ``published`` is an ordinary list, for odd sets: it may be changed at will, and may hold plain JWK mappings.
    """

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._signing: dict[str, FakeKey] = {}
        self.published: list[FakeKey | Mapping[str, object]] = []
        for alg in algorithms:
            self.rotate(alg)

    def algorithms(self) -> list[str]:
        """The algorithms there is a signing key for, the default one first."""
        return list(self._signing)

    def rotate(self, alg: str | None = None) -> FakeKey:
        """Make, publish and return a new signing key for ``alg``; the one before it stays published."""
        key = FakeKey.generate(alg or self._require_default())
        with self._lock:
            # Published before it signs, so that no token is ever ahead of its key.
            self.published.append(key)
            self._signing[key.alg] = key
        return key

    def retire(self, kid: str | None = None) -> None:
        """Unpublish the keys that do not sign any more, or the one named ``kid``, even if it goes on signing."""
        with self._lock:
            signing = list(self._signing.values())
            staying = [entry for entry in self.published if (entry in signing if kid is None else _kid(entry) != kid)]
            if kid is not None and len(staying) == len(self.published):
                raise ConfigurationError(f"no published key is named {kid!r}; there are {self.kids()}")
            self.published[:] = staying

    def signing_key(self, alg: str | None = None) -> FakeKey:
        """The current signing key of ``alg``, by default of the first algorithm."""
        name = alg or self._require_default()
        if name not in self._signing:
            raise ConfigurationError(
                f"the fake issuer has no signing key for {name!r}: "
                f"name it in algorithms=…, or call rotate({name!r}) first"
            )
        return self._signing[name]

    def jwks(self) -> dict[str, object]:
        """The published key set (RFC 7517 section 5), public members only."""
        entries = list(self.published)
        return {"keys": [entry.public_jwk() if isinstance(entry, FakeKey) else dict(entry) for entry in entries]}

    def kids(self) -> list[object]:
        """The names of the published keys, in order."""
        return [_kid(entry) for entry in self.published]

    def _require_default(self) -> str:
        for alg in self._signing:
            return alg
        raise ConfigurationError("the fake issuer signs with nothing: give it algorithms=…, or name one here")


def _kid(entry: FakeKey | Mapping[str, object]) -> object:
    return entry.kid if isinstance(entry, FakeKey) else entry.get("kid")
