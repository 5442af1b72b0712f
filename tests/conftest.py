"""For every test: what the process that runs them may have inherited, and what an earlier test may have left behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from oidcbridge.remote.refresher import refresher

# A shell starts background jobs with Ctrl-C ignored, and what is ignored is inherited by every program that a test
# starts: those that try Ctrl-C would wait for ever. A handler, unlike SIG_IGN, is gone in a child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_goes_on_after_its_test() -> Iterator[None]:
    """A verifier that nobody closed tries again until it is collected, and the next test's issuer may bear its name."""
    yield
    refresher().stop()
