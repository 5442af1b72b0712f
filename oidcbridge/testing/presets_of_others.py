"""The tokens of providers that nobody can run for a test, in the shapes that their documentation and source give.

Each function goes from a draft to the whole header and claims of one provider, for users and machines, access and ID
tokens. Google and Dex have no access tokens that are not ID tokens; theirs are those.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from oidcbridge.testing.presets_shape import Members, Shape
from oidcbridge.testing.tokens import OMIT, TokenDraft

_TENANT: Final = "72f988bf-86f1-41af-91ab-2d7cd011db47"
_ORGANIZATION: Final = "165617389845094785"
_PROJECT_ROLES: Final = "urn:zitadel:iam:org:project"
_OWNER: Final = "urn:zitadel:iam:user:resourceowner"


def _random(prefix: str = "") -> str:
    return prefix + secrets.token_urlsafe(16)


def _okta(shape: Shape) -> tuple[Members, Members]:
    draft, person = shape.draft, shape.person
    claims: dict[str, object] = {"ver": 1}
    if shape.kind == "id":
        login = {"amr": ["pwd"], "idp": "00o1", "auth_time": draft.issued_at, "at_hash": shape.login["at_hash"]}
        claims |= {**person, **login, "jti": _random("ID.")}
    else:
        claims |= {"jti": _random("AT."), "cid": draft.client_id, "scp": shape.scopes}
        if not shape.is_machine:  # the subject is the name of the login; the user's lasting id is beside it
            claims |= {"uid": draft.sub, "sub": person["email"], "auth_time": draft.issued_at, "groups": ["Everyone"]}
    return shape.whole(claims, typ=False)


def _entra(shape: Shape) -> tuple[Members, Members]:
    draft = shape.draft
    found = re.search("/([0-9a-f-]{36})/", draft.issuer)
    claims: dict[str, object] = {"nbf": draft.issued_at, "tid": found[1] if found else _TENANT, "ver": "2.0"}
    claims |= {"uti": _random(), "oid": draft.sub, "sub": _pairwise(draft)}
    if shape.kind == "id":
        claims["sid"] = str(uuid.uuid4())
    elif shape.is_machine:
        service = str(uuid.uuid5(uuid.NAMESPACE_URL, draft.client_id))  # the service principal's own id
        claims |= {"oid": service, "sub": service, "azpacr": "1", "idtyp": "app", "roles": shape.scopes}
    else:
        claims |= {"azpacr": "0", "scp": draft.scope or "", "roles": ["Analyst"], "aio": _random(), "rh": _random()}
    if shape.kind != "id":
        claims["azp"] = draft.client_id
    if not shape.is_machine:
        claims |= {name: shape.person[name] for name in ("name", "preferred_username")}
    return shape.whole(claims)


def _pairwise(draft: TokenDraft) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{draft.client_id} {draft.sub}").hex


def _google(shape: Shape) -> tuple[Members, Members]:
    if shape.is_machine:
        return shape.whole({"email": f"{shape.draft.sub}@acme-project.iam.gserviceaccount.com"})
    person = {"name": shape.person["name"], "email": shape.person["email"], "email_verified": True}
    names = {"given_name": shape.person["name"], "family_name": "Example", "picture": "https://example.com/picture.png"}
    return shape.whole({**person, **names, **shape.login, "azp": shape.audiences[0]})


def _zitadel(shape: Shape) -> tuple[Members, Members]:
    draft, project = shape.draft, shape.audiences[-1]
    who: dict[str, object] = {"client_id": draft.client_id, "aud": list(dict.fromkeys([draft.client_id, project]))}
    if shape.kind == "id":
        login = {"acr": "urn:zitadel:iam:acr:pwd", "amr": ["pwd"], "auth_time": draft.issued_at, "sid": _random("V1_")}
        return shape.whole({**who, **login, **shape.login, **shape.person, "azp": draft.client_id}, typ=False)
    roles = {"analyst": {_ORGANIZATION: "acme.example.com"}}
    owner = {"id": _ORGANIZATION, "name": "Acme", "primary_domain": "acme.example.com"}
    asserted: dict[str, object] = {f"{_PROJECT_ROLES}:roles": roles, f"{_PROJECT_ROLES}:{project}:roles": roles}
    asserted |= {f"{_OWNER}:{name}": value for name, value in owner.items()}
    return shape.whole({**who, **asserted, "nbf": draft.issued_at, "jti": _random()}, typ=False)


def _authentik(shape: Shape) -> tuple[Members, Members]:
    claims = {**shape.person, "groups": ["staff"], "sid": secrets.token_hex(32), "nonce": shape.login["nonce"]}
    if shape.kind != "id":
        claims |= {"azp": shape.audiences[0], "uid": _random()}
    return shape.whole(claims)


def _dex(shape: Shape) -> tuple[Members, Members]:
    claims = {**shape.person, **shape.login, "email_verified": True, "groups": ["acme:staff"], "jti": str(uuid.uuid4())}
    claims |= {"auth_time": shape.draft.issued_at, "sid": str(uuid.uuid4())}
    claims["federated_claims"] = {"connector_id": "github", "user_id": shape.draft.sub}
    return shape.whole(claims, typ=False)


def _hydra(shape: Shape) -> tuple[Members, Members]:
    draft = shape.draft
    if shape.kind == "id":
        login = {"rat": draft.issued_at, "sid": str(uuid.uuid4()), "at_hash": shape.login["at_hash"]}
        return shape.whole({**login, "aud": shape.audiences})
    claims = {"aud": shape.audiences, "nbf": draft.issued_at, "jti": str(uuid.uuid4()), "client_id": draft.client_id}
    claims["scp"] = shape.scopes
    if not shape.is_machine:
        person = {name: shape.person[name] for name in ("name", "email")}
        claims["ext"] = {**person, "roles": ["analyst"], "groups": ["staff"]}
    return shape.whole(claims)


def _pingone(shape: Shape) -> tuple[Members, Members]:
    draft = shape.draft
    if shape.kind == "id":
        return shape.whole({"sid": str(uuid.uuid4())}, typ=False)
    environment = draft.issuer.rstrip("/").split("/")[-2]
    claims: dict[str, object] = {"client_id": draft.client_id, "jti": str(uuid.uuid4()), "aud": shape.audiences}
    claims |= {"env": environment, "org": _TENANT, "p1.rid": str(uuid.uuid4())}
    claims |= shape.scope
    if shape.is_machine:
        claims["sub"] = OMIT
    else:
        claims |= {"acr": "Single_Factor", "auth_time": draft.issued_at, "p1.userId": draft.sub}
    return shape.whole(claims, typ=False)


#: Provider -> its tokens.
OTHERS: Final[Mapping[str, Callable[[Shape], tuple[Members, Members]]]] = {
    "okta": _okta,
    "entra": _entra,
    "google": _google,
    "zitadel": _zitadel,
    "authentik": _authentik,
    "dex": _dex,
    "hydra": _hydra,
    "pingone": _pingone,
}
