"""The soak: threads and event loops verify while keys rotate and are fetched all the time; nothing may grow."""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.keyset_load import refusals
from benchmarks.keyset_provider import Provider
from oidcbridge import FetchOptions, Verifier
from oidcbridge.errors import OIDCBridgeError

THREADS = 3
SETTLING = 1.0  # seconds before the first sample
ROTATION = 0.5  # seconds
PUBLISHED = 4  # keys; tokens of the newest two are used, so that none is asked with after its key has gone
MEMORY_SLACK = 4096  # KiB from the second third to the last: what allocators and caches may still settle


class Sample(NamedTuple):
    """What the process holds at one moment."""

    second: float
    memory: int
    """Resident set in KiB."""
    threads: int
    descriptors: int


class Traffic:
    """Threads and an event loop that verify ``tokens``, a list that is replaced as the keys change."""

    def __init__(self, verifier: Verifier, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        self.refused: list[OIDCBridgeError] = []
        self.verified = 0
        self._verifier = verifier
        self._ended = threading.Event()

    def plain(self) -> None:
        while not self._ended.wait(0.005):
            for token in self.tokens:
                try:
                    self._verifier.verify_now(token)
                except OIDCBridgeError as error:
                    self.refused.append(error)
                self.verified += 1

    def on_a_loop(self) -> None:
        """An event loop for each hundred rounds: loops come and go, too."""

        async def some() -> None:
            for _ in range(100):
                answers = await asyncio.gather(*map(self._verifier.verify, self.tokens), return_exceptions=True)
                self.refused += refusals(answers)
                self.verified += len(answers)
                await asyncio.sleep(0.005)

        while not self._ended.is_set():
            asyncio.run(some())

    def end(self) -> None:
        self._ended.set()


def soak(provider: Provider, seconds: float) -> list[str]:
    """Print what the process holds over ``seconds``; returns the claims that did not hold."""
    provider.answer_after(0.01)
    before = provider.fetches()["jwks"]
    # Fresh for a moment only, so that timer and requests fetch besides; and a token cache that is soon full.
    verifier = provider.verifier(fetch=FetchOptions(max_age=0.2), token_cache=100)
    provider.rotate(PUBLISHED)
    traffic = Traffic(verifier, provider.tokens(10, "ES256"))
    with ThreadPoolExecutor(THREADS + 1) as pool:
        workers = [pool.submit(traffic.plain) for _ in range(THREADS)] + [pool.submit(traffic.on_a_loop)]
        try:
            samples, rotations = _rotate_and_sample(provider, verifier, traffic, seconds)
        finally:
            traffic.end()
    for worker in workers:
        worker.result()
    fetches = provider.fetches()["jwks"] - before
    print(f"\nSoak of {seconds:.0f} s: {traffic.verified} verifications, {rotations} rotations, {fetches} fetches")
    _print_samples(samples)
    return _broken_claims(samples, traffic.refused)


def _rotate_and_sample(
    provider: Provider, verifier: Verifier, traffic: Traffic, seconds: float
) -> tuple[list[Sample], int]:
    samples, rotations = [], 0
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds:
        if elapsed >= SETTLING:
            samples.append(_sample(elapsed))
        if elapsed > rotations * ROTATION:
            rotations += 1
            provider.rotate(PUBLISHED)
            asyncio.run(verifier.refresh(force=True))
            traffic.tokens = [*traffic.tokens[-10:], *provider.tokens(10, "ES256")]
        time.sleep(0.05)
    return samples, rotations


def resident() -> int:
    """The process's resident set in KiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _sample(second: float) -> Sample:
    threads, descriptors = (len(os.listdir(f"/proc/self/{folder}")) for folder in ("task", "fd"))
    return Sample(second, resident(), threads, descriptors)


def _thirds(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    third = len(samples) // 3
    return [samples[:third], samples[third : 2 * third], samples[2 * third :]]


def _median(samples: Sequence[Sample], field: str) -> float:
    """What is held for good: a fetch under way, or a loop that has just ended, moves no median."""
    values: list[float] = [getattr(sample, field) for sample in samples]
    return statistics.median(values)


def _print_samples(samples: Sequence[Sample]) -> None:
    for name, third in zip(("start", "middle", "end"), _thirds(samples), strict=True):
        memory, threads, descriptors = (_median(third, field) for field in Sample._fields[1:])
        print(f"  {name:<8}{memory / 1024:>8.1f} MiB {threads:>6.0f} threads {descriptors:>6.0f} descriptors")
    settled = samples[len(samples) // 3 :]
    seconds = [sample.second for sample in settled]
    slopes = [
        60 * statistics.linear_regression(seconds, [getattr(sample, field) for sample in settled]).slope
        for field in Sample._fields[1:]
    ]
    print("  slope {:>+8.0f} KiB {:>+8.2f} threads {:>+8.2f} descriptors a minute, from the middle on".format(*slopes))


def _broken_claims(samples: Sequence[Sample], refused: Sequence[OIDCBridgeError]) -> list[str]:
    first, second, last = _thirds(samples)
    broken = []
    if refused:
        broken.append(f"soak: {len(refused)} good tokens were refused, the first by {refused[0]!r}")
    for field, earlier, slack in (("threads", first, 0), ("descriptors", first, 0), ("memory", second, MEMORY_SLACK)):
        before, after = _median(earlier, field), _median(last, field)
        if after > before + slack:
            broken.append(f"soak: {field} grew from {before:.0f} to {after:.0f}")
    return broken
