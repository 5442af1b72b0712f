"""Verifier: token -> Principal. The one place that joins the floors below."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

from oidcbridge.arguments import VerifierArguments
from oidcbridge.core.mapping import principal_from
from oidcbridge.core.metadata import IssuerMetadata
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import parse_unverified
from oidcbridge.errors import ProviderError, VerifierClosedError
from oidcbridge.health import IssuerHealth
from oidcbridge.issuers import Issuers
from oidcbridge.metrics import VerifierMetrics
from oidcbridge.remote.flight import Flight, runs_event_loop
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.remote.refresher import CANNOT_START, refresher, start_anew_after_fork
from oidcbridge.settings import IssuerSettings, Settings, resolve
from oidcbridge.token_cache import TokenCache
from oidcbridge.verification import Begun, Steps, Tried, verification_steps, verify_at_once


class Verifier:
    """Verifies access tokens of the configured issuers and maps them to `Principal`.

    Thread-safe, loop-independent and fork-safe: one instance serves a whole process. Keys are fetched on first use, or
    by `warm`. The arguments are those of the README's table; a contradiction raises `ConfigurationError` here.
    """

    def __init__(self, **arguments: Unpack[VerifierArguments]) -> None:
        settings = self._resolve(arguments)
        self._settings = settings
        self._clock = settings.clock
        self._issuers = Issuers(settings)
        self._tokens = TokenCache(settings.token_cache) if settings.token_cache else None
        self._closed = False
        start_anew_after_fork(self)

    def _resolve(self, arguments: VerifierArguments) -> Settings:
        """What is made of the arguments. A subclass may say more there than they can; no other place verifies."""
        return resolve(arguments)

    def __repr__(self) -> str:
        return f"Verifier(issuers={self._issuers})"

    async def verify(self, token: str) -> Principal:
        """The principal of an access token; fetches keys when it must, waiting at most ``fetch.request_wait`` seconds.

        Works on asyncio and trio. Raises a `TokenError` for a token that is refused, a `ProviderError` where the
        provider cannot be asked, `VerifierClosedError` after `close`.
        """
        answer = self.begin(token)
        return answer if isinstance(answer, Principal) else await self.finish(answer)

    def begin(self, token: str) -> Principal | Begun:
        """The part of `verify` that waits for nothing, and nearly always the whole: else `finish` what has begun.

        Raises as `verify` does.
        """
        if self._closed:
            self._refuse_if_closed()
        now, tokens, digest = self._clock.time(), self._tokens, None
        if tokens is not None:
            found = tokens.get(token, now)
            if isinstance(found, Principal):
                return found
            digest = found
        unverified = parse_unverified(token)
        issuer = self._issuers.written_down(unverified)
        if issuer is None:
            return Begun(unverified, digest, None)
        verified = verify_at_once(unverified, issuer, now)
        if isinstance(verified, Tried):
            return Begun(unverified, digest, verified)
        principal = principal_from(verified, issuer.settings.mapping)
        if tokens is not None and digest is not None:
            tokens.put(digest, verified, issuer)
        return principal

    async def finish(self, begun: Begun) -> Principal:
        """The principal of a token that `begin` could not decide. Waits and raises as `verify` does."""
        steps = self._steps(begun, wait=True)
        try:
            wait = next(steps)
            while True:
                wait = steps.send(await wait.flight.wait(wait.seconds))
        except StopIteration as end:
            return _principal_of(end)
        finally:
            steps.close()  # also where the request is cancelled: it waits no more

    def verify_now(self, token: str) -> Principal:
        """The same as `verify` for sync code.

        On a thread that runs an event loop it never waits: it answers from the keys at hand, or starts the fetch and
        raises `KeysUnavailableError`.
        """
        answer = self.begin(token)
        if isinstance(answer, Principal):
            return answer
        steps = self._steps(answer, wait=not runs_event_loop())
        try:
            wait = next(steps)
            while True:
                wait = steps.send(wait.flight.wait_blocking(wait.seconds))
        except StopIteration as end:
            return _principal_of(end)
        finally:
            steps.close()

    async def warm(self, *, strict: bool = False) -> None:
        """Fetch every issuer's keys now, so that no request has to wait for them.

        ``strict``: raise the `ProviderError` of the first that fails; else it is logged, and requests get 503 until a
        later attempt succeeds.
        """
        asked = [(keys, keys.ask()) for keys in self._remote_key_sets()]
        for keys, flight in asked:
            error = await self._outcome(keys, flight)
            if error is None and keys.usable(self._clock.time()) is None:
                error = keys.last_error  # the last attempt failed a moment ago, and its backoff runs
            if strict and error:
                raise error.with_traceback(None)

    async def refresh(self, *, force: bool = False) -> None:
        """Fetch the keys that are not fresh; ``force``: all of them now, whatever budgets and backoffs say.

        For the moment when a provider says that a key is lost: the next request knows. Raises the `ProviderError` of
        the first issuer that fails; the keys at hand stay.
        """
        asked = []
        for keys in self._remote_key_sets():
            asked.append((keys, *(keys.refresh() if force else (keys.ask(), True))))
        errors = []
        for keys, first, first_is_ours in asked:
            flight, is_ours = first, first_is_ours
            error = await self._outcome(keys, flight)
            while not is_ours and error is None:
                flight, is_ours = keys.refresh()
                error = await self._outcome(keys, flight)
            errors.append(error)
        for error in filter(None, errors):
            raise error.with_traceback(None)

    async def _outcome(self, keys: RemoteKeySet, flight: Flight | None) -> ProviderError | None:
        """What went wrong with ``flight``, if anything. Three fetches at most: discovery in two places, then keys."""
        if flight is None or await flight.wait(3 * self._settings.fetch.deadline):
            return flight.error if flight else None
        return ProviderError(f"{keys.name}: the provider did not answer in time")

    def deny_key(self, kid: str, *, issuer: str | None = None) -> None:
        """Refuse every token of the key ``kid`` from now on, in this process, whatever the provider publishes.

        Tokens verified before are refused too. ``issuer`` may be left out where only one is configured. Raises
        `ConfigurationError` for an issuer that is not.
        """
        self._issuers.deny(kid, issuer)

    def health(self) -> tuple[IssuerHealth, ...]:
        """How each issuer's keys stand. Never asks the provider."""
        return self._issuers.health()

    def metrics(self) -> VerifierMetrics:
        """What was done since this verifier was made, in numbers. Never asks the provider."""
        tokens, observation = self._tokens, self._issuers.observation
        return VerifierMetrics(
            issuers=self._issuers.metrics(),
            token_cache_hits=tokens.hits if tokens else 0,
            token_cache_misses=tokens.misses if tokens else 0,
            token_cache_invalidated=tokens.invalidated if tokens else 0,
            observer_errors=observation.errors if observation else 0,
            events_dropped=observation.dropped if observation else 0,
        )

    def start_warming(self) -> None:
        """The same without waiting: the fetches begin, and go on in the background."""
        for keys in self._remote_key_sets():
            keys.ask()

    def pause(self) -> None:
        """Stop refreshing ahead; the next use resumes. For a lifespan's end."""
        self._issuers.pause()

    def close(self) -> None:
        """Refuse all further use. Plain, idempotent, never needed: nothing is left running either way."""
        was_closed, self._closed = self._closed, True
        self.pause()
        store = self._settings.key_store
        if store is not None and not was_closed and any(one.keys.mark() for one in self._issuers.at_work()):
            with suppress(*CANNOT_START):  # the interpreter is ending, and takes the connections with it
                refresher().run(store.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    @property
    def issuer_urls(self) -> tuple[str, ...]:
        """The configured issuers."""
        return tuple(url for url in self._issuers.fixed if url is not None)

    @property
    def settings(self) -> Settings:
        """What was resolved of the arguments, for those who only read."""
        return self._settings

    @property
    def issuer_settings(self) -> tuple[IssuerSettings, ...]:
        """What was resolved for each issuer that is known now: for a diagnosis, which only reads."""
        return tuple(issuer.settings for issuer in self._issuers.at_work())

    def metadata(self) -> tuple[IssuerMetadata, ...]:
        """What is known now of the issuers' discovery documents; asking for the missing ones begins. Never waits.

        The endpoints are those that a browser reaches (``browser_url``), wherever we ask ourselves.
        """
        known = []
        for issuer in self._issuers.fixed.values():
            if issuer.metadata is not None and issuer.metadata.for_browsers is not None:
                known.append(issuer.metadata.for_browsers)
            elif issuer.metadata is not None and not self._closed:
                issuer.metadata.ask()
        return tuple(known)

    def _remote_key_sets(self) -> list[RemoteKeySet]:
        self._refuse_if_closed()
        return [issuer.keys for issuer in self._issuers.at_work() if isinstance(issuer.keys, RemoteKeySet)]

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise VerifierClosedError("this verifier has been closed; make a new one")

    def remembered(self, token: str) -> Principal | None:
        """The principal of a token that was verified before, if verifying it again would give the same now.

        Never waits; None says nothing about the token. It is what `begin` looks at first.
        """
        if self._closed:
            self._refuse_if_closed()
        found = self._tokens.get(token, self._clock.time()) if self._tokens is not None else None
        return found if isinstance(found, Principal) else None

    def _steps(self, begun: Begun, *, wait: bool) -> Steps:
        """The other cases than `begin`'s, the same for sync and async callers."""
        clock, unverified = self._clock, begun.unverified
        give_up = clock.monotonic() + self._settings.fetch.request_wait
        issuer = yield from self._issuers.find(unverified, give_up, wait=wait)
        try:
            verified = begun.tried or verify_at_once(unverified, issuer, clock.time())
            if isinstance(verified, Tried):
                verified = yield from verification_steps(unverified, issuer, verified, clock, give_up, wait=wait)
            self._issuers.confirm(issuer)
        finally:
            self._issuers.leave(issuer)
        principal = principal_from(verified, issuer.settings.mapping)
        if self._tokens is not None and begun.digest is not None:
            self._tokens.put(begun.digest, verified, issuer)
        return principal

    def start_anew_in_child(self) -> None:
        """After a fork (`oidcbridge.remote.refresher`)."""
        if self._tokens is not None:
            self._tokens.start_anew_in_child()
        self._issuers.start_anew_in_child()


def _principal_of(end: StopIteration) -> Principal:
    principal: Principal = end.value
    return principal
