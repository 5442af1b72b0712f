"""``make fuzz``: look for an input that breaks what `oracle` says, guided by coverage, for so many seconds.

``make fuzz SECONDS=600`` looks for longer; ``make fuzz ARGS=build/fuzz/crash-…`` tries one input again, which needs no
atheris. Inputs that reached something new are kept in build/fuzz/corpus, and the next run starts with them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.mutate import dictionary

HOME = Path("build") / "fuzz"
LIMITS = ("-max_len=8192", "-timeout=20", "-rss_limit_mb=2048", "-mutate_depth=2")
PROGRESS_EVERY = 10.0
MISSING = "atheris is not here, the fuzzer that is guided by coverage: `make fuzz` installs it into .venv"
NOISE = ("INFO: Instrumenting", "WARNING: Failed to find function", "0x", "\\", "Base64: ")  # the input is in a file
CAME_IN = ("principal", "anonymous")


class Heard(NamedTuple):
    """What libFuzzer said: the last coverage (edges), all lines that were no progress, the input it has kept."""

    coverage: int
    lines: list[str]
    reproducer: str | None


def main() -> int:
    """Fuzz, or replay the inputs named."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Fuzz the verifier and the middleware.")
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to try again, instead of looking for new ones")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    if arguments.inputs:
        return replay(arguments.inputs)
    if find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 1
    return fuzz(arguments.seconds)


def replay(inputs: list[Path]) -> int:
    """Try inputs again, and show what they are; what is wrong with one is raised."""
    from tests.fuzz.cases import parse_case
    from tests.fuzz.target import open_target

    with open_target() as target:
        for path in inputs:
            data = path.read_bytes()
            print(f"{path}: {parse_case(data)}")
            print(f"  ended as: {target.try_input(data)}")
    return 0


def fuzz(seconds: float) -> int:
    """Fuzz for so long. Returns 0 where nothing was found."""
    corpus, started = HOME / "corpus", time.monotonic()
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        tally, words, seeds = Path(made, "tally"), Path(made, "words"), Path(made, "seeds")
        words.write_text(dictionary())
        seeds.mkdir()
        command = [sys.executable, "-m", "tests.fuzz.guided", str(tally), str(seconds), str(seeds), *LIMITS]
        command += [f"-dict={words}", f"-artifact_prefix={HOME}/", str(corpus), str(seeds)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
            heard = listen(process.stderr or ())
        if process.returncode == 0 and tally.exists():
            report(Counter(json.loads(tally.read_text())), heard.coverage, time.monotonic() - started)
            return 0
    print("\n".join(heard.lines))
    if heard.reproducer:
        print(f"\nFound: {heard.reproducer}\nTo try it again: make fuzz ARGS={heard.reproducer}")
    return process.returncode or 1


def listen(stderr: Iterable[str]) -> Heard:
    """Read what libFuzzer says, and tell of its progress now and then."""
    coverage, lines, reproducer, told = 0, [], None, time.monotonic()
    for line in stderr:
        if progress := re.match(r"#(\d+)\t.*\bcov: (\d+)", line):
            coverage = int(progress[2])
            if time.monotonic() - told > PROGRESS_EVERY:
                told = time.monotonic()
                print(f"{int(progress[1]):,} inputs, {coverage:,} edges", flush=True)
        elif written := re.search(r"Test unit written to (\S+)", line):
            reproducer = written[1]
        elif not line.startswith(NOISE):
            lines.append(line.rstrip())
    return Heard(coverage, lines, reproducer)


def report(ended: Counter[str], coverage: int, seconds: float) -> None:
    """Say how it went."""
    total = sum(ended.values())
    refused = {code: count for code, count in ended.most_common() if code not in CAME_IN}
    print(f"{total:,} inputs in {seconds:.0f} s, {coverage:,} edges of oidcbridge reached; nothing found")
    print(f"  {ended['principal']:,} ended as a principal, {ended['anonymous']:,} as nobody where nobody has to be")
    print(f"  {sum(refused.values()):,} were refused: {', '.join(f'{code} {n:,}' for code, n in refused.items())}")


if __name__ == "__main__":
    sys.exit(main())
