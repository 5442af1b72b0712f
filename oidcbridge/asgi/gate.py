"""Gate: decides who a connection's caller is. The middleware and the FastAPI dependencies both ask it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

from oidcbridge.asgi.cross_site import check_same_site
from oidcbridge.asgi.paths import is_excluded
from oidcbridge.asgi.state import insecure_set_unverified, set_anonymous, set_principal
from oidcbridge.asgi.token_source import HttpSettings, read_credential
from oidcbridge.core.bearer import TokenSource, read_usual_token
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.token import parse_unverified
from oidcbridge.diagnosis.log_advice import LogAdvice
from oidcbridge.errors import (
    CredentialError,
    ExpiredTokenError,
    MalformedTokenError,
    MissingCredentialError,
    OIDCBridgeError,
    TokenError,
)
from oidcbridge.verification import Begun
from oidcbridge.verifier import Verifier

logger = logging.getLogger("oidcbridge.asgi")


class Unfinished(NamedTuple):
    """A connection that could not be judged without waiting, or carries its credential in another way than usual."""

    token: str
    begun: Begun | None

    def __repr__(self) -> str:
        return f"Unfinished(begun={self.begun!r})"


NOTHING_DONE = Unfinished("", None)


class Gate:
    """A verifier with the HTTP side's settings. ``insecure_mapping`` stands in for it where ``validate`` is False."""

    def __init__(
        self, verifier: Verifier | None, settings: HttpSettings, insecure_mapping: ClaimMapping | None = None
    ) -> None:
        self.verifier = verifier
        self.settings = settings
        self._insecure_mapping = insecure_mapping
        self.vary = settings.vary.decode("ascii")
        self._has_public_paths = settings.excluded is not None or bool(settings.docs)
        # What a subclass adds to `Verifier.verify` holds for every request.
        is_usual = verifier is not None and type(verifier).verify is Verifier.verify
        self._usual_header = settings.header if is_usual and settings.token_source is not TokenSource.COOKIE else None
        self._reported: set[str] = set()
        self._advice = None if verifier is None else LogAdvice(lambda: verifier.issuer_settings)

    def is_public(self, scope: Mapping[str, Any]) -> bool:
        """Whether the connection goes to a path that anybody may ask for."""
        return self._has_public_paths and is_excluded(scope, self.settings.excluded, self.settings.docs)

    def usual_token(self, scope: Mapping[str, Any]) -> str | None:
        """What stands where nearly every request carries its token, as nearly all of them write it; None elsewhere.

        Whether that could be a token is not asked: only the text of a verified one is recognised.
        """
        return read_usual_token(scope["headers"], self._usual_header)

    def recognise(self, scope: MutableMapping[str, Any], token: str) -> bool:
        """Let a `usual_token` in that was verified before, and fill the connection's state."""
        principal = self.verifier.remembered(token) if self.verifier is not None else None
        if principal is None:
            return False
        set_principal(scope, principal, token)
        return True

    async def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Verify the connection's credential and fill its state. Raises an `OIDCBridgeError` where it is refused."""
        unfinished = self.begin(scope)
        if unfinished is not None:
            await self.go_on(scope, unfinished)

    def begin(self, scope: MutableMapping[str, Any]) -> Unfinished | None:
        """The part of `admit` that waits for nothing. None: that was all, as nearly always; else `go_on` with the rest.

        Raises as `admit` does.
        """
        token, verifier = self.usual_token(scope), self.verifier
        if token is None or verifier is None:
            return NOTHING_DONE
        try:  # every character of a compact JWS may stand in a credential: nothing more has to be asked about one
            answer = verifier.begin(token)
        except MalformedTokenError:
            return NOTHING_DONE  # it may be no credential either: that is looked into then, and answered differently
        if isinstance(answer, Begun):
            return Unfinished(token, answer)
        set_principal(scope, answer, token)
        return None

    async def go_on(self, scope: MutableMapping[str, Any], unfinished: Unfinished | None = None) -> None:
        """The rest of `admit`; without ``unfinished``, all of it."""
        token, begun = unfinished or NOTHING_DONE
        if begun is not None and self.verifier is not None:
            set_principal(scope, await self.verifier.finish(begun), token)
            return
        credential = read_credential(scope, self.settings)
        if credential is None:
            if self.settings.require_authentication and self.settings.validate:
                raise MissingCredentialError("no credential")
            set_anonymous(scope)
            return
        if credential.source == "cookie":
            check_same_site(scope, self.settings.allowed_origins)
        token = credential.token
        if self._insecure_mapping is not None:
            insecure_set_unverified(scope, parse_unverified(token), self._insecure_mapping, token)
            return
        assert self.verifier is not None  # noqa: S101 - one of the two is always there
        set_principal(scope, await self.verifier.verify(token), token)

    def report(self, error: OIDCBridgeError, scope: MutableMapping[str, Any]) -> None:
        """Say in the log which fault it was and, from time to time, what would mend it.

        Never the token, and nothing of a stranger's that could end the line (OWASP ASVS 16.2.5, 16.4.1).

        The first of each kind is a warning, since that is all that shows where logging was never set up, and a service
        configured wrongly has to say why; the rest are for those who listen.
        """
        if isinstance(error, MissingCredentialError):
            level = logging.DEBUG
        elif self._is_new(error):
            level = logging.WARNING
        else:
            level = logging.INFO
        if logger.isEnabledFor(level):
            path = ascii(scope.get("path", ""))[:200]
            advice = self._advice.about(error, lambda: self._token_in(scope)) if self._advice else ""
            logger.log(level, "refused %s %s: %s: %s%s", scope["type"], path, error.code, error, advice)

    def _token_in(self, scope: Mapping[str, Any]) -> str | None:
        """What was refused, read once more; None where it cannot even be read, and that is the fault."""
        try:
            credential = read_credential(scope, self.settings)
        except (CredentialError, TokenError):
            return None
        return credential.token if credential else None

    def _is_new(self, error: OIDCBridgeError) -> bool:
        if isinstance(error, ExpiredTokenError) or error.code in self._reported:
            return False  # an expired token is every day's business
        self._reported.add(error.code)
        return True
