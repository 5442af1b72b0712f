"""Signing keys for tests: real ones, made quickly."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from oidcbridge.errors import ConfigurationError


class _RSAPool:
    """Hands RSA keys out again once nobody holds them, since making one costs up to 200 ms.

    Two keys in use are never the same key: that is what makes a forged signature fail. A key rests first, until
    ``resting`` others were given back after it, so that a forger dropped a moment ago does not lend its key to the
    issuer it was to be told from.
    """

    def __init__(self, resting: int = 8) -> None:
        self._resting = resting
        self._returned: deque[RSAKey] = deque()
        self._lock = threading.Lock()

    def take(self) -> RSAKey:
        with self._lock:
            if len(self._returned) > self._resting:
                return self._returned.popleft()
        return RSAKey.generate_key(2048)

    def give_back(self, key: RSAKey) -> None:
        # Without the lock: the garbage collector may call this on a thread that holds it. Appending is atomic.
        self._returned.append(key)


_rsa_pool = _RSAPool()

_MAKERS: Final[dict[str, Callable[[], Key]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _rsa_pool.take),
    "ES256": partial(ECKey.generate_key, "P-256"),
    "ES384": partial(ECKey.generate_key, "P-384"),
    "ES512": partial(ECKey.generate_key, "P-521"),
    "EdDSA": partial(OKPKey.generate_key, "Ed25519"),
    "Ed25519": partial(OKPKey.generate_key, "Ed25519"),
    "HS256": partial(OctKey.generate_key, 256),
    "HS384": partial(OctKey.generate_key, 384),
    "HS512": partial(OctKey.generate_key, 512),
}


@dataclass(frozen=True, eq=False)
class FakeKey:
    """One signing key: its ``kid``, its algorithm (RFC 7518 section 3.1, RFC 9864) and the private key itself.

    The private key is real, signs nothing but tests, and shows in no ``repr``.
    """

    kid: str
    alg: str
    private_key: Key = field(repr=False)

    @classmethod
    def generate(cls, alg: str = "RS256", kid: str | None = None) -> FakeKey:
        """Make a key for ``alg``: RS/PS256 to 512 (2048 bits), ES256 to 512, EdDSA, Ed25519, HS256 to 512.

        ``kid`` defaults to a random one that names the algorithm. Raises ``ConfigurationError`` for another ``alg``.
        """
        if alg not in _MAKERS:
            raise ConfigurationError(f"no key can be made for alg {alg!r}; use one of {', '.join(_MAKERS)}")
        private_key = _MAKERS[alg]()
        key = cls(kid or f"{alg.lower()}-{secrets.token_hex(4)}", alg, private_key)
        if isinstance(private_key, RSAKey):
            weakref.finalize(key, _rsa_pool.give_back, private_key).atexit = False
        return key

    @classmethod
    def from_secret(cls, secret: bytes, alg: str = "HS256", kid: str = "shared-secret") -> FakeKey:
        """Make an HMAC key of the bytes given, unfit ones too, such as a public key's PEM in the hands of a forger."""
        return cls(kid, alg, OctKey(secret, secret))

    def public_jwk(self) -> dict[str, object]:
        """The key as a key set publishes it (RFC 7517 section 4): public members, ``kid``, ``alg``, ``use: sig``.

        Raises ``ConfigurationError`` for a shared secret, which has no public half.
        """
        return dict(self._asymmetric().as_dict(private=False, kid=self.kid, alg=self.alg, use="sig"))

    def public_pem(self) -> str:
        """The public key as PEM text, for ``verification_keys``; raises ``ConfigurationError`` for a shared secret."""
        return self._asymmetric().as_pem(private=False).decode("ascii")

    def sign(self, message: bytes) -> bytes:
        """The bare signature of ``message`` by this key and its algorithm (RFC 7515 section 5.1, step 5)."""
        return JWSRegistry.algorithms[self.alg].sign(message, self.private_key)

    def _asymmetric(self) -> RSAKey | ECKey | OKPKey:
        if isinstance(self.private_key, OctKey):
            raise ConfigurationError(f"{self.alg} key {self.kid!r} is a shared secret: it has no public half to show")
        return self.private_key
