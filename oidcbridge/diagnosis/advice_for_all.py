"""Advice for every provider: what a token that was refused says about the settings, the client or the clock."""

from __future__ import annotations

from urllib.parse import urlsplit

from oidcbridge.diagnosis.case import Case, Row
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    BadSignatureError,
    ExpiredTokenError,
    IssuerMismatchError,
    KeyNotFoundError,
    MalformedTokenError,
    MissingClaimError,
    NotYetValidError,
    TokenTypeError,
    UnknownIssuerError,
)


def _is_malformed(case: Case, kind: str) -> bool:
    return isinstance(case.error, MalformedTokenError) and case.kind == kind


def _is_refused_as(case: Case, kind: str) -> bool:
    return isinstance(case.error, TokenTypeError | AlgorithmNotAllowedError | AudienceMismatchError) and (
        case.kind == kind
    )


def _is_hmac(case: Case) -> bool:
    return isinstance(case.error, AlgorithmNotAllowedError) and str(case.shape.header.get("alg")).startswith("HS")


def _has_other_issuer(case: Case) -> bool:
    is_refused = isinstance(case.error, IssuerMismatchError | UnknownIssuerError)
    return is_refused and bool(case.said_issuer and case.own_issuer)


def _differs_by_a_slash(case: Case) -> bool:
    return _has_other_issuer(case) and case.said_issuer.rstrip("/") == case.own_issuer.rstrip("/")


def _differs_by_host(case: Case) -> bool:
    try:
        said, own = urlsplit(case.said_issuer), urlsplit(case.own_issuer)
    except ValueError:
        return False
    return _has_other_issuer(case) and said.path == own.path and len(own.path) > 1


def _takes_client_for_audience(case: Case) -> bool:
    return case.concerns("aud") and case.client in (case.issuer.policy.audiences or ())


def _is_of_other_client(case: Case) -> bool:
    return isinstance(case.error, AudienceMismatchError) and not case.concerns("aud")


#: Comes before what a provider's console could do about 'aud': with a client's id for a name, nothing there helps.
CLIENT_AS_AUDIENCE = Row(
    "client_as_audience",
    _takes_client_for_audience,
    "{client} is the client that asked for the token, not this API: write it into"
    ' client_ids=["{client}"] (OIDCBRIDGE_CLIENT_IDS), and into audience= the name of the API (the token is for'
    " {said_audience})",
)
ROWS: tuple[Row, ...] = (
    Row(
        "encrypted_token",
        lambda case: _is_malformed(case, "encrypted token"),
        "only its addressee can read an encrypted token: turn access token encryption off for this API at the provider,"
        " so that it signs them; with Auth0 also send audience={audience} with the authorization request",
    ),
    Row(
        "opaque_token",
        lambda case: _is_malformed(case, "opaque token"),
        "only its provider can read an opaque token: ask for signed ones. Auth0: send audience= with the authorization"
        " request; Zitadel: the app's Token Settings > Auth Token Type = JWT; Hydra: strategies.access_token: jwt;"
        " Google's access tokens are always opaque",
    ),
    Row(
        "refresh_token",
        lambda case: _is_refused_as(case, "refresh token"),
        "this is a refresh token, which is for the provider alone: send the access_token of the same answer",
    ),
    Row(
        "id_token",
        lambda case: _is_refused_as(case, "ID token"),
        "this is an ID token, which tells an app who logged in: send the access_token of the same answer",
    ),
    Row(
        "logout_token",
        lambda case: _is_refused_as(case, "logout token"),
        "this is a logout token, which a provider sends by itself: send an access token",
    ),
    Row(
        "shared_secret",
        _is_hmac,
        "{alg} signs with a shared secret, which this service must not know: choose RS256 or ES256 for the client at"
        " the provider (authentik: the provider's Signing Key); for tokens of your own write verification_keys= and"
        ' algorithm="{alg}"',
    ),
    Row(
        "algorithm_not_listed",
        lambda case: isinstance(case.error, AlgorithmNotAllowedError),
        "the token is signed by {alg}, and algorithms= allows {algorithms}: change that setting"
        " (OIDCBRIDGE_ALGORITHMS), or the client's signature algorithm at the provider",
    ),
    Row(
        "issuer_slash",
        _differs_by_a_slash,
        'the slash at the end counts: write issuer_url="{said_issuer}" (OIDCBRIDGE_ISSUER_URL)',
    ),
    Row(
        "issuer_host",
        _differs_by_host,
        # Anybody can write this token: whether that host is theirs too is for the reader to say.
        "the same path at another host: tokens name the address that people log in at. Only if that host is your"
        ' provider too, write issuer_url="{said_issuer}", and discovery_url= (OIDCBRIDGE_DISCOVERY_URL) where this'
        " service reaches it by another name; or give the provider one fixed host name (Keycloak: hostname)",
    ),
    Row(
        "other_issuer",
        _has_other_issuer,
        'the token comes from {said_issuer}: if that is your provider, write issuer_url="{said_issuer}"'
        " (OIDCBRIDGE_ISSUER_URL); otherwise the client logs in somewhere else",
    ),
    Row(
        "other_client",
        _is_of_other_client,
        'the token was made for the client {client}: add it to client_ids=["{client}"] (OIDCBRIDGE_CLIENT_IDS) if its'
        " users may come in",
    ),
    Row(
        "other_audience",
        lambda case: case.concerns("aud"),
        "the token is for {said_audience}: have the client ask for this API at the provider, or, if that is its name"
        " there, write it as audience= (OIDCBRIDGE_AUDIENCE)",
    ),
    Row(
        "sender_constrained",
        lambda case: case.concerns("cnf"),
        "the token is bound to the client's own key (DPoP or mutual TLS), which is not supported here: turn that off"
        " for the client at the provider (Keycloak: Clients > {client} > Advanced > Require DPoP bound tokens)",
    ),
    Row(
        "at_jwt_required",
        lambda case: isinstance(case.error, TokenTypeError) and case.issuer.policy.token_type is not None,
        'token_type="at+jwt" insists on RFC 9068: turn on Keycloak\'s Clients > {client} > Advanced > \'Use "at+jwt" as'
        " access token header type' or Auth0's token profile RFC 9068, or leave token_type out",
    ),
    Row(
        "expired",
        lambda case: isinstance(case.error, ExpiredTokenError),
        "get a new token; where even new ones are refused, compare the clocks of this machine and of the provider",
    ),
    Row(
        "clock",
        lambda case: isinstance(case.error, NotYetValidError),
        "set this machine's clock (NTP), or the provider's; leeway= (OIDCBRIDGE_LEEWAY) bridges at most 300 seconds",
    ),
    Row(
        "other_keys",
        lambda case: isinstance(case.error, KeyNotFoundError),
        "the issuer publishes no key named {kid}: the token comes from another environment or realm of the same name,"
        " or its key was withdrawn; get a new token, and compare its issuer with {issuer}",
    ),
    Row(
        "bad_signature",
        lambda case: isinstance(case.error, BadSignatureError),
        "the token was changed on its way, or another environment signs with other keys under the same name: get a new"
        " one from {issuer}",
    ),
    Row(
        "user_id",
        lambda case: isinstance(case.error, MissingClaimError) and case.concerns(*case.issuer.mapping.user_id),
        "no claim names the user: have the provider put 'sub' into access tokens, or write user_id_claim="
        " (OIDCBRIDGE_USER_ID_CLAIM) with the claim that does",
    ),
    Row(
        "other_tenant",
        lambda case: case.concerns(*case.issuer.mapping.tenant),
        "the token's tenant is not among tenants= (OIDCBRIDGE_TENANTS): add it if its users may come in",
    ),
)
