"""The door: which issuers a rule lets in, decided before anybody is asked about them on the network."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import NoReturn

from cachetools import LRUCache

from oidcbridge.arguments import can_go_before_ids
from oidcbridge.core.issuer_patterns import IssuerPattern, is_issuer_text, name_from
from oidcbridge.core.policy import Clock
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.core.urls import check_issuer_urls
from oidcbridge.core.verify import admit
from oidcbridge.errors import ConfigurationError, ProviderError, UnknownIssuerError
from oidcbridge.issuers.admission import Admission, Question
from oidcbridge.issuers.tenant_keys import TenantKeySet
from oidcbridge.settings import DynamicSettings, IssuerSettings
from oidcbridge.verification import IssuerAtWork, Wait

logger = logging.getLogger("oidcbridge.issuers")

MAX_COMPLAINTS = 64


class Door:
    """One `DynamicIssuers` rule. Thread-safe; what must be waited for is yielded, never waited for."""

    def __init__(self, settings: DynamicSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        rule, seconds = settings.rule, settings.fetch.negative_kid_ttl
        self._rule = rule if isinstance(rule, IssuerPattern) else Admission(rule, clock, seconds)
        self.start_anew_in_child()

    def let_in(
        self, token: UnverifiedToken, issuer: str, give_up: float, *, wait: bool
    ) -> Generator[Wait, bool, IssuerSettings]:
        """The settings of ``issuer``; waits until the monotonic second ``give_up``, or not at all.

        Raises `UnknownIssuerError`, what `admit` raises, and `ProviderError` where it could not be decided in time.
        """
        self._refuse_no_issuer(issuer)
        if isinstance(self._rule, IssuerPattern):
            name = self._rule.name_of(issuer)
            if name is None:
                raise UnknownIssuerError(f"iss {issuer!a} does not match the pattern of DynamicIssuers")
            self._refuse_early(token, issuer)
        else:
            self._refuse_early(token, issuer)
            name = yield from self._ask(self._rule, issuer, give_up, wait=wait)
        if name in self._settings.taken:
            self.refuse(issuer, f"is called {name!a}, like an Issuer(name=) beside it; their users would be one")
        if not can_go_before_ids(name):
            self.refuse(issuer, f"is called {name[:100]!a}; a name has no colon and is not 'client'")
        try:
            return self._settings.of(issuer, name)
        except ConfigurationError as error:
            self.refuse(issuer, f"does not go with the other arguments: {error}")

    def _refuse_no_issuer(self, issuer: str) -> None:
        """Refuse on the text what could lead a request anywhere but to an issuer's own documents."""
        if not is_issuer_text(issuer):
            raise UnknownIssuerError(f"iss {ascii(issuer)[:200]} is no issuer that DynamicIssuers could let in")
        allow_http = self._settings.fetch.insecure_allow_http
        try:
            check_issuer_urls(issuer, discovery_url=None, jwks_uri=None, browser_url=None, allow_http=allow_http)
        except ConfigurationError as error:
            raise UnknownIssuerError(f"iss {issuer!a}: {error}") from None

    def _refuse_early(self, token: UnverifiedToken, issuer: str) -> None:
        """What no key could save costs neither a question nor a fetch."""
        try:
            policy = self._settings.of(issuer, "").policy
        except ConfigurationError:
            return  # the operator is told of it if the issuer is let in
        admit(token, policy, self._clock.time())

    def _ask(self, rule: Admission, issuer: str, give_up: float, *, wait: bool) -> Generator[Wait, bool, str]:
        question = rule.ask(issuer)
        flight = question.flight
        if not flight.done and wait:
            yield Wait(flight, max(0.0, give_up - self._clock.monotonic()))
        if not flight.done:
            raise ProviderError(f"DynamicIssuers(allow=) has not yet decided about {issuer}", retry_after=1)
        if flight.error is not None:
            raise ProviderError(str(flight.error))  # one of its own for each who waited
        name = _name(question)
        if name is None:
            raise UnknownIssuerError(f"iss {issuer!a} is not let in by DynamicIssuers(allow=)")
        return name

    def refuse(self, issuer: str, why: str) -> NoReturn:
        """Refuse an issuer that the rule lets in, and tell the operator, who alone can mend it.

        Raises `UnknownIssuerError`.
        """
        with self._lock:
            is_new, self._complaints[issuer] = issuer not in self._complaints, True
        if is_new:
            logger.error("the issuer %s is let in by DynamicIssuers and refused all the same: it %s", issuer, why)
        raise UnknownIssuerError(f"iss {issuer!a} {why}")

    def still_lets_in(self, issuer: IssuerAtWork, keys: TenantKeySet) -> bool:
        """What the rule says of an issuer in place; a function is asked from time to time, and nobody waits for it."""
        if isinstance(self._rule, IssuerPattern):
            return True
        question, now = keys.question, self._clock.monotonic()
        if question is not None and question.flight.done:
            keys.question = None
            if question.flight.error is None:  # an outage of theirs changes nothing
                name = _name(question)
                if name is None or issuer.settings.mapping.user_id_prefix != f"{name}:":
                    return False
                keys.allowed = now
        if keys.is_past_its_leave(now):  # it is asked anew, and waited for
            return False
        if keys.question is None and now - keys.decided >= self._settings.fetch.max_age:
            with suppress(UnknownIssuerError):  # too many wait: the next request tries again
                keys.question = self._rule.ask(keys.name)
                keys.decided = now
        return True

    @property
    def may_change_its_mind(self) -> bool:
        """Whether the rule is a function."""
        return isinstance(self._rule, Admission)

    def could_let_in(self, issuer: str) -> bool:
        """Whether the rule could let ``issuer`` in, without asking anybody."""
        fits = is_issuer_text(issuer)
        return fits and (isinstance(self._rule, Admission) or self._rule.name_of(issuer) is not None)

    def start_anew_in_child(self) -> None:
        """After a fork."""
        self._lock = threading.Lock()
        self._complaints: LRUCache[str, bool] = LRUCache(MAX_COMPLAINTS)
        if isinstance(self._rule, Admission):
            self._rule.start_anew_in_child()


def _name(question: Question) -> str | None:
    """The tenant's name, once it is decided; None: a stranger."""
    if question.answer is True:
        return name_from(question.issuer)
    return question.answer or None
