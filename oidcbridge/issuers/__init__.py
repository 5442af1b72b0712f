"""The issuers of one verifier: those that are written down, and those that a rule lets in."""

from __future__ import annotations

import logging
from collections.abc import Generator

from oidcbridge.core.alike import Alike
from oidcbridge.core.freshness import Instant
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.errors import ConfigurationError, UnknownIssuerError
from oidcbridge.health import IssuerHealth, health_of
from oidcbridge.issuers.at_work import Workshop
from oidcbridge.issuers.tenants import Tenants
from oidcbridge.issuers.undecided import decide
from oidcbridge.metrics import IssuerMetrics, metrics_of
from oidcbridge.remote.jwks import RemoteKeySet
from oidcbridge.remote.observation import Observation
from oidcbridge.settings import IssuerSettings, Settings
from oidcbridge.verification import IssuerAtWork, Wait

logger = logging.getLogger("oidcbridge.verifier")


class Issuers:
    """Finds a token's issuer. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.observation = Observation(settings.observer) if settings.observer else None
        workshop = Workshop(settings.clock, settings.key_store, self.observation)
        #: Those that are written down, by their URL; None for static keys of nobody in particular.
        self.fixed = {one.issuer_url: workshop.put_to_work(one, settings.fetch) for one in settings.issuers}
        decided = [one for one in self.fixed.values() if one.settings.with_profile is None]
        #: By each value of ``iss`` that stands for them; the others wait to be told which provider they are.
        self._by_name = {name: one for one in decided for name in one.settings.names}
        self._clock = settings.clock
        self._tenants = Tenants(settings.dynamic, workshop) if settings.dynamic else None
        self._only = next(iter(self.fixed.values())) if len(self.fixed) == 1 and not self._tenants else None
        self._anonymous = self.fixed.get(None)
        for issuer in settings.issuers:
            if issuer.with_profile is None:
                _tell_profile(issuer)
            else:
                logger.info("issuer %s: its discovery document will tell the provider profile", issuer.issuer_url)

    def __repr__(self) -> str:
        return f"{[*self.fixed, *(['DynamicIssuers'] if self._tenants else [])]}"

    def find(self, token: UnverifiedToken, give_up: float, *, wait: bool) -> Generator[Wait, bool, IssuerAtWork]:
        """The issuer that the token names, to the letter; with static keys alone there is but one.

        Waits until the monotonic second ``give_up``, or not at all; for an issuer that is written down, only until it
        is known which provider it is. Raises `UnknownIssuerError`, and what `decide` and `Tenants.find` raise.
        """
        issuer = self.written_down(token)
        if issuer is not None:
            return issuer
        name = token.claims.get("iss")
        undecided = self.fixed.get(name) if isinstance(name, str) else None
        if undecided is not None and undecided.settings.with_profile is not None:
            return (yield from self._decide(undecided, token, give_up, wait=wait))
        if self._tenants is not None and isinstance(name, str):
            return (yield from self._tenants.find(token, name, give_up, wait=wait))
        raise UnknownIssuerError(f"iss {ascii(name)[:200]} is not among {self}")

    def written_down(self, token: UnverifiedToken) -> IssuerAtWork | None:
        """The same among those that are written down and decided; None where it is none of them."""
        if self._anonymous is not None:
            return self._anonymous
        name = token.claims.get("iss")
        return self._by_name.get(name) if isinstance(name, str) else None

    def _decide(
        self, issuer: IssuerAtWork, token: UnverifiedToken, give_up: float, *, wait: bool
    ) -> Generator[Wait, bool, IssuerAtWork]:
        settings = yield from decide(issuer, token, self._clock, give_up, wait=wait)
        ours = issuer._replace(settings=settings, alike=Alike())
        decided = self._by_name.setdefault(settings.issuer_url, ours)  # whoever comes first decides for all
        if decided is ours:
            self.fixed[settings.issuer_url] = ours
            _tell_profile(settings)
        return decided

    def confirm(self, issuer: IssuerAtWork) -> None:
        """A token of ``issuer`` was good."""
        if self._tenants is not None:
            self._tenants.confirm(issuer)

    def leave(self, issuer: IssuerAtWork) -> None:
        """A request that was given ``issuer`` has ended, well or not."""
        if self._tenants is not None:
            self._tenants.leave(issuer)

    def at_work(self) -> tuple[IssuerAtWork, ...]:
        """All that are known now."""
        return (*self.fixed.values(), *(self._tenants.in_place() if self._tenants else ()))

    def deny(self, kid: str, issuer: str | None) -> None:
        """Refuse the key ``kid`` of ``issuer``. Raises `ConfigurationError` for an issuer that is not ours."""
        if issuer is None and self._only is None:
            raise ConfigurationError(f"deny_key needs issuer=, one of {self}: kid values may be equal")
        chosen = self._only if issuer is None else self.fixed.get(issuer)
        if chosen is not None:
            chosen.keys.deny(kid)
        elif self._tenants is not None and issuer is not None:
            self._tenants.deny(kid, issuer)
        else:
            raise ConfigurationError(f"deny_key: {issuer!r} is not among {self}")
        logger.warning("key %a of %s is denied", kid[:64], chosen.settings.issuer_url if chosen else issuer)

    def health(self) -> tuple[IssuerHealth, ...]:
        """How each one's keys stand."""
        now = Instant.now(self._clock)
        return tuple(
            _health(issuer, now, dynamic=issuer.settings.issuer_url not in self.fixed) for issuer in self.at_work()
        )

    def metrics(self) -> tuple[IssuerMetrics, ...]:
        """What has been done for each one's keys."""
        now = Instant.now(self._clock)
        return tuple(
            metrics_of(issuer.keys, now)
            if isinstance(issuer.keys, RemoteKeySet)
            else IssuerMetrics(issuer.settings.issuer_url or "", "static", usable_keys=_count(issuer, now))
            for issuer in self.at_work()
        )

    def pause(self) -> None:
        """Stop refreshing ahead; the next use resumes."""
        for issuer in self.fixed.values():
            issuer.keys.pause()
        if self._tenants is not None:
            self._tenants.pause()

    def start_anew_in_child(self) -> None:
        """After a fork."""
        if self._tenants is not None:
            self._tenants.start_anew_in_child()


def _tell_profile(issuer: IssuerSettings) -> None:
    logger.info("issuer %s: provider profile %r, %s", issuer.issuer_url, issuer.profile.name, issuer.why)


def _health(issuer: IssuerAtWork, now: Instant, *, dynamic: bool) -> IssuerHealth:
    if isinstance(issuer.keys, RemoteKeySet):
        return health_of(issuer.keys, now, dynamic=dynamic)
    return IssuerHealth(issuer.settings.issuer_url or "", "static", usable=True, keys=_count(issuer, now))


def _count(issuer: IssuerAtWork, now: Instant) -> int:
    key_set = issuer.keys.usable(now.wall)
    return len(key_set.keys) if key_set else 0
