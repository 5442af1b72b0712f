"""Advice: from a refusal, its token and the settings to the setting or the console step that mends it.

The rows are data, in two tables: those of one provider, which come first, and those for all. The first that applies is
the advice; a refusal that no row knows has its error's own words.
"""

from __future__ import annotations

from collections.abc import Sequence

from oidcbridge.diagnosis.advice_for_all import CLIENT_AS_AUDIENCE
from oidcbridge.diagnosis.advice_for_all import ROWS as FOR_ALL
from oidcbridge.diagnosis.advice_for_providers import ROWS as FOR_PROVIDERS
from oidcbridge.diagnosis.case import Case
from oidcbridge.diagnosis.recognition import TokenShape, read_shape
from oidcbridge.diagnosis.words import Advice
from oidcbridge.errors import MalformedTokenError, OIDCBridgeError, TokenError, UnknownIssuerError
from oidcbridge.settings import IssuerSettings

ROWS = (CLIENT_AS_AUDIENCE, *FOR_PROVIDERS, *FOR_ALL)
_MOST_ISSUERS = 16  # are looked at for a token that names none of them: a verifier may have a thousand tenants


def advise(error: OIDCBridgeError, token: str, issuer: IssuerSettings) -> Advice | None:
    """What to change so that ``issuer`` takes a token like this one; None where nobody knows more than ``error`` says.

    Pure, and for the operator's eyes: the text may name claims (issuer, audience, client), never the token.
    """
    found = _find(error, read_shape(token), [issuer])
    return found[0] if found else None


def advise_among(
    error: OIDCBridgeError, token: str, issuers: Sequence[IssuerSettings]
) -> tuple[Advice, IssuerSettings] | None:
    """The same for a verifier of several ``issuers``, with the one that it is about."""
    shape = read_shape(token)
    named = [issuer for issuer in issuers if issuer.issuer_url is None or shape.issuer in issuer.names]
    if not named and isinstance(error, MalformedTokenError | UnknownIssuerError):
        return _find(error, shape, issuers[:_MOST_ISSUERS])  # each may have been meant
    # Where none is named, and a fault was found by somebody's settings all the same: those of a tenant let in by a
    # rule, who has no place here before its first good token.
    return _find(error, shape, named)


def _find(
    error: OIDCBridgeError, shape: TokenShape, issuers: Sequence[IssuerSettings]
) -> tuple[Advice, IssuerSettings] | None:
    if not isinstance(error, TokenError):
        return None
    cases = [Case(error, shape, issuer) for issuer in issuers]
    for row in ROWS:
        for case in cases:
            if row.fits(case):
                return Advice(row.name, row.text.format_map(case.words())), case.issuer
    return None
