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
from oidcbridge.diagnosis.findings import Advice
from oidcbridge.diagnosis.recognition import read_shape
from oidcbridge.errors import OIDCBridgeError, TokenError
from oidcbridge.settings import IssuerSettings

ROWS = (CLIENT_AS_AUDIENCE, *FOR_PROVIDERS, *FOR_ALL)


def advise(error: OIDCBridgeError, token: str, issuers: Sequence[IssuerSettings]) -> Advice | None:
    """What to change so that a token like this one passes; None where nobody knows more than ``error`` says.

    Pure, and for the operator's eyes: the text may name claims (issuer, audience, client), never the token. Of several
    ``issuers`` the one that the token names is meant, or else the first.
    """
    if not isinstance(error, TokenError) or not issuers:
        return None
    shape = read_shape(token)
    named = next((one for one in issuers if one.issuer_url == shape.issuer), issuers[0])
    case = Case(error, shape, named)
    row = next((row for row in ROWS if row.applies(case)), None)
    return Advice(row.name, row.text.format_map(case.words())) if row else None
