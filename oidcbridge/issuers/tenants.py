"""Tenants: the issuers that a rule lets in, found as their tokens come, and bounded whatever comes.

Rule 1: a stranger's issuer is refused on its text, or by the user's function. Nobody is asked about it on the network.

Rule 2: a place for long is given to an issuer of which a token was good. Until then it waits in a smaller room, where
whoever invents names can push out nobody but others who wait.

Rule 3: looking for issuers that turn out to be none has a budget, and only so many are looked for at once. An honest
tenant waits a moment; when the budget is spent, new ones are refused, and those in place do not notice.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Generator
from dataclasses import replace
from typing import NoReturn

from oidcbridge.core.freshness import UnknownKidBudget
from oidcbridge.core.keys import DeniedKeys
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.errors import (
    ConfigurationError,
    DiscoveryError,
    KeysUnavailableError,
    ProviderError,
    UnknownIssuerError,
)
from oidcbridge.issuers.at_work import Workshop
from oidcbridge.issuers.door import Door
from oidcbridge.issuers.tenant_keys import TenantKeySet
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.flight import Flight
from oidcbridge.settings import DynamicSettings, IssuerSettings
from oidcbridge.verification import IssuerAtWork, Wait

MAX_NEW = 64
MAX_SEARCHES = 16
VAIN_BURST = 20
VAIN_INTERVAL = 0.5
IDLE_SECONDS = 24 * 3600.0
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


class Search:
    """A new issuer that is being fetched for, until the request that brought it has seen its keys."""

    def __init__(self, found: IssuerAtWork, fetch: Flight, give_up: float) -> None:
        self.found = found
        self.fetch = fetch
        self.give_up = give_up
        """The monotonic second when that request ends at the latest."""
        self.left = False
        self.end = Flight()


class Tenants:
    """The issuers of one `DynamicIssuers`. Thread-safe; what must be waited for is yielded, never waited for."""

    def __init__(self, settings: DynamicSettings, workshop: Workshop) -> None:
        self._settings = settings
        self._workshop = workshop
        self._clock = clock = workshop.clock
        self._door = Door(settings, clock)
        self._in_place: dict[str, IssuerAtWork] = {}
        self._denied: dict[str, DeniedKeys] = {}
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._new: dict[str, IssuerAtWork] = {}  # the least recently used first
        self._searches: dict[str, Search] = {}
        vain = replace(self._settings.fetch, unknown_kid_burst=VAIN_BURST, unknown_kid_interval=VAIN_INTERVAL)
        self._vain = UnknownKidBudget(vain, self._clock.monotonic())

    def find(
        self, token: UnverifiedToken, issuer: str, give_up: float, *, wait: bool
    ) -> Generator[Wait, bool, IssuerAtWork]:
        """The issuer at work, if the rule lets it in; waits until the monotonic second ``give_up``, or not at all.

        Raises what `Door.let_in` raises, and `ProviderError` where too many new issuers are being looked for.
        """
        found = self._known(issuer)
        if found is not None:
            return found
        settings = yield from self._door.let_in(token, issuer, give_up, wait=wait)
        while True:
            place = self._place(issuer, settings, give_up)
            if not isinstance(place, Flight):
                return place
            landed = wait and (yield Wait(place, max(0.0, give_up - self._clock.monotonic())))
            if not landed or self._clock.monotonic() >= give_up:
                raise KeysUnavailableError(f"{issuer}: too many new issuers are being looked for", retry_after=1)

    def _known(self, issuer: str) -> IssuerAtWork | None:
        found = self._in_place.get(issuer)
        if found is None:
            with self._lock:
                return self._known_new(issuer)
        keys = _keys_of(found)
        if self._is_idle(keys) or not self._door.still_lets_in(found, keys):
            with self._lock:
                self._retire(issuer, found)
            return None
        return found

    def _known_new(self, issuer: str) -> IssuerAtWork | None:
        """One that waits for its first good token; not for ever on one answer of the rule. The lock is held."""
        found = self._new.pop(issuer, None)
        if found is None:
            return None
        keys, now = _keys_of(found), self._clock.monotonic()
        if now - keys.decided >= self._settings.fetch.max_age:
            self._drop(issuer, found)
            return None
        self._new[issuer] = found
        if keys.would_ask() and _is_none(keys.last_error):
            self._charge(now)
        return found

    def _charge(self, now: float) -> None:
        """Asking once more for an issuer that has shown no keys yet is paid for. The lock is held."""
        if self._vain.next_refill(now) > 0:
            self._suppress(now)
        self._vain.take(now)

    def _suppress(self, now: float) -> NoReturn:
        message = "too many issuers were looked for in vain; no new one is, for the moment"
        if self._settings.fetch.on_suppressed == "503":
            raise KeysUnavailableError(message, retry_after=math.ceil(self._vain.next_refill(now)) or 1)
        raise UnknownIssuerError(message)

    def _is_idle(self, keys: TenantKeySet) -> bool:
        return self._clock.boottime() - keys.used >= IDLE_SECONDS

    def _place(self, issuer: str, settings: IssuerSettings, give_up: float) -> IssuerAtWork | Flight:
        """A new place and a fetch that has begun, or one of those that must be waited for first.

        Raises `UnknownIssuerError` where too many were looked for in vain.
        """
        with self._lock:
            found = self._in_place.get(issuer) or self._known_new(issuer)
            if found is not None:
                return found
            now = self._clock.monotonic()
            self._end_searches(now)
            if self._vain.next_refill(now) > 0:
                self._suppress(now)
            if len(self._searches) >= MAX_SEARCHES:
                # Each in turn: those who wait are woken a few at a time.
                first = next(iter(self._searches))
                search = self._searches[first] = self._searches.pop(first)
                return search.end if search.fetch.done else search.fetch
            other = self._namesake(settings)
            if other is not None:
                self._door.refuse(issuer, f"has the name of another one, {other}; their users would be one")
            return self._add(issuer, settings, now, give_up)

    def _namesake(self, settings: IssuerSettings) -> str | None:
        prefix = settings.mapping.user_id_prefix
        known = self._new | self._in_place
        return next((url for url, one in known.items() if one.settings.mapping.user_id_prefix == prefix), None)

    def _add(self, issuer: str, settings: IssuerSettings, now: float, give_up: float) -> IssuerAtWork:
        """The lock is held."""
        added = self._workshop.put_to_work(settings, self._settings.fetch, kind=TenantKeySet)
        keys = _keys_of(added)
        keys.adopt(self._denied.get(issuer, DeniedKeys()))
        keys.used, keys.decided, keys.allowed = self._clock.boottime(), now, now
        keys.is_asked_about = self._door.may_change_its_mind
        if len(self._new) >= MAX_NEW:
            oldest = next(iter(self._new))
            self._drop(oldest, self._new.pop(oldest))
            self._vain.take(now)  # it was fetched for, and no token of it was good
        self._new[issuer] = added
        fetch = keys.ask()
        if fetch is not None:
            self._searches[issuer] = Search(added, fetch, give_up)
        return added

    def _end_searches(self, now: float) -> None:
        """Make room, and charge for the issuers that are none. The lock is held."""
        for issuer, search in list(self._searches.items()):
            if search.fetch.done and (search.left or now >= search.give_up):
                del self._searches[issuer]
                if _is_none(search.fetch.error):
                    self._vain.take(now)
                search.end.land(None)

    def leave(self, issuer: IssuerAtWork) -> None:
        """A request that `find` gave ``issuer`` to has ended, well or not."""
        url = issuer.settings.issuer_url
        if url is not None and url in self._searches:
            with self._lock:
                search = self._searches.get(url)
                if search is not None and search.found is issuer:
                    search.left = True
                    self._end_searches(self._clock.monotonic())

    def confirm(self, issuer: IssuerAtWork) -> None:
        """A token of ``issuer`` was good: it gets its place."""
        keys, url = issuer.keys, issuer.settings.issuer_url
        if not isinstance(keys, TenantKeySet):
            return
        keys.used = self._clock.boottime()
        if keys.is_trusted or keys.retired or url is None:
            return
        with self._lock:
            self._new.pop(url, None)
            placed = self._in_place.get(url)
            if placed is not None:
                if placed.keys is not keys:  # another request was first, with keys of its own
                    self._drop(url, issuer)
                return
            for old, found in list(self._in_place.items()):
                if self._is_idle(_keys_of(found)):
                    self._retire(old, found)
            if len(self._in_place) >= self._settings.max_issuers:
                self._retire(*min(self._in_place.items(), key=lambda item: _keys_of(item[1]).used))
            keys.is_trusted = True
            self._in_place[url] = issuer
            for kid in self._denied.get(url, DeniedKeys()).kids:  # perhaps denied since it was added
                keys.deny(kid)

    def _retire(self, issuer: str, found: IssuerAtWork) -> None:
        """The lock is held."""
        if self._in_place.get(issuer) is found:
            del self._in_place[issuer]
        self._drop(issuer, found)

    def _drop(self, issuer: str, found: IssuerAtWork) -> None:
        """It leaves; what was denied stays so. The lock is held."""
        denied = _keys_of(found).retire()
        if denied.kids:
            before = self._denied.get(issuer, DeniedKeys())
            self._denied[issuer] = DeniedKeys(before.kids | denied.kids, before.thumbprints | denied.thumbprints)
        if found.metadata is not None:
            found.metadata.current = found.metadata.for_browsers = None

    def deny(self, kid: str, issuer: str) -> None:
        """Deny the key now, and when the issuer comes back after it has left.

        Raises `ConfigurationError` for an issuer that the rule could not let in.
        """
        if not self._door.could_let_in(issuer):
            raise ConfigurationError(f"deny_key: {issuer!a} is no issuer that DynamicIssuers lets in")
        with self._lock:
            self._denied[issuer] = self._denied.get(issuer, DeniedKeys()).and_kid(kid)
            for found in (self._in_place.get(issuer), self._new.get(issuer)):
                if found is not None:
                    found.keys.deny(kid)

    def in_place(self) -> tuple[IssuerAtWork, ...]:
        """The issuers that have their place now."""
        return tuple(found for found in list(self._in_place.values()) if not self._is_idle(_keys_of(found)))

    def pause(self) -> None:
        """Stop refreshing ahead; the next use resumes."""
        with self._lock:
            for found in (*self._in_place.values(), *self._new.values()):
                found.keys.pause()

    def start_anew_in_child(self) -> None:
        """After a fork: who has a place keeps it; what was being looked for in the parent is the parent's."""
        self._start()
        self._door.start_anew_in_child()


def _is_none(error: ProviderError | None) -> bool:
    """Whether ``error`` says that there is no such issuer, and not that it cannot be asked now."""
    cause = error.__cause__ if error is not None else None
    if isinstance(cause, FetchError):
        return cause.status in (404, 410) or cause.kind == "address" or _has_no_name(cause.__cause__)
    return isinstance(error, DiscoveryError)  # a document, and it is another issuer's or nobody's


def _has_no_name(error: BaseException | None) -> bool:
    """Whether the resolver knows no such host. That it cannot say so just now is an outage."""
    return isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME


def _keys_of(issuer: IssuerAtWork) -> TenantKeySet:
    assert isinstance(issuer.keys, TenantKeySet)  # noqa: S101 - `_add` makes no other
    return issuer.keys
