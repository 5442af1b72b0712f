"""What attacks are made with: good issuers of several kinds, and signing whatever a forger or a lax library would.

Everything stands at one moment, so that limits of time are met to the second, and every token carries the same ``jti``:
two attacks that are the same would be equal as text.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from joserfc.jwk import ECKey, RSAKey

from oidcbridge.testing import OMIT, Clock, FakeIssuer, FakeKey

LEEWAY = 60
JTI = "the-same-in-every-token"
CLIENT = "agent-ui"


@dataclass(frozen=True)
class Twin:
    """A good token that does what an attack of its family does, within the rules."""

    name: str
    token: str = field(repr=False)
    site: str = "main"


@dataclass(frozen=True)
class Attack:
    """A token that must be refused by every way in, and why."""

    name: str
    token: str = field(repr=False)
    why: str
    site: str = "main"
    by_key_set: bool = False
    """What refuses it is a key's name or ``alg`` in the published set: operators' PEM texts have neither."""
    harmless_as: tuple[str, ...] = ()
    """The carriers (``header``, ``cookie``) whose grammar takes away what was added, and leaves the good token."""


def telling(token: str) -> list[str]:
    """The parts of a token, as far as they are long enough to be known again where they should not stand."""
    return [part for part in token[:65536].split(".", 8) if len(part) >= 24]


def encode(data: bytes | str) -> str:
    """Canonical base64url, without padding."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def as_json(value: object) -> bytes:
    """As providers write it: without white space."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def changed(base: Mapping[str, Any], changes: Mapping[str, object] | None) -> dict[str, Any]:
    """``base`` with members replaced, added, or (``OMIT``) left out."""
    return {name: value for name, value in {**base, **(changes or {})}.items() if value is not OMIT}


class Site(NamedTuple):
    """An issuer, and how a verifier for it is configured; ``secret`` is shared where there are no public keys."""

    issuer: FakeIssuer
    arguments: dict[str, Any]
    secret: FakeKey | None = None

    def key(self, alg: str | None = None) -> FakeKey:
        """The key that signs: the secret, or the issuer's."""
        return self.secret or self.issuer.signing_key(alg)

    def header(self, alg: str | None = None) -> dict[str, Any]:
        """The header of a good token."""
        key = self.key(alg)
        return {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}

    def claims(self) -> dict[str, Any]:
        """The claims of a good token, as its provider writes them."""
        payload = self.issuer.mint("ada", client_id=CLIENT, claims={"jti": JTI}).split(".")[1]
        return dict(json.loads(decode(payload)))

    def sign(
        self,
        claims: Mapping[str, object] | None = None,
        header: Mapping[str, object] | None = None,
        *,
        alg: str | None = None,
        key: FakeKey | None = None,
    ) -> str:
        """A good token but for these members, signed by the issuer (or by ``key``) whatever the header says."""
        parts = as_json(changed(self.header(alg), header)), as_json(changed(self.claims(), claims))
        return self.raw(*parts, key=key or self.key(alg))

    def raw(self, header: bytes, payload: bytes, *, key: FakeKey | None = None) -> str:
        """Exactly these bytes, signed by the issuer."""
        return self.text(encode(header), encode(payload), key=key)

    def text(self, header: str, payload: str, *, key: FakeKey | None = None) -> str:
        """Exactly these segments, signed by the issuer as they stand: a lax decoder would take them."""
        message = f"{header}.{payload}"
        return f"{message}.{encode(signature(key or self.key(), message.encode('utf-8', 'surrogatepass')))}"


def decode(segment: str) -> bytes:
    """The bytes of a segment."""
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def signature(key: FakeKey, message: bytes) -> bytes:
    """By ``key``; of ECDSA the deterministic one (RFC 6979), or two equal attacks would differ by chance."""
    if not isinstance(key.private_key, ECKey):
        return key.sign(message)
    native = key.private_key.get_op_key("sign")
    assert isinstance(native, EllipticCurvePrivateKey)
    digest = {"ES256": SHA256(), "ES384": SHA384(), "ES512": SHA512()}[key.alg]
    r, s = decode_dss_signature(native.sign(message, ECDSA(digest, deterministic_signing=True)))
    size = (native.curve.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


class World:
    """The issuers that attacks are aimed at; ``forger`` and ``rsa_forger`` are keys that nobody has published.

    ``domain`` and ``region``: where two worlds stand side by side, they cannot have the same addresses.
    """

    def __init__(self, domain: str = "idp.test", region: str = "eu-west-1") -> None:
        self.clock = Clock(float(int(time.time())))
        self.now = int(self.clock.time())
        self.forger = FakeKey.generate("ES256", kid="forger")
        self.rsa_forger = FakeKey.generate("RS256", kid="forger")
        main = self._issuer(f"https://main.{domain}", ("ES256", "RS256", "PS256", "Ed25519", "ES512"))
        secret = FakeKey.generate("HS256", kid="shared")
        shared = self._issuer(f"https://secret.{domain}", ("ES256",))
        keycloak = self._issuer(f"https://kc.{domain}/realms/acme", ("RS256",))
        cognito = self._issuer(f"https://cognito-idp.{region}.amazonaws.com/{region}_Abc123", ("RS256",))
        # Of the keys that may be published, the one that lax readers of padding are forged for (RFC 8017 section 9.2).
        self.cubic = FakeKey("cubic", "RS256", RSAKey.import_key(generate_private_key(3, 2048)))
        main.publish(self.cubic)
        self.main = _site(main)
        self.sites: dict[str, Site] = {
            "main": self.main,
            "strict": _site(self._issuer(f"https://strict.{domain}", ("ES256",)), token_type="at+jwt"),
            "clients": _site(self._issuer(f"https://clients.{domain}", ("ES256",)), client_ids=[CLIENT]),
            "keycloak": _site(keycloak),
            "cognito": Site(cognito, {"issuer_url": cognito.issuer_url, "client_ids": [CLIENT]}),
            "secret": _site(shared, secret, verification_keys=[_bytes(secret)], algorithm="HS256"),
        }

    def _issuer(self, url: str, algorithms: tuple[str, ...]) -> FakeIssuer:
        return FakeIssuer(url, clock=self.clock, algorithms=algorithms)

    @contextmanager
    def open(self) -> Iterator[World]:
        """All issuers answer, in process."""
        with ExitStack() as stack:
            for site in self.sites.values():
                stack.enter_context(site.issuer.impersonate())
            yield self

    def fetches(self) -> int:
        """How often any of the issuers has been asked for anything."""
        return sum(site.issuer.fetches.total() for site in self.sites.values())


def _site(issuer: FakeIssuer, secret: FakeKey | None = None, **arguments: Any) -> Site:
    ours: Any = {"issuer_url": issuer.issuer_url, "audience": issuer.audience, **arguments}
    return Site(issuer, ours, secret)


def _bytes(key: FakeKey) -> bytes:
    value = key.private_key.raw_value
    assert isinstance(value, bytes)
    return value
