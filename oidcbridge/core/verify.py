"""``admit`` and ``verify``: the one place that decides whether a token is valid.

In order, the cheap before the dear, each rule with the section it comes from::

    alg in the allow-list                           RFC 8725 3.1
    typ absent, JWT or at+jwt                       RFC 9068 4, RFC 8725 3.11
    iss equals the configured issuer, as text       RFC 9068 4
      (or a name of it that the settings know)
    exp there and not passed; nbf, iat not ahead    RFC 7519 4.1.4 to 4.1.6, RFC 9068 4
    jti a string                                    RFC 7519 4.1.7
    an access token, by its provider's own mark     RFC 8725 3.12
    not sender-constrained                          RFC 9449 7.1, RFC 8705 3
    aud names this API                              RFC 9068 4, RFC 8725 3.9
    azp or client_id is allowed, where a list is given: it adds to all that, and an actor
      ('act') stands in for nobody              RFC 8693 4.1
    the signature, by a key of this issuer          RFC 7515 5.2

`admit` runs all but the last, to refuse before any fetch. `verify` runs all of them and alone mints `VerifiedToken`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from oidcbridge.core.claims import read_audience, read_string
from oidcbridge.core.keys import Key, KeySet
from oidcbridge.core.policy import Policy, TokenRules
from oidcbridge.core.token import UnverifiedToken
from oidcbridge.errors import (
    AlgorithmNotAllowedError,
    AudienceMismatchError,
    BadSignatureError,
    ExpiredTokenError,
    IssuerMismatchError,
    KeyNotFoundError,
    MissingClaimError,
    NotYetValidError,
    TokenTypeError,
)

_STRICT_REQUIRED = ("iss", "sub", "client_id", "jti")  # RFC 9068 2.2, beside exp, aud and iat
_MAX_NUMERIC_DATE = 253402300800  # the year 10000, which no calendar here knows any more


class VerifiedToken(NamedTuple):
    """A token whose signature and claims hold; ``key`` is the one that signed it."""

    claims: Mapping[str, Any]
    expires_at: float
    not_before: float
    key: Key


# A named tuple's own constructor is a Python function around this.
_verified: Callable[[tuple[Mapping[str, Any], float, float, Key]], VerifiedToken] = partial(
    tuple.__new__, VerifiedToken
)


def admit(token: UnverifiedToken, policy: Policy, now: float) -> tuple[float, float]:
    """Refuse what no key could save, before any fetch.

    ``now`` is in seconds since the epoch. Returns (expires_at, not_before) in the same unit; the token is still
    unverified. Raises a `TokenError`.
    """
    (alg, _, typ, has_nonce), claims, _, _ = token
    leeway = policy.leeway
    if alg not in policy.algorithms:
        raise AlgorithmNotAllowedError(_algorithm_message(alg, policy))
    if typ not in policy.header_types:
        raise TokenTypeError(_header_type_message(typ, policy), claim="typ")
    if claims.get("iss") != policy.issuer and policy.issuer is not None:
        _check_other_issuer(claims, policy)
    expires_at = claims.get("exp")
    if type(expires_at) is not int or not now - leeway < expires_at < _MAX_NUMERIC_DATE:
        expires_at = _end(claims, now, leeway)
    not_before = claims.get("iat", 0)
    if type(not_before) is not int or not 0 <= not_before <= now or "nbf" in claims:
        not_before = _beginning(claims, now, leeway)
    if type(claims.get("jti", "")) is not str:
        raise MissingClaimError("'jti' is not a string", claim="jti")
    _check_kind(claims, policy.rules, has_nonce)
    if policy.client_ids:
        _check_client(claims, policy)
    _check_audience(claims, policy)
    if policy.token_type is not None:
        _check_rfc9068_claims(claims)
    return float(expires_at), not_before


def verify(token: UnverifiedToken, key_set: KeySet, policy: Policy, now: float) -> VerifiedToken:
    """Verify signature and claims. Raises a `TokenError`; complete without `admit`."""
    expires_at, not_before = admit(token, policy, now)
    (alg, kid, _, _), claims, signing_input, signature = token
    candidates = key_set.candidates(kid, alg)
    if not candidates:
        raise KeyNotFoundError(f"no key for kid={kid!a} and alg={alg}")
    for key in candidates:
        if key.checks[alg](signing_input, signature):
            if key.issuer is not None:
                _check_key_issuer(key.issuer, claims, policy)
            return _verified((claims, expires_at, not_before, key))
    raise BadSignatureError(f"the signature does not verify with the key kid={kid!a}")


def _algorithm_message(alg: str, policy: Policy) -> str:
    message = f"alg={alg[:32]!a} is not among {sorted(policy.algorithms)}"
    if alg.startswith("HS") and policy.issuer is not None:
        message += "; the provider signs with a shared secret: choose RS256 or ES256 for this client there"
    return message


def _header_type_message(typ: str | None, policy: Policy) -> str:
    wanted = f"{policy.token_type!r}" if policy.token_type is not None else "that of an access token"
    return f"header typ {_shown(typ)} is not {wanted}"


def _end(claims: Mapping[str, Any], now: float, leeway: float) -> float:
    if "exp" not in claims:
        raise MissingClaimError("the token has no 'exp', so it would never end", claim="exp")
    expires_at = _numeric_date(claims["exp"], "exp")
    if now >= expires_at + leeway:
        raise ExpiredTokenError(f"the token expired {now - expires_at:.0f} s ago", claim="exp")
    return expires_at


def _beginning(claims: Mapping[str, Any], now: float, leeway: float) -> float:
    """The later of ``nbf`` and ``iat``, where `admit` does not see at once that both have passed."""
    moments = {name: _numeric_date(claims.get(name, 0), name) for name in ("nbf", "iat")}
    latest = max(moments, key=moments.__getitem__)
    if moments[latest] > now + leeway:
        raise NotYetValidError(f"{latest!r} lies {moments[latest] - now:.0f} s in the future", claim=latest)
    return moments[latest]


def _numeric_date(value: Any, name: str) -> float:
    """A NumericDate is a JSON number (RFC 7519 section 2); strings and booleans are not."""
    if type(value) not in (int, float) or not 0 <= value < _MAX_NUMERIC_DATE:
        raise MissingClaimError(f"{name!r} is not a point in time", claim=name)
    return float(value)


def _check_other_issuer(claims: Mapping[str, Any], policy: Policy) -> None:
    issuer = claims.get("iss")
    if not (isinstance(issuer, str) and issuer in policy.other_issuers):
        raise IssuerMismatchError(f"'iss' is not {policy.issuer!r}", claim="iss")
    beside = policy.other_issuers[issuer]
    if beside is not None and claims.get(beside[0]) != beside[1]:
        raise IssuerMismatchError(f"{beside[0]!r} is not that of the issuer {issuer!a}", claim=beside[0])


def _check_key_issuer(issuer: str, claims: Mapping[str, Any], policy: Policy) -> None:
    """Entra: a key that names one tenant's issuer signs for that tenant; a template stands for each."""
    if policy.rules.keys_name_issuers and "{" not in issuer and issuer != claims.get("iss"):
        raise IssuerMismatchError("the key that signed is another issuer's", claim="iss")


def _check_kind(claims: Mapping[str, Any], rules: TokenRules, has_nonce: bool) -> None:
    if "cnf" in claims:
        raise TokenTypeError("the token is bound to a sender's key (cnf) and came as a plain bearer", claim="cnf")
    if rules.marker is None:
        _check_kind_by_claims(claims, rules, has_nonce)
        return
    name, access = rules.marker
    kind = claims.get(name)
    if not (isinstance(kind, str) and (kind if access is None else kind in access)):
        raise TokenTypeError(f"{name!r} says {_shown(kind)}, not an access token", claim=name)


def _check_kind_by_claims(claims: Mapping[str, Any], rules: TokenRules, has_nonce: bool) -> None:
    if rules.id_tokens_only:
        raise TokenTypeError(
            "this provider's tokens cannot be told from ID tokens; to accept those, write accept_id_tokens=True",
            claim="aud",
        )
    for name in rules.foreign_claims:
        if name in claims:
            raise TokenTypeError(f"{name!r} marks an ID or logout token, not an access token", claim=name)
    if rules.refuses_header_nonce and has_nonce:
        raise TokenTypeError("a nonce in the header marks a token for the provider's own APIs", claim="nonce")
    if rules.signs and not any(claims.keys() >= set(sign) for sign in rules.signs):
        wanted = " or ".join(" with ".join(map(repr, sign)) for sign in rules.signs)
        raise TokenTypeError(f"an access token of this provider has {wanted}", claim=rules.signs[0][0])


def _check_client(claims: Mapping[str, Any], policy: Policy) -> None:
    paths = policy.rules.client_id_claims
    client_id = read_string(claims, paths)
    if client_id not in policy.client_ids:
        raise AudienceMismatchError(
            f"client {_shown(client_id)} is not in client_ids", claim=next(iter(paths), "client_id")
        )


def _check_audience(claims: Mapping[str, Any], policy: Policy) -> None:
    audiences, rules = policy.audiences, policy.rules
    claim = rules.audience_claim
    if audiences is None:
        # An audience that is there binds the token to somebody; where ours has no name, it is not us (RFC 8707).
        if not rules.audience_required and claim in claims:
            raise AudienceMismatchError("the token names an audience; pass audience= to accept it", claim=claim)
        return
    named = read_audience(claims, claim)
    if audiences.isdisjoint(named) and (rules.audience_required or claim in claims):
        raise AudienceMismatchError(
            f"{claim} {_shown(named)} does not name {sorted(audiences)}; add this API to the token's audience"
            f" at the provider (Keycloak: an audience mapper){rules.hint(claims) if rules.hint else ''}",
            claim=claim,
        )


def _check_rfc9068_claims(claims: Mapping[str, Any]) -> None:
    for name in _STRICT_REQUIRED:
        if not (isinstance(claims.get(name), str) and claims[name]):
            raise MissingClaimError(f"RFC 9068 requires {name!r}", claim=name)
    if "iat" not in claims:
        raise MissingClaimError("RFC 9068 requires 'iat'", claim="iat")
    if not read_audience(claims):
        raise MissingClaimError("RFC 9068 requires 'aud'", claim="aud")


def _shown(value: object) -> str:
    """A claim's value for the log: escaped and short; of what holds other values, the type alone."""
    plain = value is None or isinstance(value, str | int | float)
    flat = isinstance(value, tuple) and all(isinstance(member, str) for member in value)
    return ascii(value)[:200] if plain or flat else f"<{type(value).__name__}>"
