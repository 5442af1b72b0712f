"""Gate: decides who a connection's caller is. The middleware and the FastAPI dependencies both ask it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from oidcbridge.asgi.cross_site import check_same_site
from oidcbridge.asgi.paths import is_excluded
from oidcbridge.asgi.state import insecure_set_unverified, set_anonymous, set_principal
from oidcbridge.asgi.token_source import HttpSettings, read_credential, read_usual_token
from oidcbridge.core.bearer import TokenSource
from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.token import parse_unverified
from oidcbridge.errors import ExpiredTokenError, MissingCredentialError, OIDCBridgeError
from oidcbridge.verifier import Verifier

logger = logging.getLogger("oidcbridge.asgi")


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
        self._header = None if settings.token_source is TokenSource.COOKIE else settings.header
        # What a subclass adds to `Verifier.verify` holds for every request.
        self._remembers = verifier is not None and type(verifier).verify is Verifier.verify
        self._reported: set[str] = set()

    def is_public(self, scope: Mapping[str, Any]) -> bool:
        """Whether the connection goes to a path that anybody may ask for."""
        return self._has_public_paths and is_excluded(scope, self.settings.excluded, self.settings.docs)

    def recognise(self, scope: MutableMapping[str, Any]) -> bool | None:
        """Let a token in that was verified before, as nearly every request carries one, and fill its state.

        False: it is none; None: there was none to look at, and `admit` has to find the credential. Whether the text
        could be a token is not asked: only that of a verified one is found.
        """
        token = read_usual_token(scope["headers"], self._header)
        if token is None or self.verifier is None or not self._remembers:
            return None
        principal = self.verifier.remembered(token)
        if principal is None:
            return False
        set_principal(scope, principal, token)
        return True

    async def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Verify the connection's credential and fill its state. Raises an `OIDCBridgeError` where it is refused."""
        is_known = self.recognise(scope)
        if not is_known:
            await self.admit_unknown(scope, looked_up=is_known is False)

    async def admit_unknown(self, scope: MutableMapping[str, Any], *, looked_up: bool) -> None:
        """The same for what `recognise` does not let in; ``looked_up``: it has looked for the token."""
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
        principal = await (self.verifier.verify_anew(token) if looked_up else self.verifier.verify(token))
        set_principal(scope, principal, token)

    def report(self, error: OIDCBridgeError, scope: MutableMapping[str, Any]) -> None:
        """Say in the log which fault it was. Never the token.

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
            logger.log(level, "refused %s %s: %s: %s", scope["type"], path, error.code, error)

    def _is_new(self, error: OIDCBridgeError) -> bool:
        if isinstance(error, ExpiredTokenError) or error.code in self._reported:
            return False  # an expired token is every day's business
        self._reported.add(error.code)
        return True
