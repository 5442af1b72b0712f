"""Measuring side by side: interleaved rounds, process time, medians; only the ratios travel between machines."""

from __future__ import annotations

import gc
import json
import statistics
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oidcbridge.testing import FakeIssuer

ISSUER_URL = "https://id.example.com/realms/acme"
AUDIENCE = "agent-api"
Subject = Callable[[int], object]


def keycloak_token(issuer: FakeIssuer, alg: str) -> str:
    """A token of the shape and size of a real Keycloak one: about 900 bytes of payload."""
    return issuer.mint(
        "33ed6c6b-c6e0-4928-a161-f2f69c7a03b9",
        alg=alg,
        audience=[AUDIENCE, "account"],
        scope="openid email profile agents:run",
        claims={
            "auth_time": 1795289600,
            "typ": "Bearer",
            "azp": "agent-ui",
            "sid": "tqtgtN9qZm1l1UX0Nmeo3mjd",
            "acr": "1",
            "allowed-origins": ["https://ui.example.com"],
            "realm_access": {"roles": ["default-roles-acme", "offline_access", "agent-user", "analyst"]},
            "resource_access": {
                AUDIENCE: {"roles": ["runner"]},
                "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]},
            },
            "groups": ["/engineering/platform"],
            "tenant": "acme",
            "email_verified": True,
            "name": "Ada Lovelace",
            "preferred_username": "ada",
            "given_name": "Ada",
            "family_name": "Lovelace",
            "email": "ada@example.com",
        },
    )


def bare_work(issuer: FakeIssuer, alg: str) -> Callable[[str], object]:
    """What nobody can leave out: split, two ``json.loads``, the signature, issuer, audience and expiry."""
    key = issuer.signing_key(alg).private_key.public_key

    def verify(token: str) -> object:
        signing_input, _, signature_part = token.encode().rpartition(b".")
        header_part, _, payload_part = signing_input.partition(b".")
        header = json.loads(_decode(header_part))
        claims: dict[str, object] = json.loads(_decode(payload_part))
        signature = _decode(signature_part)
        if header["alg"] != alg:
            raise ValueError("alg")
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signing_input, padding.PKCS1v15(), SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), signing_input, ec.ECDSA(SHA256()))
        audience, expires_at = claims["aud"], claims["exp"]
        if claims["iss"] != ISSUER_URL or not isinstance(audience, list) or AUDIENCE not in audience:
            raise ValueError("iss or aud")
        if not isinstance(expires_at, int) or expires_at < time.time():
            raise ValueError("exp")
        return claims

    return verify


def _decode(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def medians(subjects: Mapping[str, Subject], *, rounds: int = 15, calls: int = 300) -> dict[str, float]:
    """Microseconds of CPU a call, by subject. Rounds are interleaved, so a slow moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _, subject in subjects.items():
        subject(calls)  # warm up
    for _ in range(rounds):
        for name, subject in subjects.items():
            gc.collect()
            begin = time.process_time()
            subject(calls)
            times[name].append((time.process_time() - begin) / calls * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def print_table(title: str, measured: Mapping[str, float], reference: str) -> None:
    """Print each subject and its ratio to ``reference``."""
    print(f"\n{title}")
    for name, value in measured.items():
        print(f"  {name:<52}{value:>9.1f} µs {value / measured[reference]:>8.2f} x")
