"""Tokens by the hundred thousand, as a stranger makes them: the claims of a good one, and junk for a signature."""

from __future__ import annotations

import base64
import json
import resource
import secrets
from collections.abc import Iterable
from pathlib import Path

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import KeyNotFoundError, TokenError
from oidcbridge.testing import FakeIssuer

_SIGNATURE_BYTES = {"ES256": 64, "RS256": 256}


class Forger:
    """Makes tokens that look like those of ``issuer``, many times faster than they could be signed."""

    def __init__(self, issuer: FakeIssuer, alg: str = "ES256") -> None:
        payload = issuer.mint(alg=alg).split(".")[1]
        self._claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        self._alg = alg
        self._signature = _encode(secrets.token_bytes(_SIGNATURE_BYTES[alg]))

    def forge(self, kid: object, **claims: object) -> str:
        """A token under ``kid``, which may be anything that JSON can say; ``claims`` replace those of a good one."""
        header = json.dumps({"alg": self._alg, "kid": kid})
        payload = json.dumps(self._claims | claims)
        return f"{_encode(header.encode())}.{_encode(payload.encode())}.{self._signature}"


def refuse_all(verifier: Verifier, tokens: Iterable[str], error: type[TokenError] = KeyNotFoundError) -> None:
    """Every one of ``tokens`` is refused with ``error``. Anything else, an unavailable provider too, fails the test."""
    for token in tokens:
        try:
            verifier.verify_now(token)
        except error:
            continue
        pytest.fail("a forged token was accepted")


def resident_bytes() -> int:
    """The memory that this process has in use now, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
