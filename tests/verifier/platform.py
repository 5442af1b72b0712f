"""A platform with any number of tenants, answered in process, and a rule that lets them in.

Each tenant is an issuer of its own; all sign with one key.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from oidcbridge import DynamicIssuers, Verifier
from oidcbridge.remote.http import serve_in_process
from oidcbridge.testing import Clock, FakeIssuer, FakeKey

ORIGIN = "https://id.platform.test"
PATTERN = f"{ORIGIN}/tenants/{{tenant}}"
PATIENCE = 10.0


class Platform:
    """``mint(tenant)`` makes a token of a tenant. ``unknown`` tenants have no documents; ``down`` answers nobody."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._signer = FakeIssuer(ORIGIN, clock=clock, algorithms=("ES256",))
        self._jwks = json.dumps(self._signer.jwks()).encode()
        self._lock = threading.Lock()
        self.unknown: set[str] = set()
        self.down = False
        self._is_held = False
        self.fetches: Counter[str] = Counter()

    def mint(self, tenant: str, subject: str = "ada", **options: object) -> str:
        claims = {"iss": f"{ORIGIN}/tenants/{tenant}", **options.pop("claims", {})}  # type: ignore[dict-item]
        return self._signer.mint(subject, claims=claims, **options)  # type: ignore[arg-type]

    def issuer_of(self, tenant: str) -> str:
        return f"{ORIGIN}/tenants/{tenant}"

    def signing_key(self) -> FakeKey:
        return self._signer.signing_key()

    def rename_key(self, kid: str) -> None:
        """Publish the same material under another name."""
        self._jwks = json.dumps({"keys": [self.signing_key().public_jwk() | {"kid": kid}]}).encode()

    def key_name(self) -> str:
        return str(self._signer.jwks()["keys"][0]["kid"])  # type: ignore[index]

    async def _respond(self, request: httpx2.Request) -> httpx2.Response:
        tenant = request.url.path.partition("/tenants/")[2].partition("/")[0]
        kind = "jwks" if request.url.path.endswith("/jwks") else "discovery"
        with self._lock:
            self.fetches[kind] += 1
            self.fetches[tenant] += 1
        while self._is_held:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)
        if self.down:
            raise httpx2.ConnectError("the platform is down", request=request)
        if tenant in self.unknown or not request.url.path.startswith("/tenants/"):
            return httpx2.Response(404, stream=httpx2.ByteStream(b""))
        issuer = f"{ORIGIN}/tenants/{tenant}"
        body = self._jwks if kind == "jwks" else json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}).encode()
        return httpx2.Response(200, stream=httpx2.ByteStream(body))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answer nobody inside the ``with``, and everybody at its end."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    @contextmanager
    def impersonate(self) -> Iterator[Self]:
        parts = urlsplit(ORIGIN)
        with serve_in_process(f"{parts.scheme}://{parts.netloc}", httpx2.MockTransport(self._respond)):
            yield self


class Rule:
    """A user's function: names the tenant of each issuer, counts, and can be held, broken or changed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.answers: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, issuer: str) -> Any:
        self.asked.append(issuer)
        self.threads.add(threading.current_thread())
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        tenant = issuer.removeprefix(f"{ORIGIN}/tenants/")
        return self.answers.get(tenant, tenant)


def tenants(allow: Any = PATTERN, **said: Any) -> DynamicIssuers:
    return DynamicIssuers(**{"allow": allow, "audience": "agent-api", **said})


def user_of(verifier: Verifier, token: str) -> str:
    return verifier.verify_now(token).user_id


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
