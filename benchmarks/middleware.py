"""What `OIDCMiddleware` adds to a FastAPI app that is called in process: a GET, a stream, and refusals.

python -m benchmarks.middleware [--quick]
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from benchmarks.figures import FULL, QUICK, Bar, Effort, Figure, compared, print_figures
from benchmarks.harness import AUDIENCE, DAY, ISSUER_URL, Timed, bare_work, cpu_costs, keycloak_token
from benchmarks.in_process import BareMiddleware, LeastMiddleware, agent_app, requests
from oidcbridge import OIDCMiddleware, Verifier
from oidcbridge.testing import FakeIssuer

REMEMBERED = 500
NEW_TOKENS = (
    2 * REMEMBERED + 1
)  # in turn, so that each has been forgotten, as the least recently used, before it returns
SEEN = 1  # token, again and again
TOKENS = 50  # different ones of each kind that is refused


class Tokens(NamedTuple):
    """What is sent: all of them different."""

    good: list[str]
    junk: list[str]
    expired: list[str]
    stranger: list[str]
    """Of an issuer that is not configured."""
    forged: list[str]
    """Good but for the signature."""


def tokens_of(issuer: FakeIssuer) -> Tokens:
    """Mint what is sent."""
    good = [keycloak_token(issuer, "RS256") for _ in range(NEW_TOKENS)]
    other_url = {"iss": "https://other.example.com/realms/acme"}
    return Tokens(
        good,
        junk=[f"junk-{number}" for number in range(TOKENS)],
        expired=[keycloak_token(issuer, "RS256", expires_in=-DAY) for _ in range(TOKENS)],
        stranger=[keycloak_token(issuer, "RS256", claims=other_url) for _ in range(TOKENS)],
        forged=[
            f"{ours.rpartition('.')[0]}.{others.rpartition('.')[2]}" for ours, others in pairwise(good[: TOKENS + 1])
        ],
    )


def protection(issuer: FakeIssuer, tokens: Tokens, effort: Effort) -> list[Figure]:
    """All figures; the issuer has to be answering."""
    verifiers = [Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=n) for n in (10_000, REMEMBERED, 0)]
    for verifier in verifiers:
        asyncio.run(verifier.warm(strict=True))
    remembering, forgetting, uncached = verifiers
    app = agent_app()  # one for all, so that what differs is what stands before it
    seen = OIDCMiddleware(app, verifier=remembering)
    again = tokens.good[:SEEN]
    least = LeastMiddleware(app, {sha256(token.encode()).digest(): remembering.verify_now(token) for token in again})
    gets: dict[str, Timed] = {
        "unprotected": requests(app, "/agents", tokens.good),
        "bare": requests(BareMiddleware(app, bare_work(issuer, "RS256")), "/agents", tokens.good),
        "seen": requests(seen, "/agents", again),
        "least": requests(least, "/agents", again),
        "new": requests(OIDCMiddleware(app, verifier=forgetting), "/agents", tokens.good),
        "new, cache off": requests(OIDCMiddleware(app, verifier=uncached), "/agents", tokens.good),
    }
    kinds = {"junk": tokens.junk, "expired": tokens.expired, "stranger": tokens.stranger, "forged": tokens.forged}
    for kind, refused in kinds.items():
        gets[kind] = requests(seen, "/agents", refused, status=401)
    costs = cpu_costs(gets, rounds=effort.rounds, calls=effort.calls)
    if forgetting.metrics().token_cache_hits or not remembering.metrics().token_cache_hits:
        raise RuntimeError("a new token was one that had been seen, or the other way round")
    streams: dict[str, Timed] = {
        "unprotected": requests(app, "/stream", tokens.good),
        "protected": requests(seen, "/stream", again),
        "least": requests(least, "/stream", again),
    }
    stream_costs = cpu_costs(streams, rounds=2 * effort.rounds, calls=max(effort.calls // 8, 10))
    return [*_added(costs), *_streams(stream_costs), *_refusals(costs)]


def _added(costs: dict[str, float]) -> list[Figure]:
    base = costs["unprotected"]
    bare = costs["bare"] - base
    rows = (
        ("added_seen", "seen", "token seen before", Bar(0.12)),
        ("added_least", "least", "the same, the least that can be", None),
        ("added_new", "new", "new token, cache on and full", Bar(1.3)),
        ("added_new_uncached", "new, cache off", "new token, cache off", Bar(1.3)),
    )
    return [
        Figure(
            key,
            f"added to a GET ÷ what the bare wrapper adds, {title}",
            (costs[name] - base) / bare,
            bar,
            detail=f"{costs[name] - base:.1f} µs against {bare:.1f} µs, on {base:.1f} µs",
        )
        for key, name, title, bar in rows
    ]


def _streams(costs: dict[str, float]) -> list[Figure]:
    rows = (
        ("stream", "protected", "protected", Bar(1.02)),
        ("stream_least", "least", "the least that can be", None),
    )
    return [
        Figure(
            key,
            f"SSE of 200 chunks, {title} ÷ unprotected",
            costs[name] / costs["unprotected"],
            bar,
            detail=compared(costs, name, "unprotected"),
        )
        for key, name, title, bar in rows
    ]


def _refusals(costs: dict[str, float]) -> list[Figure]:
    rows = (
        ("junk", "junk", Bar(0.4)),
        ("expired", "expired", Bar(0.8)),
        ("stranger", "unknown issuer", Bar(0.8)),
        ("forged", "forged signature", None),
    )
    return [
        Figure(
            f"refused_{name}",
            f"refused ÷ an unprotected GET, {title}",
            costs[name] / costs["unprotected"],
            bar,
            detail=compared(costs, name, "unprotected"),
        )
        for name, title, bar in rows
    ]


def main() -> None:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        figures = protection(issuer, tokens_of(issuer), QUICK if "--quick" in sys.argv else FULL)
    print_figures("In process", figures)


if __name__ == "__main__":
    main()
