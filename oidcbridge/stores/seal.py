"""Seal: shows that an entry was written by one who has the store's secret, and for this issuer.

HMAC-SHA256 (RFC 2104) under a key that HKDF (RFC 5869) derives from the secret for this purpose alone. The seal says
who wrote, not when: an older entry that was sealed once passes again, and is judged by the times inside it.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oidcbridge.errors import ConfigurationError, KeyStoreError

SEAL_BYTES: Final = 32
MIN_SECRET_BYTES = 32
_PURPOSE = b"oidcbridge key store entry 1"


class Seal:
    """Seals entries, and opens those that carry a good seal. Keeps a derived key, never the secret."""

    def __init__(self, secret: str | bytes) -> None:
        """Raises `ConfigurationError` for a secret of less than 32 bytes; the message never quotes it."""
        self._key = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(_secret_bytes(secret))

    def put_on(self, issuer: str, entry: bytes) -> bytes:
        """The entry with its seal before it."""
        return self._seal(issuer, entry) + entry

    def take_off(self, issuer: str, sealed: bytes) -> bytes:
        """The entry without its seal. Raises `KeyStoreError` with ``ignored=True`` where that is not ours."""
        seal, entry = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(issuer, entry)):
            raise KeyStoreError(
                "the stored keys are not used: their seal does not fit; either a worker has another secret, or somebody"
                " else writes into the store",
                ignored=True,
            )
        return entry

    def _seal(self, issuer: str, entry: bytes) -> bytes:
        name = issuer.encode()
        # With its length, so that no other issuer and entry read as the same bytes.
        return hmac.digest(self._key, len(name).to_bytes(8) + name + entry, "sha256")


def _secret_bytes(secret: object) -> bytes:
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(f"the store's secret is {type(secret).__name__}, neither str nor bytes")
    try:
        data = secret.encode() if isinstance(secret, str) else secret
    except UnicodeEncodeError:  # it would carry the secret along
        raise ConfigurationError("the store's secret holds characters that UTF-8 cannot encode") from None
    if len(data) < MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"the store's secret has {len(data)} bytes and needs {MIN_SECRET_BYTES}, the same in every worker; make one"
            " with: openssl rand -base64 32"
        )
    return data
