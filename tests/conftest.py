"""For every test: what the process that runs them may have inherited."""

from __future__ import annotations

import signal

# A shell starts background jobs with Ctrl-C ignored, and what is ignored is inherited by every program that a test
# starts: those that try Ctrl-C would wait for ever. A handler, unlike SIG_IGN, is gone in a child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
