"""What oidcbridge costs, by measures with bars, and its peers beside it.

python -m benchmarks [--quick] [--check] [--json] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.compare import Row, log_alike, peers
from benchmarks.figures import FULL, QUICK, Effort, Figure, print_figures
from benchmarks.harness import ISSUER_URL
from benchmarks.machine import describe
from benchmarks.many_tokens import tokens_seen
from benchmarks.middleware import protection, tokens_of
from benchmarks.over_http import STACKS, serving
from benchmarks.report import RESULTS, Result, as_json, peers_as_text, write, write_readme
from benchmarks.verify import verification
from oidcbridge.testing import FakeIssuer


def parts(effort: Effort) -> Iterator[tuple[str, Sequence[Figure]]]:
    """Our own figures, part by part."""
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        yield "Token to Principal", verification(issuer, effort)
        yield "OIDCMiddleware, in process", protection(issuer, tokens_of(issuer), effort)
    for stack, what in STACKS.items():
        yield f"Over HTTP: uvicorn ({what})", serving(stack, effort)
    yield "Tokens seen", tokens_seen(effort)


def run(effort: Effort, mode: str, *, aloud: bool) -> Result:
    """Measure everything; ``aloud``: print each part as it comes."""
    figures: list[Figure] = []
    for title, part in parts(effort):
        figures += part
        if aloud:
            print_figures(title, part)
    with FakeIssuer(ISSUER_URL).impersonate() as issuer:
        rows: list[Row] = peers(issuer, effort)
    return Result(describe(), mode, figures, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller figures, for a look; nothing is written")
    parser.add_argument("--check", action="store_true", help="end with 1 where a bar is missed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--out", type=Path, help="where speed.md, .json and .svg go, in place of benchmarks/results")
    arguments = parser.parse_args()
    if not Path("/proc/self/schedstat").exists():
        parser.error("memory and the server's time are read from /proc, which Linux alone has: run it there")
    log_alike()
    effort, mode = (QUICK, "quick") if arguments.quick else (FULL, "full")
    result = run(effort, mode, aloud=not arguments.json)
    print(as_json(result) if arguments.json else f"\nPeers\n{peers_as_text(result)}")
    if arguments.out or not arguments.quick:
        write(result, arguments.out or RESULTS)
    if not arguments.out and not arguments.quick:
        write_readme(result)
    for figure in result.missed:
        print(f"missed: {figure.title}: {figure.text}, bar {figure.bar}", file=sys.stderr)
    if arguments.check and result.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
