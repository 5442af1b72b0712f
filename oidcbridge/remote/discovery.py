"""Issuer metadata, kept fresh. Used on the background loop; the current document may be read anywhere."""

from __future__ import annotations

import contextlib
import logging
import math
from urllib.parse import urlsplit

from oidcbridge.core.freshness import Instant
from oidcbridge.core.metadata import IssuerMetadata, as_browsers_reach, parse_metadata, well_known_urls
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.core.urls import check_url
from oidcbridge.errors import ConfigurationError, DiscoveryError
from oidcbridge.remote.backoff import Backoff
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import Answer, fetch
from oidcbridge.remote.refresher import CANNOT_START, refresher

logger = logging.getLogger("oidcbridge.discovery")

_ASK_INTERVAL = 10.0


class RemoteMetadata:
    """What ``issuer_url`` says about itself, fetched when asked for and kept for a day.

    ``document_issuer`` is what the document calls itself, where that is not ``issuer_url``.
    ``current`` is the last good document, or None; ``for_browsers`` is the same as one outside reaches its endpoints.
    """

    def __init__(
        self,
        issuer_url: str,
        options: FetchOptions,
        clock: Clock,
        *,
        discovery_url: str | None,
        browser_url: str | None = None,
        document_issuer: str | None = None,
    ) -> None:
        self.issuer_url = issuer_url
        self._document_issuer = document_issuer or issuer_url
        self.current: IssuerMetadata | None = None
        self.for_browsers: IssuerMetadata | None = None
        self._outside = {"discovery_url": discovery_url, "browser_url": browser_url}
        self._urls = (discovery_url,) if discovery_url else well_known_urls(issuer_url)
        self._options = options
        self._clock = clock
        self._fetched: Instant | None = None
        self._reported: str | None = None
        self._next_ask = -math.inf
        self._backoff = Backoff(options)

    async def get(self) -> IssuerMetadata:
        """The document: at most a day old, or older where the provider cannot be asked now.

        Raises `DiscoveryError`.
        """
        now = Instant.now(self._clock)
        if self.current and (self._is_fresh(now) or self._backoff.is_running(now)):
            return self.current
        try:
            metadata = parse_metadata((await self._fetch()).body, self._document_issuer)
            self._check_endpoints(metadata)
        except (FetchError, DiscoveryError) as error:
            self._report(str(error))
            self._backoff.failed(error, Instant.now(self._clock), cold=self.current is None)
            if self.current:  # whatever stands in the new one: the old one was good
                return self.current
            if isinstance(error, DiscoveryError):
                raise
            raise DiscoveryError(f"discovery failed: {error}") from error
        self.current, self._fetched, self._reported = metadata, now, None
        self._backoff.succeeded()
        self.for_browsers = as_browsers_reach(metadata, **self._outside)
        return metadata

    def ask(self) -> None:
        """Begin to fetch what is not there yet, for those who must not wait: strangers too, who read /openapi.json.

        Every ten seconds at most, and not while the provider has to be left alone.
        """
        now = Instant.now(self._clock)
        if now.monotonic < self._next_ask or self._backoff.is_running(now):
            return
        self._next_ask = now.monotonic + _ASK_INTERVAL
        try:
            refresher().run(self._try)
        except CANNOT_START as error:
            self._report(f"the fetch could not be started: {error}")

    async def _try(self) -> None:
        with contextlib.suppress(DiscoveryError):  # `get` has reported it
            await self.get()

    def invalidate(self) -> None:
        """Ask again next time: what the document pointed to is gone."""
        self._fetched = None

    def _is_fresh(self, now: Instant) -> bool:
        return self._fetched is not None and self._fetched.age(now) < self._options.discovery_max_age

    async def _fetch(self) -> Answer:
        first, *others = self._urls
        try:
            return await fetch(first, self._options)
        except FetchError as error:
            if error.status != 404 or not others:
                raise
        return await fetch(others[0], self._options)

    def _check_endpoints(self, metadata: IssuerMetadata) -> None:
        if metadata.jwks_uri is None:
            raise DiscoveryError("the discovery document has no 'jwks_uri'")
        try:
            allow_http = self._options.insecure_allow_http
            check_url(metadata.jwks_uri, name="the discovery document's jwks_uri", allow_http=allow_http)
        except ConfigurationError as error:
            raise DiscoveryError(str(error)) from None

    def _report(self, message: str) -> None:
        """Once for each fault, not for each request."""
        if message != self._reported:
            self._reported = message
            logger.error("discovery of %s: %s", urlsplit(self.issuer_url).netloc, message)
