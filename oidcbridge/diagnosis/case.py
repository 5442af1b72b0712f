"""Case: one refusal with its circumstances, which the tables of advice look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from oidcbridge.core.claims import read_audience, read_string
from oidcbridge.diagnosis.recognition import TokenShape, kind_of_token, recognise_provider
from oidcbridge.diagnosis.words import listed, shown
from oidcbridge.errors import ClaimError, TokenError
from oidcbridge.settings import IssuerSettings

_CLIENT_CLAIMS = ("azp", "client_id", "cid", "appid")


@dataclass(frozen=True)
class Case:
    """``error`` was raised for a token of that ``shape`` by a verifier of ``issuer``. Nothing in it is trusted."""

    error: TokenError
    shape: TokenShape
    issuer: IssuerSettings

    @cached_property
    def provider(self) -> str:
        """The provider that the settings name, or else that the token looks like."""
        configured = self.issuer.profile.name
        if configured != "generic":
            return configured
        known = recognise_provider(self.issuer.issuer_url, {}).name
        return known if known != "generic" else recognise_provider(self.said_issuer, self.shape.claims).name

    @cached_property
    def kind(self) -> str:
        """What kind of token it looks like."""
        return kind_of_token(self.shape).name

    @property
    def said_issuer(self) -> str:
        """The issuer that the token names; empty where it names none."""
        return self.shape.issuer

    @property
    def own_issuer(self) -> str:
        """The configured issuer; empty with static keys alone."""
        return self.issuer.issuer_url or ""

    @cached_property
    def client(self) -> str | None:
        """The client that the token was made for."""
        return read_string(self.shape.claims, _CLIENT_CLAIMS)

    @cached_property
    def audience(self) -> tuple[str, ...]:
        """Whom the token is for."""
        return read_audience(self.shape.claims)

    def concerns(self, *claims: str) -> bool:
        """Whether the refusal is about one of ``claims``."""
        return isinstance(self.error, ClaimError) and self.error.claim in claims

    def words(self) -> Mapping[str, str]:
        """What stands for the placeholders of a row's text, made harmless."""
        return {
            "client": shown(self.client or "your client"),
            "audience": listed(sorted(self.issuer.policy.audiences or ())) or "the name of this API",
            "said_audience": listed(self.audience) or "nobody",
            "issuer": shown(self.own_issuer),
            "said_issuer": shown(self.said_issuer or "nobody"),
            "alg": shown(self.shape.header.get("alg", "none")),
            "kid": shown(self.shape.header.get("kid", "none")),
            "tenant": shown(self.shape.claims.get("tid", "TENANT")),
            "algorithms": listed(sorted(self.issuer.policy.algorithms)),
        }


class Row(NamedTuple):
    """One piece of advice: its stable name, when it applies, and what to change (with the words of `Case.words`)."""

    name: str
    applies: Callable[[Case], bool]
    text: str
    provider: str | None = None
    """Whose tokens alone it is about (`Case.provider`); None: anybody's."""

    def fits(self, case: Case) -> bool:
        """Whether this is the advice for ``case``."""
        return self.provider in (None, case.provider) and self.applies(case)
