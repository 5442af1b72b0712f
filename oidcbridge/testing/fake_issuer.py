"""An identity provider for tests: it signs tokens, publishes its keys, and fails when it is told to."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self, Unpack
from urllib.parse import urlsplit

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import token_endpoint
from oidcbridge.testing.in_process import in_process_transport
from oidcbridge.testing.loopback import LoopbackServer
from oidcbridge.testing.minting import MintingIssuer
from oidcbridge.testing.presets import Provider
from oidcbridge.testing.responses import FakeResponse, json_response
from oidcbridge.testing.token_endpoint import FakeClient, FakeUser, TokenEndpoint

if TYPE_CHECKING:
    import httpx2

    from oidcbridge import Verifier
    from oidcbridge.arguments import VerifierArguments
    from oidcbridge.core.policy import Clock


class FakeIssuer(MintingIssuer):
    """An OpenID provider with real keys. One of three ways makes it answer:

    - ``with issuer.impersonate():`` oidcbridge's own requests to the issuer's origin are answered in process;
    - ``with issuer.serve():`` a real HTTP server on loopback; with ``FakeIssuer(url=None)`` its address is the issuer;
    - ``issuer.transport()``: an httpx2 transport, for a client of your own.

    ``url`` is the issuer, kept byte for byte. ``clock`` tells the time tokens are minted at (a ``Clock`` of this kit,
    by default the real time). ``algorithms`` get one signing key each; the first is the default. ``default_claims``
    stand in every access token. ``provider`` is whose tokens to imitate, one of those that `oidcbridge.Verifier` knows
    (for Google, Dex and authentik ``audience`` is the client's id), by default the one that the url looks like. With
    ``clients`` or ``development_users`` there is a token endpoint, whose tokens live ``token_lifetime`` seconds. Raises
    ``ConfigurationError`` for a ``url`` that can be no issuer, an unknown provider or algorithm.

    What it does wrong is set on attributes, at any time and from any thread:

    ``down``                 no request is answered: connection error in process, closed connection on loopback
    ``slow``                 seconds that every answer takes
    ``status``               status code of the keys' answer, such as 429 or 500; ``None`` for 200
    ``jwks_headers``         headers added to the keys' answer, such as ``{"retry-after": "7"}``
    ``cache_control``        ``Cache-Control`` of both documents; ``None`` for none
    ``jwks_override``, ``discovery_override``   bytes served in place of the document

    ``fetches`` counts the requests that arrived, answered or not: ``discovery``, ``jwks`` and ``token``.
    """

    def __init__(
        self,
        url: str | None = "https://idp.test",
        *,
        clock: Clock | None = None,
        audience: str = "agent-api",
        algorithms: Sequence[str] = ("RS256", "ES256"),
        default_claims: Mapping[str, object] | None = None,
        provider: Provider = "auto",
        clients: Iterable[FakeClient] = (),
        development_users: Iterable[FakeUser] = (),
        token_lifetime: int = 300,
    ) -> None:
        super().__init__(
            url,
            clock=clock,
            audience=audience,
            algorithms=algorithms,
            default_claims=default_claims,
            provider=provider,
        )
        clients, users = tuple(clients), tuple(development_users)
        self._token_endpoint = TokenEndpoint(self.mint, clients, users, token_lifetime) if clients or users else None
        self._count_lock = threading.Lock()
        self.fetches: Counter[str] = Counter(discovery=0, jwks=0, token=0)
        self.down = False
        self.slow = 0.0
        self.status: int | None = None
        self.jwks_headers: dict[str, str] = {}
        self.cache_control: str | None = None
        self.jwks_override: bytes | None = None
        self.discovery_override: bytes | None = None

    def discovery(self) -> dict[str, object]:
        """The provider's metadata (OpenID Connect Discovery section 3)."""
        base = self.issuer_url.rstrip("/")
        return {
            "issuer": self.issuer_url,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": self._ring.algorithms(),
            "grant_types_supported": ["authorization_code", *token_endpoint.GRANT_TYPES],
            "token_endpoint_auth_methods_supported": list(token_endpoint.CLIENT_AUTHENTICATION_METHODS),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid"],
        }

    def handle(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> FakeResponse:
        """Answer one request, whatever carried it; ``target`` is path and query, header names are in any case.

        It neither counts nor waits nor is down: that is for the ways of serving.
        """
        route = self._route(target)
        if route is None:
            return json_response({"error": "not_found"}, status=404)
        match route, method:
            case "discovery", "GET":
                return self._document(self.discovery(), self.discovery_override)
            case "jwks", "GET":
                return self._document(self.jwks(), self.jwks_override, self.status or 200, self.jwks_headers)
            case "token", "POST" if self._token_endpoint is not None:
                lowered = {name.lower(): value for name, value in (headers or {}).items()}
                return self._token_endpoint.handle(lowered, body)
        allow = "POST" if route == "token" else "GET"
        return json_response({"error": "method_not_allowed"}, status=405, headers={"allow": allow})

    def record_arrival(self, target: str) -> None:
        """Count a request in ``fetches``; every way of serving calls it before anything else."""
        route = self._route(target)
        if route is not None:
            with self._count_lock:
                self.fetches[route] += 1

    def _route(self, target: str) -> str | None:
        base = urlsplit(self.issuer_url).path.rstrip("/")
        routes = {f"{base}/.well-known/openid-configuration": "discovery", f"{base}/jwks": "jwks"}
        if self._token_endpoint is not None:
            routes[f"{base}/token"] = "token"
        return routes.get(target.partition("?")[0])

    def _document(
        self,
        content: Mapping[str, object],
        override: bytes | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> FakeResponse:
        cache = {} if self.cache_control is None else {"cache-control": self.cache_control}
        answer = json_response(content, status=status, headers={**cache, **(headers or {})})
        return answer if override is None else replace(answer, body=override)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be down inside the ``with``; see ``down``."""
        before, self.down = self.down, True
        try:
            yield
        finally:
            self.down = before

    def transport(self) -> httpx2.AsyncBaseTransport:
        """An in-process transport for an httpx2 client: every request of that client is answered here."""
        return in_process_transport(self)

    @contextmanager
    def impersonate(self) -> Iterator[Self]:
        """Answer all of oidcbridge's requests to this issuer's origin in process, from every thread.

        For an app that names its issuer at import. Raises ``ConfigurationError`` where that origin is taken already.
        """
        # Imported here: it brings the HTTP client, which tokens alone do not need.
        from oidcbridge.remote.http import serve_in_process  # noqa: PLC0415
        from oidcbridge.remote.process_budget import forget_strangers  # noqa: PLC0415

        forget_strangers()
        parts = urlsplit(self.issuer_url)
        with serve_in_process(f"{parts.scheme}://{parts.netloc}", self.transport()):
            yield self

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> LoopbackServer:
        """A real HTTP server for this issuer, started by ``with`` or ``start()``; loopback addresses only.

        Port 0 means the issuer's own port where it has one, else a free one. An issuer without a url takes the
        server's address as its own at the first start, and keeps it. An issuer with a url can only be served where
        that url points, such as ``http://127.0.0.1:8090/realms/test``. Raises ``ConfigurationError`` for any other:
        no client would reach it, which is what ``impersonate`` is for.
        """
        from oidcbridge.remote.process_budget import forget_strangers  # noqa: PLC0415

        forget_strangers()
        if self._url is None:
            return LoopbackServer(self, host, port)
        parts = urlsplit(self._url)
        own_port = parts.port or 80
        if parts.scheme != "http" or parts.hostname not in {host, "localhost"} or port not in {0, own_port}:
            raise ConfigurationError(
                f"a server on {host}, port {port or 'any'}, cannot be {self._url!r}: use FakeIssuer(url=None), or a "
                "url that names the server's address, or impersonate()"
            )
        return LoopbackServer(self, host, own_port)

    def verifier(self, **arguments: Unpack[VerifierArguments]) -> Verifier:
        """An ``oidcbridge.Verifier`` for this issuer, its audience and its clock; ``arguments`` add or override.

        To be used inside ``impersonate()`` or ``serve()``.
        """
        from oidcbridge import Verifier  # noqa: PLC0415  tokens alone need no verifier

        ours: VerifierArguments = {"issuer_url": self.issuer_url, "audience": self.audience}
        if self._clock is not None:
            ours["clock"] = self._clock
        return Verifier(**(ours | arguments))
