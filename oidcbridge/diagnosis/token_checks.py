"""Every check of a token in the verifier's order, each judged by the verifier itself.

A verifier stops at the first fault; a person wants to know all of them. So for each check a copy of the token is made
that is flawless but for what this check looks at, and `oidcbridge.core.verify` judges the copy. The whole token is
judged too: a rule that this table does not know shows up as ``verdict``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from oidcbridge.core.claims import read_audience, read_string
from oidcbridge.core.keys import ASYMMETRIC_ALGORITHMS, KeySet
from oidcbridge.core.mapping import principal_from
from oidcbridge.core.policy import Policy
from oidcbridge.core.principal import Principal
from oidcbridge.core.token import UnverifiedToken, parse_unverified
from oidcbridge.core.verify import VerifiedToken, admit, verify
from oidcbridge.diagnosis.advice import advise
from oidcbridge.diagnosis.findings import Finding, Status
from oidcbridge.diagnosis.words import listed, shown
from oidcbridge.errors import BadSignatureError, IssuerMismatchError, KeyNotFoundError, TokenError
from oidcbridge.settings import IssuerSettings

_FLAWLESS_LIFETIME = 3600.0
_OTHER_RULE = "a rule of this provider's own comes before it"


class _Check(NamedTuple):
    """One check of `admit`: the claims it looks at, the header member, and what to show of them."""

    name: str
    claims: Callable[[Policy], tuple[str, ...]]
    said: Callable[[UnverifiedToken, Policy, float], str]
    header: str | None = None


def check_token(
    text: str, issuer: IssuerSettings, key_set: KeySet | None, now: float
) -> tuple[list[Finding], Principal | None]:
    """Judge one token in every respect; ``key_set`` is None where the keys cannot be had.

    ``now`` is in seconds since the epoch. The principal is there where a verifier with these settings and keys would
    let the token through, and then alone.
    """
    judge = _Judge(text, issuer, now)
    try:
        token = parse_unverified(text)
    except TokenError as error:
        return [judge.failed("format", error)], None
    findings = [_passed("format", "a compact JWS of three parts"), *judge.claims(token)]
    key_findings, vouched = judge.signature(token, key_set)
    user_finding = judge.user(token, vouched)
    findings += [*key_findings, user_finding]
    if key_set is None or any(one.status is not Status.PASSED for one in findings):
        return findings, None
    try:
        return findings, principal_from(verify(token, key_set, issuer.policy, now), issuer.mapping)
    except TokenError as error:
        return [*findings, judge.failed("verdict", error)], None


class _Judge:
    """Words the verdicts on one token."""

    def __init__(self, text: str, issuer: IssuerSettings, now: float) -> None:
        self._text = text
        self._issuer = issuer
        self._now = now

    def failed(self, check: str, error: TokenError) -> Finding:
        advice = advise(error, self._text, self._issuer)
        return Finding(check, Status.FAILED, str(error), error.code, advice)

    def claims(self, token: UnverifiedToken) -> Iterator[Finding]:
        """What `admit` says, check by check."""
        policy = self._issuer.policy
        try:
            admit(_flawless(token, policy, self._now), policy, self._now)
        except TokenError as error:
            yield self.failed("verdict", error)
            yield from (_not_judged(check.name, _OTHER_RULE) for check in _CHECKS)
            return
        for check in _CHECKS:
            try:
                admit(_flawless_but_for(check, token, policy, self._now), policy, self._now)
            except TokenError as error:
                yield self.failed(check.name, error)
            else:
                yield _passed(check.name, check.said(token, policy, self._now))

    def signature(self, token: UnverifiedToken, key_set: KeySet | None) -> tuple[list[Finding], VerifiedToken | None]:
        """Whether a key of the issuer has signed it, whatever it says."""
        if key_set is None:
            return [_not_judged(name, "the keys could not be had") for name in ("key", "signature")], None
        policy, alg, kid = self._issuer.policy, token.header.alg, token.header.kid
        if alg not in policy.algorithms | ASYMMETRIC_ALGORITHMS:
            return [
                _not_judged(name, "no key of an issuer is for that algorithm") for name in ("key", "signature")
            ], None
        policy = replace(policy, algorithms=policy.algorithms | {alg})
        flawless = _flawless(token, policy, self._now)
        flawless = flawless._replace(header=flawless.header._replace(alg=alg, kid=kid))
        try:
            verified = verify(flawless, key_set, policy, self._now)
        except (KeyNotFoundError, IssuerMismatchError) as error:  # none, or one of another issuer
            return [self.failed("key", error), _not_judged("signature", "there is no key to judge it by")], None
        except BadSignatureError as error:
            return [_passed("key", _name_of_key(token)), self.failed("signature", error)], None
        except TokenError:  # a rule that the table does not know: it is the verdict
            return [_not_judged(name, _OTHER_RULE) for name in ("key", "signature")], None
        said = f"made by {shown(verified.key.kid)}" if verified.key.kid else "made by a key without a name"
        return [_passed("key", _name_of_key(token)), _passed("signature", said)], verified

    def user(self, token: UnverifiedToken, vouched: VerifiedToken | None) -> Finding:
        """Whom it names. Its issuer vouches for the claims where the signature holds, else nobody does."""
        if vouched is None:
            return _not_judged("user", "nobody vouches for the claims")
        try:
            principal = principal_from(vouched._replace(claims=token.claims), self._issuer.mapping)
        except TokenError as error:
            return self.failed("user", error)
        return _passed("user", f"{principal.kind} {shown(principal.user_id)}")


def _passed(check: str, said: str) -> Finding:
    return Finding(check, Status.PASSED, said)


def _not_judged(check: str, said: str) -> Finding:
    return Finding(check, Status.NOT_JUDGED, said)


def _flawless(token: UnverifiedToken, policy: Policy, now: float) -> UnverifiedToken:
    """A copy in which everything that a check looks at is as it should be."""
    rules = policy.rules
    looked_at = {name for check in _CHECKS for name in _names(check, policy)}
    claims: dict[str, Any] = {name: value for name, value in token.claims.items() if name not in looked_at}
    claims |= dict.fromkeys((name for sign in rules.signs[:1] for name in sign), "-")
    claims |= dict.fromkeys((*rules.client_id_claims, "client_id"), min(policy.client_ids, default="-"))
    claims |= {"sub": "-", "jti": "-", "iat": now, "exp": now + _FLAWLESS_LIFETIME}
    if policy.issuer is not None:
        claims |= _flawless_issuer(token, policy, policy.issuer)
    if policy.audiences is not None or rules.audience_required:
        claims["aud"] = min(policy.audiences or ("-",))
    if rules.marker is not None:
        claims[rules.marker.claim] = min(rules.marker.access or ("-",))
    header = token.header._replace(alg=min(policy.algorithms), typ=policy.token_type, has_nonce=False)
    return token._replace(header=header, claims=claims)


def _flawless_issuer(token: UnverifiedToken, policy: Policy, issuer: str) -> dict[str, str]:
    """The issuer's own name, or the one of its other names that the token says: a key may be for that alone."""
    said = token.claims.get("iss")
    if isinstance(said, str) and said in policy.other_issuers:
        beside = policy.other_issuers[said]
        return {"iss": said, **dict([beside] if beside else [])}
    return {"iss": issuer}


def _flawless_but_for(check: _Check, token: UnverifiedToken, policy: Policy, now: float) -> UnverifiedToken:
    flawless, names = _flawless(token, policy, now), _names(check, policy)
    claims = {name: value for name, value in flawless.claims.items() if name not in names}
    claims |= {name: token.claims[name] for name in names if name in token.claims}
    header = flawless.header
    if check.header is not None:
        header = header._replace(**{check.header: getattr(token.header, check.header)})
    return flawless._replace(header=header, claims=claims)


def _names(check: _Check, policy: Policy) -> set[str]:
    """The members of the payload that the check looks at: a claim path by its whole text, or leading into an object."""
    return {name for path in check.claims(policy) for name in (path, path.partition(".")[0])}


def _kind_claims(policy: Policy) -> tuple[str, ...]:
    rules = policy.rules
    signs = tuple(name for sign in rules.signs for name in sign)
    return (rules.marker.claim,) if rules.marker else (*rules.foreign_claims, *signs)


def _issuer_claims(policy: Policy) -> tuple[str, ...]:
    return ("iss", *(beside[0] for beside in policy.other_issuers.values() if beside))


def _said_times(token: UnverifiedToken, policy: Policy, now: float) -> str:
    return f"expires in {token.claims['exp'] - now:.0f} s (leeway {policy.leeway:.0f} s)"


def _said_kind(token: UnverifiedToken, policy: Policy, now: float) -> str:
    marker = policy.rules.marker
    return f"{marker.claim} is {shown(token.claims[marker.claim])}" if marker else "no claim of an ID or logout token"


def _said_client(token: UnverifiedToken, policy: Policy, now: float) -> str:
    client = read_string(token.claims, policy.rules.client_id_claims)
    rule = "among client_ids" if policy.client_ids else "any client may ask, since client_ids names none"
    return f"{shown(client) if client else 'none named'}: {rule}"


def _said_audience(token: UnverifiedToken, policy: Policy, now: float) -> str:
    return listed(read_audience(token.claims)) or "none named, and none needed"


def _said_rfc9068(token: UnverifiedToken, policy: Policy, now: float) -> str:
    return "all there" if policy.token_type else "not asked for: token_type is not set"


#: In the order of `admit`. Of what RFC 9068 requires, ``iat``, ``aud`` and ``client_id`` have checks of their own.
_CHECKS = (
    _Check("algorithm", lambda policy: (), lambda token, policy, now: token.header.alg, header="alg"),
    _Check(
        "header_type", lambda policy: (), lambda token, policy, now: shown(token.header.typ or "none"), header="typ"
    ),
    _Check("issuer", _issuer_claims, lambda token, policy, now: shown(token.claims.get("iss", "none"))),
    _Check("times", lambda policy: ("exp", "nbf", "iat"), _said_times),
    _Check("sender", lambda policy: ("cnf",), lambda token, policy, now: "not bound to a key of the client's"),
    _Check("kind", _kind_claims, _said_kind, header="has_nonce"),
    _Check("client", lambda policy: policy.rules.client_id_claims, _said_client),
    _Check("audience", lambda policy: ("aud",), _said_audience),
    _Check("required_claims", lambda policy: ("sub", "jti"), _said_rfc9068),
)


def _name_of_key(token: UnverifiedToken) -> str:
    return f"kid {shown(token.header.kid)}" if token.header.kid else "the token names none"
