"""Measuring side by side: interleaved rounds, CPU time; only the ratios travel between machines."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle, islice

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oidcbridge.testing import FakeIssuer

ISSUER_URL = "https://id.example.com/realms/acme"
AUDIENCE = "agent-api"
DAY = 86_400  # seconds: tokens outlive every run
SLICE = 20  # calls
Subject = Callable[[int], object]
Timed = Callable[[int], float]
"""Does its work so many times; returns the CPU seconds that took, its own preparations left out."""


def keycloak_claims() -> dict[str, object]:
    """What a real Keycloak writes into an access token beside the registered claims."""
    return {
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
    }


def keycloak_token(
    issuer: FakeIssuer, alg: str, *, expires_in: int = DAY, claims: Mapping[str, object] | None = None
) -> str:
    """A token of the shape and size of a real Keycloak one: about 900 bytes of payload. No two are alike (``jti``)."""
    return issuer.mint(
        "33ed6c6b-c6e0-4928-a161-f2f69c7a03b9",
        alg=alg,
        audience=[AUDIENCE, "account"],
        scope="openid email profile agents:run",
        expires_in=expires_in,
        claims={**keycloak_claims(), **(claims or {})},
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


def timed(work: Callable[[str], object], tokens: Sequence[str]) -> Timed:
    """``work`` on each of ``tokens`` in turn."""
    following = cycle(tokens)

    def run(calls: int) -> float:
        mine = list(islice(following, calls))
        begin = time.process_time()
        for token in mine:
            work(token)
        return time.process_time() - begin

    return run


def timed_async(work: Callable[[str], Awaitable[object]], tokens: Sequence[str]) -> Timed:
    """The same for a coroutine function; making the event loop is not in the time."""
    following = cycle(tokens)

    async def main(calls: int) -> float:
        mine = list(islice(following, calls))
        begin = time.process_time()
        for token in mine:
            await work(token)
        return time.process_time() - begin

    return lambda calls: asyncio.run(main(calls))


def cpu_costs(subjects: Mapping[str, Timed], *, rounds: int, calls: int) -> dict[str, float]:
    """Microseconds of CPU a call, by subject, over ``rounds`` times ``calls`` of each: the lowest decile of the slices.

    Slices of a few calls are interleaved, so a slow moment hits all alike, and in another order each turn: whoever runs
    after its like finds the processor's caches full of what it needs, and always the same neighbour would be an
    advantage. Noise of other processes only ever adds, which is why it is not the mean, and a slice is short because a
    long one always meets some; the minimum would be a matter of luck.
    """
    times: dict[str, list[float]] = {name: [] for name in subjects}
    names, slices = list(subjects), max(rounds * calls // SLICE, 2)
    orders = random.Random(0)
    for name in names:
        subjects[name](calls)  # warm up
    for number in range(slices):
        if number % 50 == 0:
            gc.collect()
        for name in orders.sample(names, len(names)):
            times[name].append(subjects[name](SLICE) / SLICE * 1e6)
    return {name: lowest_decile(values) for name, values in times.items()}


def lowest_decile(values: Sequence[float]) -> float:
    """A tenth of ``values`` lies below."""
    return statistics.quantiles(values, n=10, method="inclusive")[0] if len(values) > 1 else values[0]


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
