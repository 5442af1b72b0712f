"""The development Keycloak behind `docker/keycloak.py`: Python's standard library only.

terminal.py      what the user reads: faults of one line, steps with a clock
record.py        what a start notes down, so that a later stop finds the same server
probe.py         ports, and whether Keycloak answers on them
distribution.py  Java and the Maven distribution, unpacked and built once for all instances
local.py         Keycloak as a process of this machine
compose.py       Keycloak as a container, by docker/compose.yml
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a plain python3 may well be older, and deserves one clear line
    sys.exit("docker/keycloak.py needs Python 3.11 or newer: run it with python3.11 or a later one.")
