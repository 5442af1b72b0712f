"""Run by the Python that has moto: its server on 127.0.0.1, until standard input ends."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Serve on a free port, and say which."""
    server = importlib.import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    print("READY " + json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
