"""The process that atheris drives: never returns, and says how it went in the file named on its command line.

``python -m tests.fuzz.guided TALLY SECONDS SEEDS [what libFuzzer understands…]``
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Fuzz until the time is over or something is found."""
    tally, seconds, seeds, *options = sys.argv[1:]
    atheris: Any = import_module("atheris")  # without types, and nothing that a checker has to have
    with atheris.instrument_imports(include=["oidcbridge"], exclude=["oidcbridge.testing"]):
        import_module("tests.fuzz.target")
    from tests.fuzz.mutate import Mutator
    from tests.fuzz.seeds import write_seeds
    from tests.fuzz.target import open_target

    with open_target() as target:
        write_seeds(target.arena, Path(seeds))
        good = [(place.site.header(), place.site.claims()) for place in target.arena.places]
        mutator = Mutator(good, lambda data, size: bytes(atheris.Mutate(data, size)))  # another one once it runs
        ended, end = Counter[str](), time.monotonic() + float(seconds)

        def try_one(data: bytes) -> None:
            if time.monotonic() > end:
                Path(tally).write_text(json.dumps(ended))
                os._exit(0)  # libFuzzer's own end would not come back to Python either
            ended[target.try_input(data)] += 1

        atheris.Setup([sys.argv[0], *options], try_one, custom_mutator=mutator.mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
