"""Programs in processes of their own, with every warning an error, that a test talks with line by line."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.remote.test_processes import BEGINNING

LONGEST = 120.0  # seconds after which a program that hangs is killed, and its test fails


class Program:
    """A running program: ``tell`` it a line, ``hear`` the next that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.was_killed = False

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """The next line; fails where the program has ended without one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the program ended: {self._process.communicate()[1]}"
        return line.rstrip("\n")

    def join(self) -> None:
        """Wait for its end."""
        self._process.wait(LONGEST)

    def kill(self) -> None:
        """SIGKILL: no handler runs, no lock is given back by the program itself."""
        self.was_killed = True
        self._process.kill()
        self._process.wait()


@contextmanager
def program(source: str, *arguments: str) -> Iterator[Program]:
    """Run ``source`` until the ``with`` ends, which closes its stdin; it must end well and leave nothing on stderr."""
    command = [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(source), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        bomb = threading.Timer(LONGEST, process.kill)
        bomb.start()
        talk = Program(process)
        try:
            yield talk
            _out, err = process.communicate()
            assert talk.was_killed or (process.returncode, err) == (0, ""), err
        finally:
            bomb.cancel()
            process.kill()
