"""Key sets: look-ups, one issuer against a thousand, a cold start under load, requests during a refresh, and a soak.

python -m benchmarks.keyset [--quick] [--soak SECONDS]

Ends with 1 where a claim did not hold: a cold start fetches once, no good token is refused, nothing grows.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.harness import AUDIENCE, Subject, medians
from benchmarks.keyset_load import cold_start, during_refresh
from benchmarks.keyset_provider import Provider, key_sets
from benchmarks.keyset_soak import resident, soak
from oidcbridge import Issuer, Verifier
from oidcbridge.core.token import parse_unverified
from oidcbridge.remote.jwks import RemoteKeySet


def look_ups(provider: Provider) -> None:
    """Print what it costs to ask for keys that are there."""
    verifier = provider.verifier()
    asyncio.run(verifier.warm(strict=True))
    (keys,) = key_sets(verifier)
    header = parse_unverified(provider.tokens(1)[0]).header
    kid, alg = header.kid, header.alg
    table = {kid: keys}

    def dict_look_up(calls: int) -> None:
        for _ in range(calls):
            table[kid]

    def usable(calls: int) -> None:
        for _ in range(calls):
            keys.usable(time.time())

    def lookup(calls: int) -> None:
        for _ in range(calls):
            keys.lookup(kid, alg, None, 0)

    subjects: dict[str, Subject] = {
        "dict look-up": dict_look_up,
        "RemoteKeySet.usable(), each request asks it": usable,
        "RemoteKeySet.lookup(), with its lock and its state": lookup,
    }
    measured = medians(subjects, calls=20_000)
    print("\nLook-up of a known key in a fresh set")
    for name, microseconds in measured.items():
        print(f"  {name:<52}{microseconds * 1000:>9.0f} ns {microseconds / measured['dict look-up']:>8.2f} x")


def many_issuers(provider: Provider, count: int, tokens_a_side: int) -> None:
    """Print what a request costs with one issuer and with ``count``, and what an issuer weighs."""
    urls = [f"https://id.example.com/tenants/{number}" for number in range(count)]
    mine = list(islice(cycle(urls), tokens_a_side))
    tokens = {1: provider.tenant_tokens(urls[:1] * tokens_a_side), count: provider.tenant_tokens(mine)}
    remembering = {1: _verifier(provider, urls[:1], token_cache=10_000)}
    asyncio.run(remembering[1].warm(strict=True))  # before anything is weighed: the first fetch loads the client
    gc.collect()
    before, begin = resident(), time.perf_counter()
    remembering[count] = _verifier(provider, urls, token_cache=10_000)
    asyncio.run(remembering[count].warm(strict=True))
    seconds = time.perf_counter() - begin
    gc.collect()
    weight = (resident() - before) / count
    forgetful = {1: _verifier(provider, urls[:1], token_cache=0), count: _verifier(provider, urls, token_cache=0)}
    for verifier in forgetful.values():
        asyncio.run(verifier.warm(strict=True))
    print(f"\n1 issuer and {count}: fetching all keys took {seconds:.2f} s, an issuer weighs {weight:.0f} KiB")
    for title, calls, subjects in (
        ("usable()", 20_000, {n: _asking(key_sets(verifier)) for n, verifier in remembering.items()}),
        ("token seen before", 2_000, {n: _verifying(remembering[n], tokens[n]) for n in tokens}),
        ("new token, RS256", 500, {n: _verifying(forgetful[n], tokens[n]) for n in tokens}),
    ):
        one, many = medians({str(n): subject for n, subject in subjects.items()}, calls=calls).values()
        print(f"  {title:<30}{one:>9.2f} µs {many:>9.2f} µs {many / one:>8.2f} x")


def _verifier(provider: Provider, urls: Sequence[str], *, token_cache: int) -> Verifier:
    issuers = [
        Issuer(issuer_url=url, name=f"tenant-{number}", audience=AUDIENCE, jwks_uri=provider.jwks_uri)
        for number, url in enumerate(urls)
    ]
    return Verifier(issuers=issuers, token_cache=token_cache)


def _asking(sets: Sequence[RemoteKeySet]) -> Subject:
    following = cycle(sets)

    def run(calls: int) -> None:
        for keys in islice(following, calls):
            keys.usable(time.time())

    return run


def _verifying(verifier: Verifier, tokens: Sequence[str]) -> Subject:
    following = cycle(tokens)
    for token in tokens:  # once before it is timed: a token that has been seen is one of these
        verifier.verify_now(token)

    def run(calls: int) -> None:
        for token in islice(following, calls):
            verifier.verify_now(token)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keyset", description="What key sets cost.")
    parser.add_argument("--quick", action="store_true", help="smaller figures, for a look in half a minute")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="how long the soak lasts; default 60, quick 6")
    arguments = parser.parse_args()
    if arguments.soak is not None and arguments.soak < 5:
        parser.error("--soak: a slope needs 5 seconds or more")
    if not Path("/proc/self/statm").exists():
        parser.error("memory and descriptors are read from /proc, which Linux alone has: run it there")
    quick = arguments.quick
    broken = []
    with Provider() as provider:
        look_ups(provider)
        many_issuers(provider, count=100 if quick else 1_000, tokens_a_side=100 if quick else 1_000)
        broken += cold_start(provider, requests=1_000 if quick else 10_000, rounds=1 if quick else 3)
        during_refresh(provider, rounds=10 if quick else 100)
        broken += soak(provider, arguments.soak or (6 if quick else 60))
    if broken:
        sys.exit("\n".join(["", *broken]))
    print("\nEvery claim held: one fetch for a cold start, no good token refused, nothing grows.")


if __name__ == "__main__":
    main()
