"""Too much of anything is refused before it is decoded (CVE-2025-27144, CVE-2025-30204, CVE-2025-61920)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.attacks.forge import Attack, Site, Twin, World, as_json

KIB = 1024
LIMIT = 16 * KIB


def attacks(world: World) -> Iterator[Attack]:
    why = "16 KiB is more than any proxy lets through"
    site = world.main
    yield Attack("a byte over 16 KiB", _of_size(site, LIMIT + 1), why)
    for size in (32 * KIB, 100 * KIB, 1024 * KIB):
        yield Attack(f"a payload of {size}", site.sign({"fill": "x" * size}), why)
        yield Attack(f"a header of {size}", site.sign(header={"fill": "x" * size}), why)
        yield Attack(f"a kid of {size}", site.sign(header={"kid": "k" * size}), why)
        yield Attack(f"an alg of {size}", site.sign(header={"alg": "A" * size}), why)
        yield Attack(f"a signature of {size}", site.sign() + "A" * size, why)
        yield Attack(f"{size} dots", site.sign() + "." * size, why)
        yield Attack(f"{size} spaces", site.sign() + " " * size, why, harmless_as=("cookie",))
    deep = b"[" * 100_000 + b"]" * 100_000
    yield Attack("100,000 levels", site.raw(as_json(site.header()), b'{"a":' + deep + b"}"), why)
    yield Attack("10 MB of dots", "." * 10_000_000, why)
    yield Attack("1 MB of braces", "{" * 1_000_000, why)
    many = {f"claim-{number}": number for number in range(5000)}
    yield Attack("5,000 claims", site.sign(many), why)
    yield Attack("5,000 header members", site.sign(header=many), why)
    yield Attack("a list of 100,000", site.sign({"groups": [0] * 100_000}), why)


def _of_size(site: Site, size: int) -> str:
    """A good token of exactly ``size`` characters."""
    start = size - len(site.sign({"fill": ""}))
    candidates = (
        site.sign({"fill": "x" * (start * 3 // 4 + extra)}, {"pad": "y" * more})
        for more in range(4)
        for extra in range(-20, 4)
    )
    return next(token for token in candidates if len(token) == size)


def twins(world: World) -> Iterator[Twin]:
    yield Twin("16 KiB to the byte", _of_size(world.main, LIMIT))
    yield Twin(
        "500 groups and claims",
        world.main.sign({"groups": [f"g{number}" for number in range(400)], **{f"c{n}": n for n in range(99)}}),
    )
