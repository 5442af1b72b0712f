"""A provider that can be turned: honest until a script answers in place of its keys, and honest again afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from oidcbridge import Verifier
from oidcbridge.errors import BadSignatureError, ProviderError
from oidcbridge.testing import Clock, FakeIssuer, FakeKey
from tests.faults.kit import health
from tests.remote.asking import refuse, settle
from tests.remote.hostile import HostileServer, Script, answer

OPENID = "/.well-known/openid-configuration"
JWKS = "/jwks"
STALE = 301.0  # seconds after which keys are no longer fresh
LONGEST_BACKOFF = 61.0  # seconds after which a failure is tried again, whatever the jitter


class Turncoat:
    """An issuer whose documents a hostile server hands out; ``url`` where it has another name than the server.

    ``forged`` is a stranger's key under the name of the good one: whoever believes a lie made of it refuses the good
    tokens and accepts the stranger's.
    """

    def __init__(self, server: HostileServer, clock: Clock, *, path: str = "", url: str | None = None) -> None:
        self.server = server
        self.clock = clock
        self.path = path
        self.issuer = FakeIssuer(f"{url or server.url}{path}", algorithms=("ES256",), clock=clock)
        self.forged = self._forge()
        self.be_honest()

    def _forge(self) -> FakeKey:
        return FakeKey.generate("ES256", kid=self.issuer.signing_key().kid)

    def replace_keys(self) -> FakeKey:
        """A new key instead of the old one, which is returned."""
        old = self.issuer.signing_key()
        self.issuer.rotate()
        self.issuer.retire()
        self.forged = self._forge()
        return old

    def be_honest(self) -> None:
        """Serve discovery and the keys as they are now."""
        self.server.routes[f"{self.path}{OPENID}"] = answer(json.dumps(self.issuer.discovery()).encode())
        self.say(answer(self.truth()))

    def say(self, script: Script) -> None:
        """Answer so, where the keys are asked for."""
        self.server.routes[f"{self.path}{JWKS}"] = script

    def describe(self, **changes: object) -> None:
        """Serve a discovery document with these members changed."""
        document = {**self.issuer.discovery(), **changes}
        self.server.routes[f"{self.path}{OPENID}"] = answer(json.dumps(document).encode())

    def truth(self) -> bytes:
        """The key set as it is now."""
        return json.dumps(self.issuer.jwks()).encode()

    def lie(self) -> bytes:
        """A key set of the forged key alone."""
        return key_set(self.forged.public_jwk())

    @property
    def fetches(self) -> Counter[str]:
        """The requests that arrived, as ``discovery`` and ``jwks``."""
        names = {f"{self.path}{OPENID}": "discovery", f"{self.path}{JWKS}": "jwks"}
        return Counter(names.get(target, target) for target in self.server.targets)


def key_set(*entries: object) -> bytes:
    """A JWK Set document of these entries."""
    return json.dumps({"keys": entries}).encode()


@contextmanager
def turncoat(clock: Clock) -> Iterator[Turncoat]:
    """A provider on loopback that is honest for now."""
    with HostileServer(answer(b"", status=404)) as server:
        yield Turncoat(server, clock)


@contextmanager
def case(name: str) -> Iterator[None]:
    """Names the case in whatever fails inside the ``with``."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case of {name}")
        raise


def accepts(verifier: Verifier, issuer: FakeIssuer) -> None:
    """A token that was minted this moment passes; none is alike, so none is remembered."""
    assert verifier.verify_now(issuer.mint("ada")).user_id == "ada"


def survives(provider: Turncoat, verifier: Verifier, lie: Script) -> ProviderError:
    """A refresh is answered by ``lie``, and asked for once: the old keys go on, and then recover.

    Returns what the refresh failed with.
    """
    issuer, before = provider.issuer, provider.fetches["jwks"]
    provider.say(lie)
    provider.clock.advance(STALE)
    accepts(verifier, issuer)
    with pytest.raises(ProviderError) as caught:
        settle(verifier)
    verifier.pause()  # or what the timer tries again, a second from now, would be counted as well
    accepts(verifier, issuer)
    refuse(verifier, issuer.mint("eve", key=provider.forged), BadSignatureError)
    assert (health(verifier).state, health(verifier).failures) == ("degraded", 1)
    assert provider.fetches["jwks"] == before + 1
    recovers(provider, verifier)
    return caught.value


def recovers(
    provider: Turncoat, verifier: Verifier, *, after: float = LONGEST_BACKOFF, script: Script | None = None
) -> None:
    """The first honest answer (by default the truth), ``after`` seconds later, heals with one fetch."""
    provider.be_honest()
    if script is not None:
        provider.say(script)
    before = provider.fetches["jwks"]
    provider.clock.advance(after)
    settle(verifier)
    accepts(verifier, provider.issuer)
    assert health(verifier).state == "fresh"
    assert provider.fetches["jwks"] == before + 1
