"""The rows: each provider's claim paths in priority order, its token kinds, and what else must be known of it.

Where a claim is not in a provider's tokens unless the customer adds it, its usual name stands here all the same.
Header types are those of `LEGACY_HEADER_TYPES` wherever ``at+jwt`` would only say more clearly what the token is.
"""

from __future__ import annotations

from oidcbridge.core.mapping import ClaimMapping
from oidcbridge.core.policy import KindMarker, TokenRules
from oidcbridge.profiles.machines import (
    auth0_machine,
    cognito_machine,
    entra_machine,
    google_machine,
    keycloak_hint,
    keycloak_machine,
    okta_machine,
    pingone_machine,
)
from oidcbridge.profiles.profile import IssuerTemplate, Profile, Unfit

_JWT = frozenset({"jwt"})
_NAME = ("name", "preferred_username")
_GUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_AUTH0_HOSTS = r"https://[^/]+\.auth0\.com"
_OKTA_HOSTS = r"https://[^/]+\.(okta|oktapreview|okta-emea)\.com"
_ZITADEL_HOSTS = r"https://[^/]+\.zitadel\.cloud"
_PINGONE_HOSTS = r"https://auth\.pingone\.[a-z.]+"
_ENTRA_HOSTS = r"https://(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn)"
_ENTRA_V1_HOSTS = r"https://sts\.(windows\.net|chinacloudapi\.cn)"

KEYCLOAK = Profile(
    name="keycloak",
    issuer_pattern=r"https?://.+/realms/[^/?#]+",
    endpoints={
        "authorization_endpoint": ".+/protocol/openid-connect/auth",
        "token_endpoint": ".+/protocol/openid-connect/token",
        "jwks_uri": ".+/protocol/openid-connect/certs",
    },
    rules=TokenRules(
        marker=KindMarker("typ", frozenset({"Bearer", "DPoP"})),
        client_id_claims=("azp", "client_id"),
        hint=keycloak_hint,
    ),
    mapping=ClaimMapping(
        session_id=("sid", "session_state"),
        scopes=("scope",),
        roles=("realm_access.roles", "resource_access.{client}.roles"),
        permissions=("authorization.permissions[rsname#scopes]", "permissions"),
        tenant=("organization",),
        client_id=("azp", "client_id"),
        name=("name", "given_name+family_name", "preferred_username"),
        is_machine=keycloak_machine,
        hint=keycloak_hint,
    ),
    id_tokens="refused",
)
AUTH0 = Profile(
    name="auth0",
    issuer_pattern=f"{_AUTH0_HOSTS}/",
    origin_pattern=_AUTH0_HOSTS,
    endpoints={"mfa_challenge_endpoint": ".+/mfa/challenge", "token_endpoint": ".+/oauth/token"},
    rules=TokenRules(client_id_claims=("azp", "client_id")),
    mapping=ClaimMapping(
        session_id=(),
        scopes=("scope",),
        roles=(),  # only under a namespace of the customer's own: roles_claim="https://…/roles"
        groups=(),
        tenant=("org_id",),
        client_id=("azp", "client_id"),
        name=("name",),
        is_machine=auth0_machine,
    ),
    id_tokens="refused",
)
COGNITO = Profile(
    name="cognito",
    issuer_pattern=r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9-]+_[A-Za-z0-9]+",
    rules=TokenRules(
        marker=KindMarker("token_use", frozenset({"access"})), audience_required=False, client_id_claims=("client_id",)
    ),
    mapping=ClaimMapping(
        session_id=("origin_jti",),
        scopes=("scope",),
        roles=(),  # its groups may serve: roles_claim="cognito:groups"
        groups=("cognito:groups",),
        permissions=(),
        tenant=("custom:tenant",),
        client_id=("client_id",),
        name=("name", "username"),
        is_machine=cognito_machine,
    ),
    id_tokens="refused",
)
OKTA = Profile(
    name="okta",
    issuer_pattern=f"{_OKTA_HOSTS}(/oauth2/[^/]+|/)?",
    origin_pattern=_OKTA_HOSTS,
    endpoints={
        "authorization_endpoint": ".+/oauth2(/[^/]+)?/v1/authorize",
        "token_endpoint": ".+/oauth2(/[^/]+)?/v1/token",
        "jwks_uri": ".+/oauth2(/[^/]+)?/v1/keys",
    },
    rules=TokenRules(signs=(("cid",),), client_id_claims=("cid",)),
    mapping=ClaimMapping(
        user_id=("uid", "sub"),
        scopes=("scp",),
        tenant=(),
        client_id=("cid",),
        name=_NAME,
        is_machine=okta_machine,
    ),
    id_tokens="refused",
    unfit=(
        Unfit(
            "issuer_url",
            "https://[^/]+/?",
            "this is Okta's org authorization server, whose access tokens Okta alone may read: write a custom one,"
            ' issuer_url="https://YOUR-DOMAIN/oauth2/default" with audience="api://default" (Security > API >'
            " Authorization Servers)",
        ),
    ),
)
# An API has two names, and both are matched to the letter: tokens of version 2.0 carry its client id, those of 1.0 its
# Application ID URI. For either: audience=["CLIENT-ID", "api://CLIENT-ID"], the URI with a slash where it ends in one.
ENTRA = Profile(
    name="entra",
    issuer_pattern=rf"{_ENTRA_HOSTS}/[^/]+/v2\.0|{_ENTRA_V1_HOSTS}/[^/]+/|https://[^/]+\.ciamlogin\.com/[^/]+/v2\.0",
    origin_pattern=f"{_ENTRA_HOSTS}|{_ENTRA_V1_HOSTS}",
    rules=TokenRules(
        signs=(("scp",), ("roles", "azp"), ("roles", "appid"), ("idtyp", "azp"), ("idtyp", "appid")),
        refuses_header_nonce=True,
        client_id_claims=("azp", "appid"),
        keys_name_issuers=True,
    ),
    mapping=ClaimMapping(
        user_id=("oid", "sub"),
        scopes=("scp",),
        permissions=(),
        machine_permissions=("roles",),
        tenant=("tid",),
        client_id=("azp", "appid"),
        name=("name", "preferred_username", "unique_name"),
        email=("email", "verified_primary_email"),
        is_machine=entra_machine,
    ),
    id_tokens="refused",
    template=IssuerTemplate(
        rf"(?={_ENTRA_HOSTS}/[^/]+/v2\.0$|{_ENTRA_V1_HOSTS}/[^/]+/$)https://[^/]+/(?P<tenant>common|organizations)/.*",
        _GUID,
        "tid",
    ),
    unfit=(
        Unfit(
            "audience",
            "00000003-0000-0000-c000-000000000000|https://graph.microsoft.com/?",
            "tokens for Microsoft Graph can be verified by nobody else: the client has to ask for a scope of your own"
            " API (App registrations > your API > Expose an API), and audience= is that API's client id",
        ),
    ),
)
GOOGLE = Profile(
    name="google",
    issuer_pattern=r"https://accounts\.google\.com",
    rules=TokenRules(header_types=_JWT, id_tokens_only=True, client_id_claims=("azp", "aud")),
    mapping=ClaimMapping(
        session_id=(),
        scopes=(),
        roles=(),
        groups=(),
        permissions=(),
        tenant=("hd",),
        client_id=("azp", "aud"),
        name=("name",),
        is_machine=google_machine,
    ),
    id_tokens="needed",
    issuer_spellings=("accounts.google.com",),
)
ZITADEL = Profile(
    name="zitadel",
    issuer_pattern=_ZITADEL_HOSTS,
    origin_pattern=_ZITADEL_HOSTS,
    endpoints={
        "authorization_endpoint": ".+/oauth/v2/authorize",
        "token_endpoint": ".+/oauth/v2/token",
        "jwks_uri": ".+/oauth/v2/keys",
    },
    rules=TokenRules(
        foreign_claims=("nonce", "at_hash", "c_hash", "events", "amr", "auth_time"),
        signs=(("jti",),),
        client_id_claims=("client_id", "azp"),
    ),
    mapping=ClaimMapping(
        scopes=("scope",),
        # The second names those of the project that asked; it is there beside the first, and alone in older versions.
        roles=("urn:zitadel:iam:org:project:{client}:roles", "urn:zitadel:iam:org:project:roles"),
        permissions=(),
        tenant=("urn:zitadel:iam:user:resourceowner:id",),
        client_id=("client_id", "azp"),
        name=_NAME,
    ),
    id_tokens="refused",
)
AUTHENTIK = Profile(
    name="authentik",
    issuer_pattern="https?://.+/application/o/[^/]+/",
    endpoints={
        "authorization_endpoint": ".+/application/o/authorize/",
        "token_endpoint": ".+/application/o/token/",
        "jwks_uri": ".+/application/o/[^/]+/jwks/",
    },
    rules=TokenRules(marker=KindMarker("uid"), client_id_claims=("azp", "aud")),
    mapping=ClaimMapping(
        scopes=("scope",),
        roles=("roles", "entitlements"),
        permissions=(),
        tenant=(),
        client_id=("azp", "aud"),
        name=_NAME,
    ),
    id_tokens="refused",
)
DEX = Profile(
    name="dex",
    issuer_pattern="https?://[^/]+/dex",
    endpoints={
        "authorization_endpoint": ".+/auth",
        "token_endpoint": ".+/token",
        "jwks_uri": ".+/keys",
        "userinfo_endpoint": ".+/userinfo",
        "device_authorization_endpoint": ".+/device/code",
    },
    rules=TokenRules(header_types=_JWT, id_tokens_only=True, client_id_claims=("azp", "aud")),
    mapping=ClaimMapping(
        scopes=(),
        roles=(),
        permissions=(),
        tenant=("federated_claims.connector_id",),
        client_id=("azp", "aud"),
        name=_NAME,
    ),
    id_tokens="needed",
)
HYDRA = Profile(
    name="hydra",
    endpoints={
        "authorization_endpoint": ".+/oauth2/auth",
        "token_endpoint": ".+/oauth2/token",
        "jwks_uri": r".+/\.well-known/jwks\.json",
    },
    rules=TokenRules(signs=(("client_id",),), client_id_claims=("client_id",)),
    mapping=ClaimMapping(
        scopes=("scp", "scope"),
        roles=("ext.roles", "roles"),
        groups=("ext.groups", "groups"),
        permissions=(),
        tenant=(),
        client_id=("client_id",),
        name=("ext.name", "name"),
        email=("ext.email", "email"),
    ),
    id_tokens="refused",
)
PINGONE = Profile(
    name="pingone",
    issuer_pattern=f"{_PINGONE_HOSTS}/[^/]+/as",
    origin_pattern=_PINGONE_HOSTS,
    endpoints={
        "authorization_endpoint": ".+/as/authorize",
        "token_endpoint": ".+/as/token",
        "jwks_uri": ".+/as/jwks",
        "end_session_endpoint": ".+/as/signoff",
    },
    rules=TokenRules(signs=(("client_id",),), client_id_claims=("client_id",)),
    mapping=ClaimMapping(
        user_id=("sub", "p1.userId"),
        scopes=("scope",),
        permissions=(),
        tenant=("env", "org"),
        client_id=("client_id",),
        is_machine=pingone_machine,
    ),
    id_tokens="refused",
)
GENERIC = Profile(name="generic")

ROWS = (KEYCLOAK, AUTH0, COGNITO, OKTA, ENTRA, GOOGLE, ZITADEL, AUTHENTIK, DEX, HYDRA, PINGONE, GENERIC)
