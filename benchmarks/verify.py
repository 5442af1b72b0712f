"""Token to Principal: what `Verifier` costs against the bare work, RS256-2048 and ES256.

python benchmarks/verify.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from benchmarks.harness import AUDIENCE, ISSUER_URL, bare_work, keycloak_token, medians, print_table
from oidcbridge import Verifier
from oidcbridge.testing import FakeIssuer


def repeated(work: Callable[[str], object], token: str) -> Callable[[int], object]:
    def run(calls: int) -> None:
        for _ in range(calls):
            work(token)

    return run


def repeated_async(verifier: Verifier, token: str) -> Callable[[int], object]:
    async def main(calls: int) -> None:
        for _ in range(calls):
            await verifier.verify(token)

    return lambda calls: asyncio.run(main(calls))


def main() -> None:
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        cold = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=0)
        warm = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE)
        for alg in ("RS256", "ES256"):
            token = keycloak_token(issuer, alg)
            measured = medians(
                {
                    "bare work": repeated(bare_work(issuer, alg), token),
                    "Verifier.verify_now, token cache off": repeated(cold.verify_now, token),
                    "Verifier.verify (await), token cache off": repeated_async(cold, token),
                    "Verifier.verify_now, token seen before": repeated(warm.verify_now, token),
                    "Verifier.verify (await), token seen before": repeated_async(warm, token),
                }
            )
            print_table(f"{alg}, token of {len(token)} bytes", measured, "bare work")


if __name__ == "__main__":
    main()
