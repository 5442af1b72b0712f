"""An identity provider in a process of its own: its CPU, threads and descriptors are not among those measured."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, Unpack

from benchmarks.harness import AUDIENCE, keycloak_token
from oidcbridge import Verifier
from oidcbridge.arguments import VerifierArguments
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.testing import FakeIssuer


class Provider:
    """A context manager; every method asks the process and waits for its answer."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # nothing of ours, threads least of all, comes along
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(its_end,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.issuer_url: str = self._pipe.recv()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._pipe.send(None)
        self._process.join(10)
        self._pipe.close()

    @property
    def jwks_uri(self) -> str:
        return f"{self.issuer_url}/jwks"

    def verifier(self, **arguments: Unpack[VerifierArguments]) -> Verifier:
        return Verifier(**({"issuer_url": self.issuer_url, "audience": AUDIENCE} | arguments))

    def tokens(self, count: int, alg: str = "RS256") -> list[str]:
        """Different tokens of the size of Keycloak's, signed with the current key."""
        return self._ask("tokens", count, alg)  # type: ignore[no-any-return]

    def tenant_tokens(self, issuer_urls: list[str]) -> list[str]:
        """One token of each of these issuers; all publish this provider's keys."""
        return self._ask("tenant_tokens", issuer_urls)  # type: ignore[no-any-return]

    def answer_after(self, seconds: float) -> None:
        """Take so long for every answer from now on."""
        self._ask("answer_after", seconds)

    def rotate(self, keep: int) -> None:
        """Sign with a new ES256 key; the last ``keep`` keys stay published."""
        self._ask("rotate", keep)

    def fetches(self) -> dict[str, int]:
        """How often each document was asked for, ever."""
        return self._ask("fetches")  # type: ignore[no-any-return]

    def _ask(self, name: str, *arguments: object) -> Any:
        self._pipe.send((name, arguments))
        return self._pipe.recv()


def key_sets(verifier: Verifier) -> list[RemoteKeySet]:
    """What stands behind a verifier, an issuer each; users never see it, and nothing else here reaches inside."""
    return verifier._remote_key_sets()


class _Orders:
    """What the process does when it is asked."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self._issuer = issuer

    def tokens(self, count: int, alg: str) -> list[str]:
        return [keycloak_token(self._issuer, alg) for _ in range(count)]

    def tenant_tokens(self, issuer_urls: list[str]) -> list[str]:
        return [self._issuer.mint(audience=AUDIENCE, claims={"iss": url}) for url in issuer_urls]

    def answer_after(self, seconds: float) -> None:
        self._issuer.slow = seconds

    def rotate(self, keep: int) -> None:
        self._issuer.rotate("ES256")
        del self._issuer.keys[:-keep]

    def fetches(self) -> dict[str, int]:
        return dict(self._issuer.fetches)


def _serve(pipe: Connection) -> None:
    issuer = FakeIssuer(url=None, algorithms=("RS256", "ES256"))
    with issuer.serve():
        pipe.send(issuer.issuer_url)
        orders = _Orders(issuer)
        while (order := pipe.recv()) is not None:
            name, arguments = order
            pipe.send(getattr(orders, name)(*arguments))
