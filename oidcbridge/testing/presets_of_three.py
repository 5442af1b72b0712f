"""The tokens of Keycloak 26, Auth0 (its default profile) and Amazon Cognito, from a draft to all of header and claims.

What a provider's tokens have only where its administrator adds it is here where the documentation shows it; rights are
those that a test asks for as ``scope``, and roles no more than everybody's.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from oidcbridge.testing.presets_shape import Members, Shape
from oidcbridge.testing.tokens import OMIT, TokenDraft, TokenKind

_PAGE: Final = "https://ui.example.com"
_AUTH0_NAMESPACE: Final = "https://acme.example"
_AUTH0_ORGANIZATION: Final = "org_9ybsU1dN2dKfDkBi"


def _keycloak(shape: Shape) -> tuple[Members, Members]:
    draft = shape.draft
    if shape.kind == "id":
        own = {"typ": "ID", "jti": str(uuid.uuid4()), **shape.login}
        return shape.whole({**own, **_keycloak_login(shape)})
    claims: dict[str, object] = {"typ": "Bearer", "azp": draft.client_id, **shape.scope}
    if shape.is_machine:
        service = str(
            uuid.uuid5(uuid.NAMESPACE_URL, draft.client_id)
        )  # the service account's user has an id of its own
        address = {"clientHost": "172.18.0.1", "clientAddress": "172.18.0.1", "client_id": draft.client_id}
        claims |= {"sub": service, "jti": f"trrtcc:{uuid.uuid4()}", "email_verified": False, **address}
        return shape.whole({**claims, "preferred_username": f"service-account-{draft.client_id}"})
    realm = draft.issuer.rstrip("/").rpartition("/")[2]
    claims |= {"jti": f"onrtac:{uuid.uuid4()}", "aud": [*shape.audiences, "account"], "allowed-origins": [_PAGE]}
    claims |= {"realm_access": {"roles": [f"default-roles-{realm}", "offline_access"]}}
    claims |= {"resource_access": {"account": {"roles": ["view-profile"]}}}
    return shape.whole({**claims, **_keycloak_login(shape)})


def _keycloak_login(shape: Shape) -> dict[str, object]:
    """Who has logged in, and how: in access and ID token alike."""
    name = shape.person["name"]
    login = {"azp": shape.draft.client_id, "sid": _nanoid(24), "acr": "1", "auth_time": shape.draft.issued_at}
    names = {"given_name": name, "family_name": "Example", "email_verified": True}
    organization: dict[str, object] = {"organization": {"acme": {}}} if "organization" in shape.scopes else {}
    return {**login, **shape.person, **names, **organization}


def other_keycloak_claims(kind: TokenKind, draft: TokenDraft) -> Members:
    """What its refresh and logout tokens have that plain ones have not, and the other way round."""
    if kind == "logout":
        return {"typ": "Logout"}
    return {"typ": "Refresh", "azp": draft.client_id, "client_id": OMIT, "sid": _nanoid(24)}


def _auth0(shape: Shape) -> tuple[Members, Members]:
    draft, person = shape.draft, shape.person
    if shape.kind == "id":
        about = {"name": person["name"], "email": person["email"], "email_verified": True, "nickname": draft.sub}
        shown = {"picture": "https://example.com/picture.png", "updated_at": "2026-11-21T08:00:00.000Z"}
        login = {"sid": _nanoid(32), "nonce": shape.login["nonce"], "org_id": _AUTH0_ORGANIZATION}
        return shape.whole({**about, **shown, **login})
    claims: dict[str, object] = {"azp": draft.client_id, **shape.scope}
    if shape.is_machine:
        return shape.whole({**claims, "sub": f"{draft.client_id}@clients", "gty": "client-credentials"})
    claims |= {"aud": [*shape.audiences, f"{draft.issuer}userinfo"], "org_id": _AUTH0_ORGANIZATION}
    claims |= {"permissions": [scope for scope in shape.scopes if ":" in scope]}  # those of the API, by its RBAC
    added = {"roles": ["analyst"], "email": person["email"]}
    return shape.whole({**claims, **{f"{_AUTH0_NAMESPACE}/{name}": value for name, value in added.items()}})


def _cognito(shape: Shape) -> tuple[Members, Members]:
    draft, person = shape.draft, shape.person
    claims: dict[str, object] = {"token_use": shape.kind, "auth_time": draft.issued_at, "jti": str(uuid.uuid4())}
    if not shape.is_machine:
        claims |= {"origin_jti": str(uuid.uuid4()), "event_id": str(uuid.uuid4()), "cognito:groups": ["staff"]}
    if shape.kind == "id":
        about = {"name": person["name"], "email": person["email"], "email_verified": True, "custom:tenant": "acme"}
        claims |= {**about, "cognito:username": draft.sub, "at_hash": shape.login["at_hash"]}
        return shape.whole(claims, typ=False)
    claims |= {"aud": OMIT, "client_id": draft.client_id, "version": 2, **shape.scope}
    return shape.whole(claims if shape.is_machine else {**claims, "username": draft.sub}, typ=False)


def _nanoid(length: int) -> str:
    return secrets.token_urlsafe(length)[:length]


#: Provider -> its tokens.
THREE: Final[Mapping[str, Callable[[Shape], tuple[Members, Members]]]] = {
    "keycloak": _keycloak,
    "auth0": _auth0,
    "cognito": _cognito,
}
