"""Gate: decides who a connection's caller is. The middleware and the FastAPI dependencies both ask it."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from oidcbridge.asgi.cross_site import check_same_site
from oidcbridge.asgi.state import insecure_set_unverified, set_anonymous, set_principal
from oidcbridge.asgi.token_source import HttpSettings, read_credential
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
        self._reported: set[str] = set()

    async def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Verify the connection's credential and fill its state. Raises an `OIDCBridgeError` where it is refused."""
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
