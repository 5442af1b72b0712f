"""Ten to a million different tokens seen: what a hit costs, and what a remembered token weighs.

python -m benchmarks.many_tokens [--quick]

Each count has a process of its own, so that its resident set holds nothing of another's. The tokens are signed with
Ed25519 (EdDSA is one of the asymmetric family, verified as every other): a million RSA signatures would take a quarter
of an hour, and what is remembered of a token does not depend on its signature. Each has another user's values.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import random
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.figures import FULL, QUICK, Bar, Effort, Figure, print_figures
from benchmarks.harness import AUDIENCE, DAY, ISSUER_URL, cpu_costs, keycloak_claims, timed
from oidcbridge import Verifier
from oidcbridge.testing import FakeIssuer

BOUND = 10_000  # the default of token_cache
SEEN_BEYOND = 250_000  # the bound has been reached 25 times over: what still grew would show
ASKED = 10_000  # of all that were seen, at random: more than a core's cache holds
FLAT = Bar(2)  # times the cost among ten: a larger table misses the core's cache, and that is all it may cost
WEIGHT = Bar(4)  # KiB
BOUNDED = Bar(0.05)  # KiB for each token seen beyond the bound
COUNTED_FROM = 10_000  # tokens: what a few weigh is lost in the allocator's own steps


class Seen(NamedTuple):
    """What a process found."""

    hit: float
    """Microseconds of CPU."""
    weight: float
    """KiB of resident set for each token; with a bound, for each one beyond twice the bound."""
    read_weight: float
    """The same once each that is remembered has come again, and its claims have been read."""


def tokens_seen(effort: Effort) -> list[Figure]:
    """All figures. Linux alone: the resident set is read from /proc."""
    figures, hits = [], {}
    for count in effort.token_counts:
        seen = _in_a_process(count, max(count, BOUND), effort)
        hits[count] = seen.hit
        if count >= COUNTED_FROM:
            for when, weight in (("once", seen.weight), ("again and read", seen.read_weight)):
                title = f"memory of a token, {count:,} remembered, seen {when}"
                figures.append(Figure(f"weight_{count}_{when.split()[0]}", title, weight, WEIGHT, "KiB"))
    fewest, most = effort.token_counts[0], effort.token_counts[-1]
    told = ", ".join(f"{hit:.2f} µs" for hit in hits.values())
    title = f"a hit among {most:,} tokens ÷ one among {fewest}"
    detail = f"among {', '.join(f'{count:,}' for count in hits)}: {told}"
    beyond = min(most, SEEN_BEYOND)
    bounded = _in_a_process(beyond, BOUND, effort)
    bounded_title = f"memory of a token beyond the bound, {beyond:,} seen and {BOUND:,} remembered"
    return [
        Figure("hits_flat", title, hits[most] / hits[fewest], FLAT, detail=detail),
        *figures,
        Figure("bounded", bounded_title, bounded.weight, BOUNDED, "KiB", f"a hit costs {bounded.hit:.2f} µs"),
    ]


def _in_a_process(count: int, remembered: int, effort: Effort) -> Seen:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(see, count, remembered, effort.rounds).result()


def see(count: int, remembered: int, rounds: int, ask: int = ASKED) -> Seen:
    """Verify ``count`` tokens with a cache for ``remembered``, read those again, then ask ``ask`` times for some."""
    issuer = FakeIssuer(ISSUER_URL, algorithms=("EdDSA",))
    token_of = minter(issuer)
    verifier = Verifier(issuer_url=ISSUER_URL, audience=AUDIENCE, token_cache=remembered)
    with issuer.impersonate():
        asyncio.run(verifier.warm(strict=True))
        kept = min(count, remembered)
        numbers = random.Random(0).sample(range(count - kept, count), min(kept, ask))
        # Before anything is weighed; and as many strings whatever the count, for what reading them costs.
        asked = [token_of(number) for number in islice(cycle(numbers), ask)]
        verifier.verify_now(token_of(-1))
        weighed_from = 0 if remembered >= count else min(2 * remembered, count // 2)
        before = 0
        for number in range(count):
            if number == weighed_from:
                before = resident()
            verifier.verify_now(token_of(number))
        weight = (resident() - before) / (count - weighed_from) / 1024
        for number in range(count - kept, count):
            _ = verifier.verify_now(token_of(number)).claims
        read_weight = (resident() - before) / (count - weighed_from) / 1024
        costs = cpu_costs({"hit": timed(verifier.verify_now, asked)}, rounds=rounds, calls=ask)
        if verifier.metrics().token_cache_misses != count + 1:
            raise RuntimeError(f"not every one of {count} tokens was verified once and then remembered")
    return Seen(costs["hit"], weight, read_weight)


def minter(issuer: FakeIssuer) -> Callable[[int], str]:
    """A function from a number to the token of that user, good for a day, always the same bytes."""
    key = issuer.signing_key("EdDSA")
    private = key.private_key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    header = _encode({"alg": "EdDSA", "typ": "JWT", "kid": key.kid})
    now = int(time.time())
    common: dict[str, object] = {
        "iss": ISSUER_URL,
        "aud": [AUDIENCE, "account"],
        "scope": "openid email profile agents:run",
    }
    common |= {"iat": now, "exp": now + DAY}

    def token_of(number: int) -> str:
        name = sha256(b"%d" % number).hexdigest()
        own = {
            "sub": f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:32]}",
            "jti": f"onrtac:{name[32:]}",
            "sid": name[:24],
            "name": f"Ada {name[:8]}",
            "given_name": "Ada",
            "family_name": name[:8],
            "preferred_username": f"ada-{name[:8]}",
            "email": f"ada-{name[:8]}@example.com",
        }
        signing_input = b"%b.%b" % (header, _encode({**common, **keycloak_claims(), **own}))
        return (signing_input + b"." + _base64(private.sign(signing_input))).decode()

    return token_of


def _encode(part: dict[str, object]) -> bytes:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def resident() -> int:
    """The process's resident set in bytes, once nothing unused is in it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    print_figures("Tokens seen", tokens_seen(QUICK if "--quick" in sys.argv else FULL))


if __name__ == "__main__":
    main()
