"""What is odd about an issuer's claims, in the log: once for each claim and kind of oddity, never a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping

logger = logging.getLogger("oidcbridge.claims")

_KINDS = ((bool, "true or false"), ((int, float), "a number"), (str, "text"), (Mapping, "an object"))


class ClaimNotices:
    """Told by `oidcbridge.core.mapping`; the claims are read on without what is skipped. Thread-safe."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._told: set[tuple[str, str]] = set()

    def skipped(self, path: str, value: object) -> None:
        """The claim at ``path`` is not used, or not all of it, for its type."""
        kind = next((name for types, name in _KINDS if isinstance(value, types)), "a list with other members than text")
        if self._is_new(path, kind):
            logger.warning(
                "%s: the claim %r holds %s, which is skipped: check what the provider writes there (reported once)",
                self._issuer,
                path,
                kind,
            )

    def groups_left_out(self) -> None:
        """The provider has left groups out because there are too many."""
        if self._is_new("groups", "left out"):
            logger.warning(
                "%s: a user has so many groups that the provider leaves them out of the token; groups_complete is False"
                " then. Let it send fewer, such as those assigned to the application, or use roles (reported once)",
                self._issuer,
            )

    def _is_new(self, *what: str) -> bool:
        if what in self._told:
            return False
        self._told.add((what[0], what[1]))
        return True
