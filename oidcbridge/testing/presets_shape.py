"""What every provider's preset is made from."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from oidcbridge.testing.tokens import OMIT, TokenDraft, TokenKind, half_hash

Members = Mapping[str, object]


@dataclass(frozen=True)
class Shape:
    """What a preset is made from: the kind of token, its draft, and its plain claims."""

    kind: TokenKind
    draft: TokenDraft
    plain: Members

    @property
    def is_machine(self) -> bool:
        """Whether nobody has logged in."""
        return self.draft.sub == self.draft.client_id

    @property
    def scopes(self) -> list[str]:
        """The scopes, one by one."""
        return (self.draft.scope or "").split()

    @property
    def audiences(self) -> list[str]:
        """The audience as a list."""
        audience = self.draft.audience
        return [audience] if isinstance(audience, str) else audience

    @property
    def person(self) -> dict[str, object]:
        """Name, user name and address of the subject."""
        sub = self.draft.sub
        return {"name": sub.title(), "preferred_username": sub, "email": f"{sub}@example.com"}

    @property
    def login(self) -> dict[str, object]:
        """What an ID token has of the login: the request's nonce, the hash of the access token."""
        return {"nonce": secrets.token_urlsafe(9), "at_hash": half_hash(secrets.token_urlsafe(16), "RS256")}

    @property
    def scope(self) -> dict[str, object]:
        """The claim ``scope``, where any was asked for."""
        return {"scope": self.draft.scope} if self.draft.scope else {}

    def whole(self, claims: Members, *, typ: bool = True) -> tuple[Members, Members]:
        """Header and claims: these, and of the plain ones the issuer, subject, audience and times alone."""
        kept = {"iss", "sub", "aud", "exp", "iat"}
        left_out = {name: OMIT for name in self.plain if name not in kept}
        return ({} if typ else {"typ": OMIT}), {**left_out, **claims}
