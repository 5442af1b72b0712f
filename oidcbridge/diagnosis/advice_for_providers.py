"""Advice that names a provider's own console step. One row for each mistake that people make with that provider.

A row without a ``provider`` goes by the token or the two issuers alone: they say whose it is, whatever is configured.
"""

from __future__ import annotations

import re

from oidcbridge.diagnosis.case import Case, Row
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    IssuerMismatchError,
    MalformedTokenError,
    MissingClaimError,
    TokenTypeError,
    UnknownIssuerError,
)

#: Microsoft Graph as an audience: its application id, and its address with and without a slash.
_GRAPH = ("00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/")


def _is_lightweight(case: Case) -> bool:
    """Keycloak 26.2 and later: two letters of the session, two of the token, two of the grant (``onltac:``)."""
    jti = case.shape.claims.get("jti")
    return isinstance(jti, str) and bool(re.match("[a-z]{2}lt[a-z]{2}:", jti))


def _misses_what_mappers_add(case: Case) -> bool:
    return _is_lightweight(case) and case.concerns("aud", "sub")


def _concerns_audience(case: Case) -> bool:
    return case.concerns("aud")


def _misses_audience(case: Case) -> bool:
    return case.concerns("aud") and case.kind == "access token"


def _misses_subject(case: Case) -> bool:
    return isinstance(case.error, MissingClaimError) and case.concerns("sub")


def _signs_by_secret(case: Case) -> bool:
    alg = str(case.shape.header.get("alg", ""))
    is_refused = isinstance(case.error, AlgorithmNotAllowedError) and alg.startswith("HS")
    return is_refused and case.kind != "refresh token"


def _is_okta_org_token(case: Case) -> bool:
    typ = str(case.shape.header.get("typ", ""))
    return typ.lower().removeprefix("application/") == "okta-internal-at+jwt"


def _is_graph_token(case: Case) -> bool:
    return "nonce" in case.shape.header or not set(_GRAPH).isdisjoint(case.audience)


def _says_other_issuer(case: Case, own: str, said: str) -> bool:
    is_refused = isinstance(case.error, IssuerMismatchError | UnknownIssuerError)
    return is_refused and case.own_issuer.startswith(own) and case.said_issuer.startswith(said)


_ENTRA_V1, _ENTRA_V2 = "https://sts.windows.net/", "https://login.microsoftonline.com/"


def _is_encrypted_or_opaque(case: Case) -> bool:
    return isinstance(case.error, MalformedTokenError) and case.kind in ("encrypted token", "opaque token")


def _is_id_token_of_cognito(case: Case) -> bool:
    return isinstance(case.error, TokenTypeError) and case.shape.claims.get("token_use") == "id"


ROWS: tuple[Row, ...] = (
    Row(
        provider="keycloak",
        name="keycloak_lightweight",
        applies=_misses_what_mappers_add,
        text=(
            "this is a lightweight access token, which leaves claims out: in Keycloak turn on 'Add to lightweight"
            " access token' (lightweight.claim) in the mappers of 'sub', of the audience and of every claim you read,"
            " or turn off Clients > {client} > Advanced > 'Always use lightweight access token'"
        ),
    ),
    Row(
        provider="keycloak",
        name="keycloak_audience_mapper",
        applies=_misses_audience,
        text=(
            "Keycloak names this API in 'aud' only where an audience mapper says so: Clients > {client} > Client scopes"
            " > {client}-dedicated > Add mapper > By configuration > Audience, with Included Custom Audience ="
            " {audience} and 'Add to access token' on"
        ),
    ),
    Row(
        provider="keycloak",
        name="keycloak_basic_scope",
        applies=_misses_subject,
        text=(
            "since Keycloak 25 the mapper of 'sub' lies in the client scope 'basic': Clients > {client} > Client scopes"
            " > Add client scope > basic, as Default"
        ),
    ),
    Row(
        provider="keycloak",
        name="keycloak_shared_secret",
        applies=_signs_by_secret,
        text=(
            "{alg} signs with the client's secret: set Clients > {client} > Advanced > Fine grain OpenID Connect"
            " configuration > Access token signature algorithm to RS256 (access.token.signed.response.alg)"
        ),
    ),
    Row(
        name="okta_org_server",
        applies=_is_okta_org_token,
        text=(
            "Okta's org authorization server makes tokens that Okta alone may read: use a custom one, Security > API >"
            ' Authorization Servers, and write its issuer, issuer_url="https://YOUR-DOMAIN/oauth2/default" with'
            ' audience="api://default"; the client has to ask that server too'
        ),
    ),
    Row(
        provider="entra",
        name="entra_graph_token",
        applies=_is_graph_token,
        text=(
            "this token is for Microsoft Graph, and nobody else can verify it: the client has to ask for a scope of"
            " your own API (App registrations > your API > Expose an API), scope=api://YOUR-API/access_as_user, and"
            " audience= is that API's client id"
        ),
    ),
    Row(
        name="entra_version_mix",
        applies=lambda case: _says_other_issuer(case, _ENTRA_V2, _ENTRA_V1),
        text=(
            "the token is of version 1.0 and issuer_url is that of 2.0: set api.requestedAccessTokenVersion to 2 in App"
            ' registrations > your API > Manifest, or write issuer_url="{said_issuer}"'
        ),
    ),
    Row(
        name="entra_version_mix",
        applies=lambda case: _says_other_issuer(case, _ENTRA_V1, _ENTRA_V2),
        text=(
            'the token is of version 2.0 and issuer_url is that of 1.0: write issuer_url="{said_issuer}"; in "aud" it'
            " names the API by its client id"
        ),
    ),
    Row(
        provider="auth0",
        name="auth0_no_audience",
        applies=_is_encrypted_or_opaque,
        text=(
            "Auth0 makes a token that only Auth0 can read where the login asked for no API: send audience={audience}"
            " with the authorization request, or set Settings > General > API Authorization Settings > Default"
            " Audience. If it did ask, turn token encryption off: Applications > APIs > {audience} > Settings"
        ),
    ),
    Row(
        provider="auth0",
        name="auth0_shared_secret",
        applies=_signs_by_secret,
        text=(
            "{alg} signs with a shared secret: set Applications > APIs > {audience} > Settings > Signing Algorithm to"
            " RS256"
        ),
    ),
    Row(
        provider="auth0",
        name="auth0_other_audience",
        applies=_concerns_audience,
        text=(
            "Auth0 puts the API that the login asked for into 'aud', here {said_audience}: send audience={audience}"
            " with the authorization request; the name has to be the API's Identifier under Applications > APIs"
        ),
    ),
    Row(
        name="cognito_id_token",
        applies=_is_id_token_of_cognito,
        text=(
            "token_use says 'id': send the access token (access_token, AccessToken) of Cognito's answer; the ID token"
            " is for the app that logged in"
        ),
    ),
    Row(
        provider="cognito",
        name="cognito_other_client",
        applies=lambda case: case.concerns("client_id"),
        text=(
            'the token was made for the app client {client}: add it to client_ids=["{client}"] (OIDCBRIDGE_CLIENT_IDS)'
            " if its users may come in"
        ),
    ),
    Row(
        provider="okta",
        name="okta_other_audience",
        applies=_concerns_audience,
        text=(
            "an Okta authorization server puts its own audience into 'aud', here {said_audience}: write that as"
            " audience=, or change it at Security > API > Authorization Servers > Settings > Audience"
        ),
    ),
    Row(
        provider="entra",
        name="entra_other_audience",
        applies=_concerns_audience,
        text=(
            "Entra names the API by its client id in tokens of version 2.0 and by its Application ID URI in 1.0, here"
            " {said_audience}: if that is your API (App registrations > Expose an API), write audience= so"
        ),
    ),
)
