"""The provider's keys under examination: each one, and why those that are not used are not."""

from __future__ import annotations

from oidcbridge.core.keys import ALGORITHMS, Key, KeySet, SkippedKey
from oidcbridge.core.policy import Policy
from oidcbridge.diagnosis.findings import Finding, KeyFinding, Status
from oidcbridge.diagnosis.words import Advice, listed, shown


def list_keys(key_set: KeySet, policy: Policy) -> tuple[KeyFinding, ...]:
    """Each entry of the set, the usable ones first."""
    return (*(_used(key, policy) for key in key_set.keys), *(_skipped(key) for key in key_set.skipped))


def judge_keys(key_set: KeySet, policy: Policy) -> Finding:
    """Whether tokens can be verified with the set. A published private key is a fault, though it is not used."""
    private = [shown(key.kid or "") for key in key_set.skipped if key.private]
    if private:
        return Finding(
            "keys",
            Status.FAILED,
            f"the set publishes a private key, kid {listed(private)}: whoever has read it can sign tokens",
            advice=Advice(
                "private_key_published",
                "withdraw that key at the provider now and sign with a new one; deny_key(kid) refuses its tokens at"
                " once. It is no signing key for this service, and never was",
            ),
        )
    usable = [key for key in key_set.keys if key.algorithms & policy.algorithms]
    if not usable:
        offered = sorted({name for key in key_set.keys for name in key.algorithms})
        return Finding(
            "keys",
            Status.FAILED,
            f"no key verifies what algorithms= allows ({listed(sorted(policy.algorithms))})",
            advice=Advice(
                "algorithms", f"the keys are for {listed(offered)}: write algorithms= (OIDCBRIDGE_ALGORITHMS) so"
            ),
        )
    count = len(key_set.keys) + len(key_set.skipped)
    return Finding("keys", Status.PASSED, f"{len(usable)} of {count} can verify tokens")


def _used(key: Key, policy: Policy) -> KeyFinding:
    row = ALGORITHMS[min(key.algorithms)]
    why_not = None if key.algorithms & policy.algorithms else "algorithms= allows none of its own"
    kind = f"{row.kty} {row.crv}" if row.crv else row.kty
    return KeyFinding(_name(key.kid), kind, tuple(sorted(key.algorithms)), why_not)


def _skipped(key: SkippedKey) -> KeyFinding:
    return KeyFinding(_name(key.kid), None, (), key.reason)


def _name(kid: str | None) -> str | None:
    return None if kid is None else shown(kid)
