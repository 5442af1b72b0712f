"""Key sets under load: 10,000 requests that find no keys yet, and requests while the keys are being renewed."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from itertools import chain, cycle, islice
from typing import NamedTuple

from benchmarks.keyset_provider import Provider, key_sets
from oidcbridge import Verifier
from oidcbridge.errors import OIDCBridgeError
from oidcbridge.remote.flight import Flight

ANSWER = 0.1  # seconds that the provider takes for each document
BUSY = 0.1  # share of the time that requests take while the keys are renewed: else they would queue for each other


class Burst(NamedTuple):
    """Requests that all began at once. Times are in seconds."""

    slowest: float
    refused: int


def cold_start(provider: Provider, requests: int, rounds: int) -> list[str]:
    """Print what a burst without keys costs; returns the claims that did not hold."""
    provider.answer_after(ANSWER)
    tokens = list(islice(cycle(provider.tokens(min(requests, 500))), requests))
    fetch, cold, warm, told, broken = [], [], [], [], []
    for _ in range(rounds):
        fetch.append(asyncio.run(_time_to_warm(provider.verifier())))
        verifier = provider.verifier(token_cache=0)
        before = provider.fetches()
        burst = asyncio.run(_burst(verifier, tokens))
        fetched = {kind: count - before[kind] for kind, count in provider.fetches().items() if count != before[kind]}
        cold.append(burst.slowest)
        warm.append(asyncio.run(_burst(verifier, tokens)).slowest)
        told.append(f"fetched {fetched}, {burst.refused} requests refused")
        if fetched != {"discovery": 1, "jwks": 1} or burst.refused:
            broken.append(f"cold start of {requests} requests: {told[-1]}")
    least = statistics.median(fetch) + statistics.median(warm)
    print(f"\n{requests} requests at once, no keys yet; the provider takes {ANSWER * 1000:.0f} ms for each document")
    print(f"  {'discovery and keys, fetched alone':<52}{statistics.median(fetch):>9.3f} s")
    print(f"  {'the same requests with the keys at hand':<52}{statistics.median(warm):>9.3f} s")
    print(f"  {'slowest request, cold':<52}{statistics.median(cold):>9.3f} s {statistics.median(cold) / least:>8.2f} x")
    print("  (x: of the sum of the two lines above)", *told, sep="\n  ")
    return broken


async def _time_to_warm(verifier: Verifier) -> float:
    begin = time.perf_counter()
    await verifier.warm(strict=True)
    return time.perf_counter() - begin


async def _burst(verifier: Verifier, tokens: Sequence[str]) -> Burst:
    begin = time.perf_counter()

    async def request(token: str) -> float:
        await verifier.verify(token)
        return time.perf_counter() - begin

    answers = await asyncio.gather(*map(request, tokens), return_exceptions=True)
    refused = refusals(answers)
    return Burst(max((answer for answer in answers if isinstance(answer, float)), default=0.0), len(refused))


def refusals(answers: Iterable[object]) -> list[OIDCBridgeError]:
    """The refusals among the outcomes of ``gather``; raises what is neither an answer nor a refusal."""
    refused = []
    for answer in answers:
        if isinstance(answer, OIDCBridgeError):
            refused.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
    return refused


def during_refresh(provider: Provider, rounds: int) -> None:
    """Print how long requests take while the keys are renewed, against windows of the same length between them.

    A refresh costs some 4 ms of Python on the refresher's thread. Requests never wait for it, but both need the
    interpreter, which changes hands every 5 ms: that is what the slowest of them show.
    """
    provider.answer_after(ANSWER)
    verifier = provider.verifier(token_cache=0)
    asyncio.run(verifier.warm(strict=True))
    (keys,) = key_sets(verifier)
    tokens = cycle(provider.tokens(500))
    pause = statistics.median(_requests(verifier, tokens, 0.02, seconds=2.0)) / BUSY
    quiet: list[Sequence[float]] = []
    renewing: list[Sequence[float]] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        renewing.append(_requests(verifier, tokens, pause, flight=keys.refresh()[0]))
        quiet.append(_requests(verifier, tokens, pause, seconds=time.perf_counter() - begin))
    print(f"\n{1 / pause:.0f} requests/s of new tokens; {rounds} refreshes of {ANSWER * 1000:.0f} ms and quiet windows")
    for name, measure in (
        ("p50 of all requests", lambda windows: _percentile(list(chain.from_iterable(windows)), 50)),
        ("p99 of all requests", lambda windows: _percentile(list(chain.from_iterable(windows)), 99)),
        ("slowest request of a typical window", lambda windows: statistics.median(map(max, windows))),
    ):
        while_quiet, while_renewing = (measure(windows) * 1e6 for windows in (quiet, renewing))
        print(
            f"  {name:<37} quiet {while_quiet:>7.0f} µs, refreshing {while_renewing:>7.0f} µs"
            f" {while_renewing / while_quiet:>8.2f} x"
        )


def _requests(
    verifier: Verifier, tokens: cycle[str], pause: float, *, flight: Flight | None = None, seconds: float = math.inf
) -> list[float]:
    """Ask every ``pause`` seconds until ``flight`` has landed or ``seconds`` are over.

    Returns the seconds from when each request was due to its answer: what queues behind another counts in full.
    """
    times = []
    begin = due = time.perf_counter()
    while due - begin < seconds and not (flight is not None and flight.done):
        time.sleep(max(0.0, due - time.perf_counter()))
        verifier.verify_now(next(tokens))
        times.append(time.perf_counter() - due)
        due += pause
    return times


def _percentile(times: Sequence[float], percent: int) -> float:
    return sorted(times)[math.ceil(len(times) * percent / 100) - 1]
