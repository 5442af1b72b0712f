"""What the tests of diagnosis share with those of the command line."""

from __future__ import annotations

from tests.cli.conftest import environment

__all__ = ["environment"]
