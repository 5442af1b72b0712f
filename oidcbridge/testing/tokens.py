"""What a minted token says: the claims of each kind of token, and signing anything as it is given."""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing.keys import FakeKey

TokenKind = Literal["access", "id", "refresh", "logout"]
"""What a token is for. Only ``access`` opens an API; the others are there to be refused."""


class _Omit(enum.Enum):
    OMIT = "OMIT"

    def __repr__(self) -> str:
        return self.name


OMIT: Final = _Omit.OMIT
"""As the value of a claim or header parameter: leave that member out."""


def auth_header(token: str) -> dict[str, str]:
    """The request header that carries ``token`` (RFC 6750 section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def merge(*layers: Mapping[str, object] | None) -> dict[str, object]:
    """Lay mappings over one another, later ones on top; members that end as ``OMIT`` are left out."""
    merged: dict[str, object] = {}
    for layer in layers:
        merged.update(layer or {})
    return {name: value for name, value in merged.items() if value is not OMIT}


def sign(header: Mapping[str, object] | bytes, payload: Mapping[str, object] | bytes, key: FakeKey | None) -> str:
    """A compact JWS (RFC 7515 section 7.1) of exactly this header and payload; nothing is added or checked.

    Mappings become JSON, bytes stand as they are. The key alone decides how the signature is made, whatever ``alg``
    the header claims; without a key the signature is empty.
    """
    signing_input = f"{_encode(_as_bytes(header))}.{_encode(_as_bytes(payload))}"
    signature = key.sign(signing_input.encode("ascii")) if key else b""
    return f"{signing_input}.{_encode(signature)}"


@dataclass(frozen=True)
class TokenDraft:
    """What the claims of a token are made from; times in whole seconds since the epoch."""

    issuer: str
    sub: str
    client_id: str
    audience: str | list[str]
    scope: str | None
    issued_at: int
    expires_at: int

    def header(self, kind: TokenKind, key: FakeKey) -> dict[str, object]:
        """The header a provider gives a token of this kind, signed by ``key``."""
        return {"alg": key.alg, "kid": key.kid, "typ": "logout+jwt" if kind == "logout" else "JWT"}

    def claims(self, kind: TokenKind, alg: str) -> dict[str, object]:
        """The claims a provider gives a token of this kind."""
        common = {
            "iss": self.issuer,
            "sub": self.sub,
            "aud": self.audience,
            "exp": self.expires_at,
            "iat": self.issued_at,
            "jti": secrets.token_urlsafe(16),
        }
        return common | self._claims_of_kind(kind, alg)

    def _claims_of_kind(self, kind: TokenKind, alg: str) -> dict[str, object]:
        scope = {"scope": self.scope} if self.scope else {}
        match kind:
            case "access":  # RFC 9068 section 2.2
                return {"client_id": self.client_id, **scope}
            case "id":  # OpenID Connect Core sections 2 and 3.1.3.6; the access token it belongs to is nobody's
                at_hash = half_hash(secrets.token_urlsafe(32), alg)
                return {"nonce": secrets.token_urlsafe(16), "at_hash": at_hash, "auth_time": self.issued_at}
            case "refresh":  # as Keycloak writes it
                return {"typ": "Refresh", "client_id": self.client_id, **scope}
            case "logout":  # OpenID Connect Back-Channel Logout section 2.4
                events: dict[str, object] = {"http://schemas.openid.net/event/backchannel-logout": {}}
                return {"sid": secrets.token_urlsafe(16), "events": events}
        raise ConfigurationError(f"no token of kind {kind!r} is known; use access, id, refresh or logout")


def half_hash(token: str, alg: str) -> str:
    """``at_hash`` of an access token: half of its digest by the algorithm's hash (OpenID Connect Core 3.1.3.6)."""
    bits = alg[2:] if alg[2:] in {"256", "384"} else "512"  # Ed25519 hashes with SHA-512 inside
    digest = hashlib.new(f"sha{bits}", token.encode("ascii")).digest()
    return _encode(digest[: len(digest) // 2])


def _as_bytes(part: Mapping[str, object] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(dict(part), separators=(",", ":")).encode("utf-8")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
