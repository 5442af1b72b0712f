"""The budget for unknown keys that all workers of a host share, as the one line of a file.

What cannot be read grants nothing now and refills from now on: neither fetches without end nor none for ever.
"""

from __future__ import annotations

import re

RECORD_BYTES = 64
_RECORD = re.compile(rb"(\d{1,3}\.\d{9}) (\d{1,12}\.\d{6}) *\n")


def take_fetch(record: bytes, now: float, *, burst: int, interval: float) -> tuple[bool, bytes]:
    """Take one fetch from the bucket in ``record``: whether there was one, and the record to be written.

    An empty ``record`` is a bucket that was never used, and full. ``now`` is in wall-clock seconds; where that clock
    was set back, what is left stays, and refills from now on.
    """
    tokens, second = (float(burst), now) if not record else _read(record) or (0.0, now)
    tokens = min(float(burst), tokens + max(0.0, now - second) / interval)
    if tokens >= 1.0:
        return True, _write(tokens - 1.0, now)
    # Not dated anew where nothing is taken: what has trickled in would be lost to rounding under a flood.
    return False, _write(tokens, now) if second >= now else record


def _read(record: bytes) -> tuple[float, float] | None:
    found = _RECORD.fullmatch(record) if len(record) == RECORD_BYTES else None
    return (float(found[1]), float(found[2])) if found else None


def _write(tokens: float, second: float) -> bytes:
    return f"{tokens:.9f} {second:.6f}".encode().ljust(RECORD_BYTES - 1) + b"\n"
