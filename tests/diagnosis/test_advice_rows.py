"""The table of advice: whose tokens a row is about is a column, and the same fault is told to each in its own words."""

from __future__ import annotations

import pytest

from oidcbridge import Verifier
from oidcbridge.diagnosis.advice import ROWS, advise
from oidcbridge.errors import AlgorithmNotAllowedError, AudienceMismatchError, MissingClaimError, TokenError
from oidcbridge.profiles import PROFILES
from tests.cli.check_kit import token_of
from tests.diagnosis.mistakes import KEYCLOAK

_ISSUER = "https://id.example.com/oauth2/default"
_WRONG_AUDIENCE = AudienceMismatchError("for another API", claim="aud")
_NO_SUBJECT = MissingClaimError("no subject", claim="sub")
_BY_SECRET = AlgorithmNotAllowedError("HS256 is not allowed")


@pytest.mark.parametrize(
    ("provider", "error", "header", "advice"),
    [
        ("keycloak", _WRONG_AUDIENCE, {}, "keycloak_audience_mapper"),
        ("auth0", _WRONG_AUDIENCE, {}, "auth0_other_audience"),
        ("okta", _WRONG_AUDIENCE, {}, "okta_other_audience"),
        ("entra", _WRONG_AUDIENCE, {}, "entra_other_audience"),
        ("zitadel", _WRONG_AUDIENCE, {}, "other_audience"),
        ("keycloak", _NO_SUBJECT, {}, "keycloak_basic_scope"),
        ("okta", _NO_SUBJECT, {}, "user_id"),
        ("keycloak", _BY_SECRET, {"alg": "HS256"}, "keycloak_shared_secret"),
        ("auth0", _BY_SECRET, {"alg": "HS256"}, "auth0_shared_secret"),
        ("zitadel", _BY_SECRET, {"alg": "HS256"}, "shared_secret"),
    ],
)
def test_one_fault_is_told_to_each_provider_in_its_own_words(
    provider: str, error: TokenError, header: dict[str, object], advice: str
) -> None:
    token = token_of(KEYCLOAK, **header)  # the settings say whose it is, whatever it looks like
    (issuer,) = Verifier(issuer_url=_ISSUER, audience="api", provider=provider).issuer_settings
    found = advise(error, token, issuer)
    assert found is not None
    assert found.name == advice


def test_every_provider_of_a_row_is_one_that_there_is() -> None:
    named = {row.provider for row in ROWS if row.provider is not None}
    assert named == {"keycloak", "auth0", "cognito", "okta", "entra"}
    assert named <= PROFILES.keys()
