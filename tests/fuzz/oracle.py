"""What must hold of every answer: an error of ours that tells nothing, or a principal that the key vouches for.

A claim that stands in `must_be_right` is read anew here, by `json` and plain comparisons, not by the library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from oidcbridge import Principal
from oidcbridge.core.strict_json import thaw
from oidcbridge.errors import CredentialError, TokenError
from tests.attacks.forge import LEEWAY, Site, decode
from tests.fuzz.arena import MOMENT
from tests.fuzz.wrong import must

Claims = Mapping[str, Any]
LONG = 24  # characters of a token that nobody writes by chance
MAX_LINE = 1500
KEYCLOAK = ("typ", ("Bearer", "DPoP"))
MARKERS = {"keycloak": KEYCLOAK, "named": KEYCLOAK, "cognito": ("token_use", ("access",))}
FOREIGN = {"nonce", "at_hash", "c_hash", "events"}
CLIENTS = ("client_id", "azp", "cid", "appid")


def telling(token: str) -> list[str]:
    """The payload and signature, which are this token's own, where they are long enough to be known again."""
    return [part for part in token.split(".")[1:3] if len(part) >= LONG]


def must_tell_nothing(said: str, token: str, where: str) -> None:
    """No part of the token stands in ``said``."""
    must(not any(part in said for part in telling(token)), f"the token is in {where}: {said[:300]!a}")


def must_be_log_line(line: str) -> None:
    """What is logged is one line of ASCII, and not a long one (RFC 5424 section 6.4 would allow more)."""
    must(line.isascii() and line.isprintable() and len(line) <= MAX_LINE, f"no short line of ASCII: {line[:300]!a}")


def must_be_refusal(error: Exception, token: str) -> None:
    """An error that a request may end with, and what a traceback of it would show."""
    must(isinstance(error, TokenError | CredentialError), f"neither let in nor refused: {error!r}")
    for shown in _chain(error):
        must_tell_nothing(f"{shown} {shown!r}", token, f"a {type(shown).__name__}")
        must(str(shown).isascii() and len(str(shown)) <= MAX_LINE, f"no short text of ASCII: {str(shown)[:300]!a}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def must_be_right(principal: Principal, name: str, site: Site, token: str) -> None:
    """``principal`` is whom ``token`` names, which the issuer's key has signed, and this site accepts."""
    claims = json.loads(decode(token.split(".")[1]))
    must(thaw(principal.claims) == claims, "its claims are not the token's")
    for value in (principal.claims, principal.dependencies, principal.session_state):
        must(type(value) is MappingProxyType and is_read_only(value), "claims that can be written into")
    for names in (principal.scopes, principal.roles, principal.groups, principal.permissions):
        must(type(names) is tuple and all(type(one) is str and one for one in names), f"no names: {names!a}")
    json.dumps(principal.as_dict(), ensure_ascii=False, allow_nan=False).encode("utf-8")
    hash(principal)
    _must_be_in_time(claims, site.arguments.get("leeway", LEEWAY))
    must(principal.expires_at == claims["exp"], "it does not end when the token does")
    _must_be_for_us(claims, site)
    _must_be_access_token(claims, name)
    _must_be_somebody(principal, claims, name)


def is_read_only(value: object) -> bool:
    """Mapping proxies, tuples and plain values, all the way down."""
    if isinstance(value, MappingProxyType):
        return all(type(name) is str and is_read_only(member) for name, member in value.items())
    if type(value) is tuple:
        return all(map(is_read_only, value))
    return value is None or type(value) in (str, int, float, bool)


def _must_be_in_time(claims: Claims, leeway: float) -> None:
    must(type(claims["exp"]) in (int, float) and claims["exp"] + leeway > MOMENT, "an expired token")
    for name in {"nbf", "iat"} & claims.keys():
        must(type(claims[name]) in (int, float) and claims[name] <= MOMENT + leeway, f"{name} is ahead")


def _must_be_for_us(claims: Claims, site: Site) -> None:
    must(claims["iss"] == site.arguments["issuer_url"], "a token of another issuer")
    audience, ours = claims.get("aud", []), site.arguments.get("audience")
    named = [audience] if type(audience) is str else audience
    must(ours in named if ours else "aud" not in claims, "a token for another audience")
    allowed = site.arguments.get("client_ids")
    must(not allowed or any(claims.get(name) in allowed for name in CLIENTS), "a token of another client")


def _must_be_access_token(claims: Claims, name: str) -> None:
    must("cnf" not in claims, "a token bound to its sender's key")
    marker, kinds = MARKERS.get(name, (None, ()))
    must(claims.get(marker) in kinds if marker else not FOREIGN & claims.keys(), "a token of another kind")


def _must_be_somebody(principal: Principal, claims: Claims, name: str) -> None:
    """The user id is what the site says, behind the names of the issuer and the tenant where these stand there."""
    user, tenant = principal.user_id.removeprefix(f"{name}:"), "acme:" if name == "tenants" else ""
    must(user.startswith(tenant) and (not tenant or principal.tenant == "acme"), f"no tenant of ours: {user!a}")
    user = user.removeprefix(tenant)
    if user.startswith("client:"):
        must(principal.kind == "machine", f"a user with the id of a machine: {user!a}")
        must(user[7:] and user[7:] in [claims.get(one) for one in CLIENTS], f"a machine of another name: {user!a}")
    elif name == "email":
        must(user == claims["email"] and claims["email_verified"] is True, f"no verified address: {user!a}")
    else:
        must(user and user == claims["sub"], f"another than its subject: {user!a}")
