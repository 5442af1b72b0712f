"""Token to `Principal` through `Verifier` against the bare work, RS256-2048 and ES256.

python -m benchmarks.verify [--quick]
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.figures import FULL, QUICK, Bar, Effort, Figure, compared, print_figures
from benchmarks.harness import AUDIENCE, ISSUER_URL, Timed, bare_work, cpu_costs, keycloak_token, timed, timed_async
from oidcbridge import Verifier
from oidcbridge.testing import FakeIssuer

NEW = Bar(1.12), Bar(1.05)
SEEN = Bar(0.1)
TOKENS = 100  # different ones, in turn: nothing of a token may be at hand from a moment ago


def verification(issuer: FakeIssuer, effort: Effort) -> list[Figure]:
    """The figures of RS256 and ES256; the issuer has to be answering."""
    cold = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=0)
    warm = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE)
    asyncio.run(cold.warm(strict=True))
    asyncio.run(warm.warm(strict=True))
    figures = []
    for alg, bar in zip(("RS256", "ES256"), NEW, strict=True):
        tokens = [keycloak_token(issuer, alg) for _ in range(TOKENS)]
        subjects: dict[str, Timed] = {
            "bare": timed(bare_work(issuer, alg), tokens),
            "await verify": timed_async(cold.verify, tokens),
            "verify_now": timed(cold.verify_now, tokens),
        }
        if alg == "RS256":
            subjects["await verify, seen"] = timed_async(warm.verify, tokens[:1])
            subjects["verify_now, seen"] = timed(warm.verify_now, tokens[:1])
        costs = cpu_costs(subjects, rounds=effort.rounds, calls=effort.calls)
        figures += [_figure(costs, name, alg, bar) for name in subjects if name != "bare"]
    return figures


def _figure(costs: dict[str, float], name: str, alg: str, bar: Bar) -> Figure:
    call, _, seen = name.partition(", ")
    return Figure(
        key=f"{'seen' if seen else 'cold'}_{call.replace(' ', '_')}_{alg.lower()}",
        title=f"token {'seen before' if seen else 'to Principal'}, `{call}` ÷ bare {alg} work",
        value=costs[name] / costs["bare"],
        bar=SEEN if seen else bar,
        detail=compared(costs, name, "bare"),
    )


def main() -> None:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        print_figures("Verification", verification(issuer, QUICK if "--quick" in sys.argv else FULL))


if __name__ == "__main__":
    main()
