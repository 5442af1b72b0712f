"""The signing half of the fake issuer: its name, its keys, its tokens. It answers nobody yet."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oidcbridge.errors import ConfigurationError
from oidcbridge.testing import tokens
from oidcbridge.testing.key_ring import KeyRing
from oidcbridge.testing.keys import FakeKey
from oidcbridge.testing.presets import Provider, provider_shape, require_provider
from oidcbridge.testing.tokens import TokenDraft, TokenKind, merge

if TYPE_CHECKING:
    from oidcbridge.core.policy import Clock


class MintingIssuer:
    """An issuer that signs and publishes keys; ``FakeIssuer`` adds the HTTP side, and says what the arguments mean."""

    def __init__(
        self,
        url: str | None,
        *,
        clock: Clock | None,
        audience: str,
        algorithms: Sequence[str],
        default_claims: Mapping[str, object] | None,
        provider: Provider,
    ) -> None:
        self._url = url if url is None else _require_issuer(url)
        self._clock = clock
        self._default_claims = dict(default_claims or {})
        self._provider = require_provider(provider)
        self._ring = KeyRing(algorithms)
        self._internal_key = FakeKey.generate("HS512")  # what a provider writes to itself: refresh tokens
        self.audience = audience

    @property
    def issuer_url(self) -> str:
        """The issuer, exactly as tokens and discovery name it; ``ConfigurationError`` while it has no address."""
        if self._url is None:
            raise ConfigurationError(
                "FakeIssuer(url=None) takes its address from serve(): use it inside `with issuer.serve():`, "
                "or give it a url"
            )
        return self._url

    def settle(self, url: str) -> None:
        """Take ``url`` as the issuer where none was given; a server calls it once it knows its port."""
        if self._url is None:
            self._url = url

    def mint(
        self,
        sub: str = "user-1",
        *,
        alg: str | None = None,
        audience: str | Sequence[str] | None = None,
        scope: str | None = "",
        expires_in: int = 300,
        issued_ago: int = 0,
        client_id: str = "agent-ui",
        claims: Mapping[str, object] | None = None,
        header: Mapping[str, object] | None = None,
        key: FakeKey | None = None,
        kind: TokenKind = "access",
    ) -> str:
        """Sign a token that is good unless told otherwise; no two are alike (``jti``, where the provider writes one).

        ``alg`` picks the signing key (default: the first algorithm), ``key`` names one itself, such as a forger's.
        ``audience`` defaults to the issuer's, or to what the kind asks for. ``expires_in`` and ``issued_ago`` are
        seconds from now; a negative ``expires_in`` makes an expired token. ``scope`` holds words divided by spaces.
        ``claims`` and ``header`` are laid on top, and a value of ``OMIT`` takes a member out. ``kind`` makes the
        tokens an API must refuse: an ``id``, ``refresh`` or ``logout`` token.
        Raises ``ConfigurationError`` where no key fits.
        """
        key = self._pick_key(alg, key, kind)
        now = int(time.time() if self._clock is None else self._clock.time())
        draft = TokenDraft(
            issuer=self.issuer_url,
            sub=sub,
            client_id=client_id,
            audience=self._audience(kind, client_id) if audience is None else _plain(audience),
            scope=scope,
            issued_at=min(now - issued_ago, now + expires_in),
            expires_at=now + expires_in,
        )
        plain = draft.claims(kind, key.alg)
        its_header, its_claims = self._shape_of_provider(kind, draft, plain, keep_audience=audience is not None)
        return self.sign(merge(draft.header(kind, key), its_header, header), merge(plain, its_claims, claims), key)

    def sign(
        self,
        header: Mapping[str, object] | bytes,
        payload: Mapping[str, object] | bytes,
        key: FakeKey | None,
    ) -> str:
        """Sign exactly this header and payload, for attacks: nothing is added, nothing is checked.

        Bytes stand as they are. The key alone decides how it is signed; without one the signature is empty.
        """
        return tokens.sign(header, payload, key)

    def _pick_key(self, alg: str | None, key: FakeKey | None, kind: TokenKind) -> FakeKey:
        if key is None:
            return self._internal_key if kind == "refresh" and alg is None else self._ring.signing_key(alg)
        if alg not in {None, key.alg}:
            raise ConfigurationError(
                f"mint(alg={alg!r}) with a key for {key.alg!r}: leave alg out, or write header={{'alg': {alg!r}}} "
                "for a token whose header lies"
            )
        return key

    def _shape_of_provider(
        self, kind: TokenKind, draft: TokenDraft, plain: Mapping[str, object], *, keep_audience: bool
    ) -> tuple[Mapping[str, object], Mapping[str, object]]:
        header, imitated = provider_shape(self._provider, kind, draft, plain)
        audience = {"aud": draft.audience} if keep_audience else {}
        return header, {**imitated, **audience, **(self._default_claims if kind == "access" else {})}

    def _audience(self, kind: TokenKind, client_id: str) -> str:
        if kind == "access":
            return self.audience
        return self.issuer_url if kind == "refresh" else client_id

    @property
    def keys(self) -> list[FakeKey | Mapping[str, object]]:
        """The published keys, in order: a plain list, to be changed at will for odd sets."""
        return self._ring.published

    def signing_key(self, alg: str | None = None) -> FakeKey:
        """The key that signs now, by default for the first algorithm; ``ConfigurationError`` where there is none."""
        return self._ring.signing_key(alg)

    def rotate(self, alg: str | None = None) -> FakeKey:
        """Sign with a new key from now on; the old one stays published.

        Returns the new key. ``alg`` defaults to the first algorithm, and may be one that was not signed with before.
        """
        return self._ring.rotate(alg)

    def retire(self, kid: str | None = None) -> None:
        """Unpublish the keys that sign no more, or the one named ``kid``.

        A current key that is retired by name goes on signing: its tokens are those of a key the provider withdrew.
        Raises ``ConfigurationError`` for a ``kid`` that is not published.
        """
        self._ring.retire(kid)

    def publish(self, key: FakeKey | Mapping[str, object]) -> None:
        """Publish one more key, or any JWK as a mapping, without signing with it."""
        self._ring.published.append(key)

    def jwks(self) -> dict[str, object]:
        """The published key set (RFC 7517 section 5), public members only."""
        return self._ring.jwks()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r}, kids={self._ring.kids()!r})"


def _plain(audience: str | Sequence[str]) -> str | list[str]:
    return audience if isinstance(audience, str) else list(audience)


def _require_issuer(url: str) -> str:
    """An issuer is an absolute URL without query or fragment (OpenID Connect Discovery section 3)."""
    refusal = ConfigurationError(
        f"{url!r} can be no issuer: write https://host[:port][/path], or url=None with serve()"
    )
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise refusal
    return url
