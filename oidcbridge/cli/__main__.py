"""``python -m oidcbridge.cli`` is the console script where that is not on the path."""

from __future__ import annotations

from oidcbridge.cli import main

main()
